"""Canvas: the place in a figure where pictures are painted.

bqplot draws axes and marks, but no pictures that follow each other: its Image makes the page build an SVG
element and decode it on the main thread, and reaches half of the painted rate of a canvas (MEASURED: 25
against 49 frames/s at 512 x 512).
"""

from __future__ import annotations

import pathlib
from typing import Any

import traitlets

from dmlink_widgets.round import Drawn

HERE = pathlib.Path(__file__).parent


class Canvas(Drawn):
    """Shows `picture`, the bytes of a JPEG or PNG, in its `area`: top, left, height, width in px.

    Of an image of `shape` (h, w) the `window` is seen, and the picture is of a `part` of it: both are
    [top, left, bottom, right] in the image's pixels, or [] for the whole.
    """

    _esm = (HERE / "canvas.js").read_text("utf-8")
    _css = (HERE / "canvas.css").read_text("utf-8")

    picture = traitlets.Bytes(b"").tag(sync=True)
    area = traitlets.List([0, 0, 1, 1]).tag(sync=True)
    part: Any = traitlets.List([]).tag(sync=True)
    window: Any = traitlets.List([]).tag(sync=True)
    shape = traitlets.List([1, 1]).tag(sync=True)
    description = traitlets.Unicode("image").tag(sync=True)

    def __init__(self) -> None:
        super().__init__()
        self.add_class("dmlink-canvas")

    def __repr__(self) -> str:
        return f"<Canvas with {len(self.picture)} bytes of {self.description!r}>"
