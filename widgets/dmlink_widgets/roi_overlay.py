"""RoiOverlay: rectangles over an image that the mouse can move and resize.

bqplot's own selectors are one rectangle without a name, and broken in 0.13 (MEASURED); these are the ROIs of
DigitalMicrograph, however many.
"""

from __future__ import annotations

import pathlib

import anywidget
import traitlets

HERE = pathlib.Path(__file__).parent


class RoiOverlay(anywidget.AnyWidget):
    """Rectangles by name as [top, left, bottom, right] in image pixels; `moved` is what the user last did."""

    _esm = HERE / "roi_overlay.js"
    _css = HERE / "roi_overlay.css"

    rois = traitlets.Dict().tag(sync=True)
    moved = traitlets.Dict().tag(sync=True)  # {"name": str, "roi": [top, left, bottom, right]}
    shape = traitlets.List([1, 1]).tag(sync=True)  # of the image, (h, w) in pixels
    area = traitlets.List([0, 0, 1, 1]).tag(
        sync=True
    )  # of the image on the screen: top, left, height, width px

    def __init__(self) -> None:
        super().__init__()
        self.add_class("dmlink-overlay")
