"""ImageFigure: an image over axes in its units, zoomed and panned, with rectangles and markers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets

from dmlink_widgets import picture
from dmlink_widgets.canvas import Canvas
from dmlink_widgets.contrast import Contrast
from dmlink_widgets.figure import MARGIN, drawable, figure
from dmlink_widgets.image_overlay import ImageOverlay

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.indm.info import Axis

SHORTEST = 32  # px of a side on the screen, however narrow the image
NARROW = {"y": 120, "x": 256}  # px: only the ends of such an axis are labelled


class ImageFigure:
    """An image on the screen; only pixels that are seen are encoded.

    Parameters
    ----------
    size : int or tuple of int
        Pixels on the screen of its longer side; or (height, width), whatever the shape of the image.
    changed : callable, optional
        Called when the user has zoomed: another part of the image has to be drawn.
    told : callable, optional
        Called with what the user does beside that, as ImageOverlay says it.
    overlay : dict
        Traits of the ImageOverlay.

    Attributes
    ----------
    widget : ipywidgets.Box
        What the notebook shows.
    overlay : ImageOverlay
        ROIs, markers, zoom.
    pixels : numpy.ndarray or None
        The image drawn last.
    seen : numpy.ndarray or None
        The values drawn last, (h, w) float32 as many as shown; None before, and of colours.
    limits : tuple of float
        The values drawn as the first and the last colour.
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        changed: Callable[[], None] = lambda: None,
        told: Callable[[dict[str, Any]], None] = lambda _: None,
        **overlay: Any,
    ) -> None:
        self._size = size
        self._told_on = told
        self.limits = (0.0, 1.0)
        self.pixels: Any = None
        self._empty = 0  # rows above them
        self.seen: Any = None
        self._pointer: list[float] | None = None
        self.overlay = ImageOverlay(self._told, **overlay)
        self.overlay.observe(lambda _: changed(), "window")
        self._scales = {"x": bqplot.LinearScale(), "y": bqplot.LinearScale()}
        self.figure = figure(self._scales, grid=False)
        self.canvas = Canvas()
        self.describe(self.overlay.description)
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

    def describe(self, description: str) -> None:
        """Say what the image is to those who do not see it."""
        self.canvas.description = self.overlay.description = description

    def draw(
        self,
        pixels: Any,
        y: Axis,
        x: Axis,
        contrast: Contrast | None = None,
        *,
        small: bool = False,
        lossless: bool = False,
        empty: int = 0,
    ) -> None:
        """Draw pixels of shape (h, w) or (h, w, 3), at least one, over their axes, below `empty` rows."""
        h, w = pixels.shape[0] + empty, pixels.shape[1]
        self.pixels, self._empty = pixels, empty
        if self._placed != (h, w, y, x):
            self._placed = (h, w, y, x)
            self._place(h, w, y, x)
        top, left, bottom, right = self.window(h, w)
        top, bottom = max(top, empty), max(bottom, empty + 1)  # at least one that is not empty
        part = pixels[top - empty : bottom - empty, left:right]
        height, width = (px // (4 if small else 1) for px in self.canvas.area[2:])
        longer = max(height, width)
        if part.ndim == 3:
            self.seen = None
            data, self.limits = picture.encoded(part, longer, lossless=lossless)
        else:
            contrast = contrast or Contrast()
            # where rows and columns are of different kinds, as time and place, few rows stay as they are
            self.seen = picture.reduced(part, (height, width) if isinstance(self._size, tuple) else longer)
            self.limits = contrast.limits(self.seen)
            data = picture.encode(contrast.shown(self.seen, self.limits), lossless=lossless)
        with self.canvas.hold_sync():  # a picture goes with what it is of
            self.canvas.picture = data
            self.canvas.part = [top, left, bottom, right]
            self.canvas.shape = [h, w]
        self._read()

    def window(self, h: int, w: int) -> tuple[int, int, int, int]:
        """Return the pixels of an image (h, w) that are seen, whole ones: top, left, bottom, right."""
        if not self.overlay.window:
            return 0, 0, h, w
        top, left, bottom, right = self.overlay.window
        top, left = max(0, math.floor(top)), max(0, math.floor(left))
        return top, left, max(top + 1, min(h, math.ceil(bottom))), max(left + 1, min(w, math.ceil(right)))

    def show_all(self) -> None:
        """Undo all zoom."""
        self.overlay.window = []

    def _told(self, message: dict[str, Any]) -> None:
        if "pointer" in message:
            self._pointer = message["pointer"]
            self._read()
        else:
            self._told_on(message)

    def _read(self) -> None:
        """Tell the value under the pointer."""
        if self._pointer is None or self.pixels is None:
            self.overlay.value = []
            return
        row, column = (int(v) for v in self._pointer)
        full = row - self._empty
        inside = 0 <= full < self.pixels.shape[0] and 0 <= column < self.pixels.shape[1]
        self.overlay.value = [row, column, _written(self.pixels[full, column])] if inside else []

    def _place(self, h: int, w: int, y: Axis, x: Axis) -> None:
        if isinstance(self._size, tuple):
            height, width = self._size
        else:
            height, width = on_screen(self._size, h, w)
        self.figure.layout.width = f"{width + MARGIN['left'] + MARGIN['right']}px"
        self.figure.layout.height = f"{height + MARGIN['top'] + MARGIN['bottom']}px"
        self.canvas.area = [MARGIN["top"], MARGIN["left"], height, width]
        labels = dict(zip("xy", self.figure.axes, strict=True))
        for name, axis, px in (("x", x, width), ("y", y, height)):
            labels[name].label = drawable(axis).unit or "pixels"
            labels[name].num_ticks = None if px > NARROW[name] else 2
            labels[name].tick_format = "" if px > NARROW[name] else ".3~g"
        self._scales["x"].reverse = x.scale < 0
        self._scales["y"].reverse = y.scale >= 0  # rows run downwards
        with self.overlay.hold_sync():
            if self.overlay.shape != [h, w]:
                self.overlay.window = []
            self.overlay.shape = [h, w]
            self.overlay.area = self.canvas.area
            self.overlay.y, self.overlay.x = list(drawable(y)), list(drawable(x))


def on_screen(size: int, h: int, w: int) -> tuple[int, int]:
    """Return (height, width) in px of an image (h, w) whose longer side has `size` px."""
    height, width = (max(SHORTEST, round(size * n / max(h, w))) for n in (h, w))
    return height, width


def _written(value: Any) -> str:
    if value.ndim:  # a colour
        return ", ".join(str(v) for v in value)
    return f"{value:.6g}" if value.dtype.kind in "fc" else str(value)
