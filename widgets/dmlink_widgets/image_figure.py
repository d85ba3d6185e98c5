"""ImageFigure: an image over axes in its units, zoomed and panned, with rectangles and markers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets

from dmlink_widgets import picture
from dmlink_widgets.canvas import Canvas
from dmlink_widgets.contrast import Contrast
from dmlink_widgets.image_overlay import ImageOverlay
from dmlink_widgets.plots.figure import MARGIN, drawable, figure

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.indm.info import Axis

SHORTEST = 32  # px of a side on the screen, however narrow the image
NARROW = 120  # px: only the ends of such an axis are labelled


class ImageFigure:
    """An image, `size` px at its longer side on the screen; only pixels that are seen are encoded.

    Attributes
    ----------
    widget : ipywidgets.Box
        What the notebook shows.
    overlay : ImageOverlay
        ROIs, markers, zoom.
    seen : numpy.ndarray or None
        The values drawn last, (h, w) float32 as many as shown; None before, and of colours.
    limits : tuple of float
        The values drawn as the first and the last colour.
    """

    def __init__(
        self, size: int, told: Callable[[dict[str, Any]], None] | None = None, **overlay: Any
    ) -> None:
        self.size = size
        self.limits = (0.0, 1.0)
        self.seen: Any = None
        self.overlay = ImageOverlay(told, **overlay)
        self._scales = {"x": bqplot.LinearScale(), "y": bqplot.LinearScale()}
        self.figure = figure([], self._scales, grid=False, size=(size, size))
        self.canvas = Canvas()
        self.canvas.description = self.overlay.description
        # inside the page, so that zoom waits for nobody
        self._links = [
            ipywidgets.jsdlink((self.overlay, f"{axis}_{end}"), (self._scales[axis], name))
            for axis in "yx"
            for end, name in (("low", "min"), ("high", "max"))
        ]
        self._links.append(ipywidgets.jsdlink((self.overlay, "window"), (self.canvas, "window")))
        self.widget = ipywidgets.Box([self.canvas, self.figure, self.overlay])
        self.widget.add_class("dmlink-picture")
        self.widget.add_class("dmlink-stack")
        self._placed: tuple[Any, ...] = ()

    def draw(
        self,
        pixels: Any,
        y: Axis,
        x: Axis,
        contrast: Contrast | None = None,
        *,
        small: bool = False,
        lossless: bool = False,
    ) -> None:
        """Draw pixels of shape (h, w) or (h, w, 3) over their axes."""
        h, w = pixels.shape[:2]
        if self._placed != (h, w, y, x):
            self._placed = (h, w, y, x)
            self._place(h, w, y, x)
        top, left, bottom, right = self.window(h, w)
        part = pixels[top:bottom, left:right]
        size = self.size // 4 if small else self.size
        if part.ndim == 3:
            self.seen = None
            data, self.limits = picture.encoded(part, size, lossless=lossless)
        else:
            contrast = contrast or Contrast()
            self.seen = picture.reduced(part, size)
            self.limits = contrast.limits(self.seen)
            data = picture.encode(contrast.shown(self.seen, self.limits), lossless=lossless)
        with self.canvas.hold_sync():  # a picture goes with what it is of
            self.canvas.picture = data
            self.canvas.part = [top, left, bottom, right]
            self.canvas.shape = [h, w]

    def window(self, h: int, w: int) -> tuple[int, int, int, int]:
        """Return the pixels of an image (h, w) that are seen, whole ones: top, left, bottom, right."""
        if not self.overlay.window:
            return 0, 0, h, w
        top, left, bottom, right = self.overlay.window
        top, left = max(0, math.floor(top)), max(0, math.floor(left))
        return top, left, max(top + 1, min(h, math.ceil(bottom))), max(left + 1, min(w, math.ceil(right)))

    def _place(self, h: int, w: int, y: Axis, x: Axis) -> None:
        longer = max(h, w)
        height, width = (max(SHORTEST, round(self.size * n / longer)) for n in (h, w))
        self.figure.layout.width = f"{width + MARGIN['left'] + MARGIN['right']}px"
        self.figure.layout.height = f"{height + MARGIN['top'] + MARGIN['bottom']}px"
        self.canvas.area = [MARGIN["top"], MARGIN["left"], height, width]
        labels = dict(zip("xy", self.figure.axes, strict=True))
        for name, axis, px in (("x", x, width), ("y", y, height)):
            labels[name].label = drawable(axis).unit or "pixels"
            labels[name].num_ticks = None if px > NARROW else 2
            labels[name].tick_format = "" if px > NARROW else ".3~g"
        self._scales["x"].reverse = x.scale < 0
        self._scales["y"].reverse = y.scale >= 0  # rows run downwards
        with self.overlay.hold_sync():
            if self.overlay.shape != [h, w]:
                self.overlay.window = []
            self.overlay.shape = [h, w]
            self.overlay.area = self.canvas.area
            self.overlay.y, self.overlay.x = list(drawable(y)), list(drawable(x))
