"""Takes the README's picture from the running system: `.venv/bin/python docs/picture.py`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from dmlink.cli.demo import microscope

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))

import browser  # noqa: E402

WORKS = r"(live|running) . (1[2-9]|2\d)"  # frames per second, on a computer that is not too busy
CELLS = [
    """%load_ext dmlink
import dmlink, numpy as np, scipy.fft

link = dmlink.connect()
link.set_roi("roi", dmlink.Roi(20, 320, 180, 480))
dmlink.view(link, dock=True)""",
    """%%live radial_profile --roi roi
n_bins: (16, 128, 8) = 64  # points of the profile

power = np.abs(scipy.fft.fft2(frame - frame.mean())) ** 2
fy, fx = (scipy.fft.fftfreq(n)[:, None] for n in frame.shape)
ring = (np.hypot(fy, fx.T) * 2 * n_bins).astype(int).ravel()
total, count = np.bincount(ring, power.ravel()), np.bincount(ring)

Profile(np.log10(total / count)[:n_bins], scale=0.5 / n_bins / info.scale, unit="1/" + info.unit)""",
]


def main() -> None:
    """Run the cells in JupyterLab, and take the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        browser.write_notebook(folder / "live.ipynb", CELLS)
        with (
            microscope([], folder) as endpoint,
            browser.jupyterlab(folder, {"DMLINK_ENDPOINT": endpoint}) as address,
            browser.chromium(width=1500, height=1000) as page,
        ):
            browser.open_notebook(page, address, "live.ipynb")
            page.click(".jp-SideBar [data-id=filebrowser]")  # without the list of files
            browser.run_all(page)
            pane = page.locator(".dmlink-pane")
            pane.locator("button.dmlink-spectrum").click()
            page.locator(".jp-Notebook .dmlink-on-roi").click()  # selects its ROI and shows its spectrum
            for place in (".dmlink-pane", ".jp-Notebook"):
                page.locator(f"{place} .dmlink-light:visible").locator(f"text=/{WORKS}/").first.wait_for()
            page.locator(".jp-Notebook").evaluate("node => { node.scrollTop = 0; }")
            (HERE / "images").mkdir(exist_ok=True)
            page.screenshot(path=HERE / "images" / "notebook.png")


if __name__ == "__main__":
    main()
