"""Writes gallery.md and its pictures from the cells: `.venv/bin/python docs/gallery_pages.py [NAME ...]`.

The pictures show the windows of the simulated DigitalMicrograph in which each exported cell runs.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import islice
from pathlib import Path

import PIL.Image

from dmlink import LiveCell, gallery, needs, recordings
from dmlink.check import check

HERE = Path(__file__).parent
IMAGES = HERE / "images" / "gallery"
BEGIN, END = "<!-- cells: begin -->\n", "<!-- cells: end -->"


def main() -> None:
    """Draw the cells named, or all, and write the page of all."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or gallery.names():
        print(name, flush=True)  # noqa: T201
        draw(name)
    page = (HERE / "gallery.md").read_text("utf-8")
    before, rest = page.split(BEGIN)
    sections = "\n".join(section(name) for name in gallery.names())
    (HERE / "gallery.md").write_text(f"{before}{BEGIN}\n{sections}\n{END}{rest.split(END)[1]}", "utf-8")


def draw(name: str) -> None:
    """Run the exported cell in the simulated DigitalMicrograph, and take a picture of its windows."""
    example, cell = gallery.example(name), LiveCell(gallery.text(name), name)
    cell.set(**example.values)
    with tempfile.TemporaryDirectory() as folder, recordings.open(example.recording) as recording:
        script, picture = cell.export(Path(folder, f"{name}.py")), Path(folder, "windows.png")
        check(script, list(islice(recording, example.frames)), cell, picture)
        with PIL.Image.open(picture) as windows:
            windows.quantize(96).save(IMAGES / f"{name}.png", optimize=True)


def section(name: str) -> str:
    """Return a cell's part of the page: its head, a picture, its parameters, and what it needs."""
    text = gallery.text(name)
    head = " ".join(line[2:] for line in text.split("\nimport")[0].split("\nfrom")[0].splitlines())
    rows = [
        f"| `{p.name}` | `{p.value}` | {p.allowed.replace('one of ', '')} | {p.comment} |"
        for p in LiveCell(text, name).program.parameters.values()
    ]
    return "\n".join(
        [
            f"## {name}",
            "",
            head,
            "",
            f"![{name}](images/gallery/{name}.png)",
            "",
            "| parameter | at first | from, to | |",
            "|---|---|---|---|",
            *rows,
            "",
            f"In DigitalMicrograph it needs {needs.packages(text)}.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
