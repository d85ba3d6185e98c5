"""Draws the small pictures of the gallery picker: `.venv/bin/python docs/gallery_thumbnails.py [NAME ...]`.

Each is the result of a cell on its demo recording, as its panel draws it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import PIL.Image
from dmlink_widgets.panels.gallery_picker import THUMBNAILS
from dmlink_widgets.plots.kinds import plot_for

from dmlink import LiveCell, Overlay, gallery, recordings

if TYPE_CHECKING:
    from dmlink.frame import Frame

SIZE = 220, 150  # px
MOST_FRAMES = 30


def main() -> None:
    """Draw those of the cells named, or of all."""
    Path(str(THUMBNAILS)).mkdir(exist_ok=True)
    for name in sys.argv[1:] or gallery.names():
        print(name, flush=True)  # noqa: T201
        thumbnail(name).save(Path(str(THUMBNAILS)) / f"{name}.png", optimize=True)


def telling(result: Any, frame: Frame) -> Any:
    """Return the one of several results that says most in a small picture; marks over their frame."""
    parts = list(getattr(result, "results", {}).values()) or [result]
    marks = [part for part in parts if part is not None and part.kind in {"points", "boxes"}]
    if marks:
        return Overlay(frame.data, *marks)
    for kind in ("overlay", "image", "profile", "scalar"):
        for part in parts:
            if part is not None and part.kind == kind:
                return part
    return result


def thumbnail(name: str) -> PIL.Image.Image:
    """Return the picture of a cell's result."""
    example = gallery.example(name)
    cell = LiveCell(gallery.text(name), name)
    cell.set(**example.values)
    plot = None
    with recordings.open(example.recording) as recording:
        for _, frame in zip(range(min(example.frames, MOST_FRAMES)), recording, strict=False):
            result = telling(cell.run(frame), frame)
            if result is None:
                continue
            plot = plot or plot_for(result, lambda: None, colour="#1f77b4")
            plot.remember(frame.time, result)
            plot.draw(result, small=False)
    if plot is None:
        raise RuntimeError(f"{name} gives no result on its demo recording.")
    plot.draw_status()
    picture = plot.picture().convert("RGB")
    white = PIL.Image.new("RGB", SIZE, "white")
    picture.thumbnail(SIZE)
    white.paste(picture, ((SIZE[0] - picture.width) // 2, (SIZE[1] - picture.height) // 2))
    return white.quantize(64)


if __name__ == "__main__":
    main()
