"""Canvas: paints the pictures of a figure.

bqplot draws the axes, but is too slow for pictures that change many times a second: its Image makes the page
build an SVG element and decode it on the main thread, and reaches half the painted rate of a canvas
(measured: 25 against 49 frames/s at 512 x 512).
"""

from __future__ import annotations

import pathlib
from typing import Any

import traitlets

from dmlink_widgets.pacing.round import RoundWidget

HERE = pathlib.Path(__file__).parent


class Canvas(RoundWidget):
    """Shows `picture`, the bytes of a JPEG or PNG, in its `area`: top, left, height, width in px.

    Of an image of `shape` (h, w) the `viewport` is visible, and the picture covers the `extent`: both are
    [top, left, bottom, right] in the image's pixels, or [] for all of it.
    """

    _classes = ("dmlink-canvas",)
    _code = (HERE / "canvas.js").read_text("utf-8")
    _css = (HERE / "canvas.css").read_text("utf-8")

    picture = traitlets.Bytes(b"").tag(sync=True)
    area = traitlets.List([0, 0, 1, 1]).tag(sync=True)
    extent: Any = traitlets.List([]).tag(sync=True)
    viewport: Any = traitlets.List([]).tag(sync=True)
    shape = traitlets.List([1, 1]).tag(sync=True)
    description = traitlets.Unicode("image").tag(sync=True)

    def __repr__(self) -> str:
        return f"<Canvas with {len(self.picture)} bytes of {self.description!r}>"
