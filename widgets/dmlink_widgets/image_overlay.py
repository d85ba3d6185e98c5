"""ImageOverlay: what lies over an image: ROIs, markers, scale bar; zoom, pan and the value under the pointer.

bqplot's own selectors are one rectangle without a name, and broken in 0.13 (MEASURED); these are the ROIs of
DigitalMicrograph, however many. Everything is in image pixels.
"""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import traitlets

from dmlink_widgets.round import Drawn

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = pathlib.Path(__file__).parent


class ImageOverlay(Drawn):
    """Rectangles by name as [top, left, bottom, right], `marks` of cells, and the `window` that is seen.

    Parameters
    ----------
    told : callable, optional
        Called with what the user does, a dict with one key: `drawn` [top, left, bottom, right], `removed`
        (a name), or `pointer` [row, column] (None when it has left the image).
    """

    _esm = (HERE / "image_overlay.js").read_text("utf-8")
    _css = (HERE / "image_overlay.css").read_text("utf-8")

    description = traitlets.Unicode("Image").tag(sync=True)  # for those who hear it
    shape = traitlets.List([1, 1]).tag(sync=True)  # of the image, (h, w) in pixels
    area = traitlets.List([0, 0, 1, 1]).tag(sync=True)  # on the screen: top, left, height, width in px
    y = traitlets.List([0.0, 1.0, ""]).tag(sync=True)  # axis: origin, scale, unit
    x = traitlets.List([0.0, 1.0, ""]).tag(sync=True)
    window: Any = traitlets.List([]).tag(
        sync=True
    )  # the part that is seen: top, left, bottom, right; [] for all
    # the ends of the axes over the window, in their units: the page keeps them, the figure follows
    y_low = traitlets.Float(None, allow_none=True).tag(sync=True)
    y_high = traitlets.Float(None, allow_none=True).tag(sync=True)
    x_low = traitlets.Float(None, allow_none=True).tag(sync=True)
    x_high = traitlets.Float(None, allow_none=True).tag(sync=True)

    rois = traitlets.Dict().tag(sync=True)
    line: Any = traitlets.List([]).tag(sync=True)  # drawn in DM: y0, x0, y1, x1; [] for none
    moved = traitlets.Dict().tag(sync=True)  # the last that the user did: {"name": str, "roi": [...]}
    selected = traitlets.Unicode("").tag(sync=True)  # name of an ROI
    can_draw = traitlets.Bool(False).tag(sync=True)
    drawing = traitlets.Bool(False).tag(sync=True)  # whether the next drag draws an ROI
    marks: Any = traitlets.List([]).tag(sync=True)  # as dmlink_widgets.markers makes them
    value: Any = traitlets.List([]).tag(sync=True)  # under the pointer: row, column, text
    scale_bar = traitlets.Bool(True).tag(sync=True)

    def __init__(self, told: Callable[[dict[str, Any]], None] | None = None, **traits: Any) -> None:
        super().__init__(**traits)
        self.add_class("dmlink-overlay")
        if told:
            self.on_msg(lambda _, message, __: told(message))
