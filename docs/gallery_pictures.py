"""Takes the pictures in gallery.md: `.venv/bin/python docs/gallery_pictures.py [NAME ...]`.

They show the panels of real cells in JupyterLab, in a browser, after a hundred frames, in both themes.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import PIL.Image

from dmlink import gallery

HERE = Path(__file__).parent
IMAGES = HERE / "images" / "gallery"
sys.path.insert(0, str(HERE.parent / "tests" / "support"))

import browser  # noqa: E402

ENOUGH = re.compile(r"processed\s+\d{3,}")  # a hundred frames
NOTEBOOK = """%load_ext dmlink
import dmlink
from dmlink import gallery

example = gallery.example({name!r})
played = example.replay()
cell = dmlink.LiveCell(gallery.text({name!r}), {name!r}, timeout=60)
cell.set(**example.values)
cell.start(played.link)
dmlink.dashboard(played, size=384)"""


def main() -> None:
    """Take the pictures of the named cells, or of all."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    names = sys.argv[1:] or gallery.names()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in names:
            browser.write_notebook(folder / f"{name}.ipynb", [NOTEBOOK.format(name=name)])
        with browser.jupyterlab(folder, {}) as address, browser.chromium(width=1400, height=3600) as page:
            for name in names:
                print(name, flush=True)  # noqa: T201
                browser.open_notebook(page, address, f"{name}.ipynb")
                browser.run_all(page)
                for theme in ("Light", "Dark"):
                    browser.choose_theme(page, theme)
                    panel = browser.panel(page, name)
                    counts = panel.locator(".dmlink-status-line", has_text=ENOUGH)
                    counts.first.wait_for(state="attached")  # hidden until requested
                    taken = folder / "panel.png"
                    panel.screenshot(path=taken)
                    with PIL.Image.open(taken) as picture:
                        small = picture.convert("RGB").quantize(256)  # fewer would lose the lamp
                        small.save(IMAGES / f"{name}-{theme.lower()}.png", optimize=True)
                browser.end_kernels(address)


if __name__ == "__main__":
    main()
