"""ImageOverlay: the layer over an image: ROIs, marks, scale bar; zoom, pan and the value under the pointer.

bqplot's own selectors are single unnamed rectangles, which in 0.13 do not even report their place; these are
all the ROIs of DigitalMicrograph. Everything is in image pixels.
"""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import traitlets

from dmlink_widgets.pacing.round import RoundWidget

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = pathlib.Path(__file__).parent


class ImageOverlay(RoundWidget):
    """Rectangles by name as [top, left, bottom, right], `marks` of cells, and the `viewport`.

    Parameters
    ----------
    on_action : callable, optional
        Called with what the user does, a dict with one key: `drawn` [top, left, bottom, right], `removed`
        (a name), `released` (a name whose drag has ended; its place is in `roi`), or `pointer`
        [row, column] (None when it has left the image).
    """

    _classes = ("dmlink-overlay",)
    _code = (HERE / "image_overlay.js").read_text("utf-8")
    _css = (HERE / "image_overlay.css").read_text("utf-8")

    description = traitlets.Unicode("Image").tag(sync=True)  # for screen readers
    room = traitlets.Int(0).tag(sync=True)  # width of the column in px; 0 until the page has reported it
    ratio = traitlets.Float(1.0).tag(sync=True)  # device pixels per px
    shape = traitlets.List([1, 1]).tag(sync=True)  # shape of the image, (h, w) in pixels
    area = traitlets.List([0, 0, 1, 1]).tag(sync=True)  # on the screen: top, left, height, width in px
    y = traitlets.List([0.0, 1.0, ""]).tag(sync=True)  # axis: origin, scale, unit
    x = traitlets.List([0.0, 1.0, ""]).tag(sync=True)
    # the visible pixels: top, left, bottom, right; [] for all
    viewport: Any = traitlets.List([]).tag(sync=True)
    # the ends of the axes over the viewport, in their units: set by the page, used by the figure
    y_low = traitlets.Float(None, allow_none=True).tag(sync=True)
    y_high = traitlets.Float(None, allow_none=True).tag(sync=True)
    x_low = traitlets.Float(None, allow_none=True).tag(sync=True)
    x_high = traitlets.Float(None, allow_none=True).tag(sync=True)

    rois = traitlets.Dict().tag(sync=True)  # the ROIs in DigitalMicrograph; set only by the kernel
    colours = traitlets.Dict().tag(sync=True)  # "#rrggbb" of ROIs with a cell, by name
    place = traitlets.Unicode("").tag(sync=True)  # name of the image, as cells use it
    moved = traitlets.Dict().tag(sync=True)  # {"name": str, "roi": [...]}, last moved; set only by the page
    selected = traitlets.Unicode("").tag(sync=True)  # name of an ROI
    can_draw = traitlets.Bool(False).tag(sync=True)
    drawing = traitlets.Bool(False).tag(sync=True)  # whether the next drag draws an ROI
    marks: Any = traitlets.List([]).tag(sync=True)  # as made by dmlink_widgets.drawing.marks
    value: Any = traitlets.List([]).tag(sync=True)  # under the pointer: row, column, text
    scale_bar = traitlets.Bool(True).tag(sync=True)

    def __init__(self, on_action: Callable[[dict[str, Any]], None] | None = None, **traits: Any) -> None:
        super().__init__(**traits)
        if on_action:
            self.on_msg(lambda _, message, __: on_action(message))
