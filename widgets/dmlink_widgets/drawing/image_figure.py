"""ImageFigure: an image over axes in its units, with zoom, pan, rectangles and marks."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets
import numpy as np
import PIL.Image

from dmlink_widgets import widget_tree
from dmlink_widgets.drawing import picture, prints
from dmlink_widgets.drawing.axes import axes_figure
from dmlink_widgets.drawing.canvas import Canvas
from dmlink_widgets.drawing.contrast import Contrast
from dmlink_widgets.drawing.image_overlay import ImageOverlay
from dmlink_widgets.drawing.ranges import MARGIN, axis_or_pixels
from dmlink_widgets.drawing.scale_bar import scale_bar
from dmlink_widgets.drawing.svg_axes import SvgAxes

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.frame import Axis

FEW = 64  # rows or columns that are drawn, if there are as many
MOST_RATIO = 2.0  # device pixels drawn per px
SHORTEST = 32  # px, shortest side on the screen, however narrow the image
NARROW = {"y": 120, "x": 256}  # px; a shorter axis has numbers only at its ends

TURN = np.linspace(0, 2 * np.pi, 17)
SPOT = 6.0  # pixels of the image, radius of a spot in print
CIRCLE = 5 * np.stack([np.cos(TURN), np.sin(TURN)], axis=1)  # px, size of a point in print


class ImageFigure:
    """An image on the screen; only the visible pixels are encoded.

    Parameters
    ----------
    size : int or tuple of int
        Longer side on the screen in px; or (height, width), whatever the shape of the image. Smaller
        if the page has no room.
    changed : callable, optional
        Called when the user has zoomed or panned, so that a different part has to be drawn.
    on_action : callable, optional
        Called with other actions of the user, as reported by ImageOverlay.
    tools : ToolOverlay, optional
        Shapes drawn over the image.
    overlay : dict
        Traits of the ImageOverlay.

    Attributes
    ----------
    widget : ipywidgets.Box
        What the notebook shows.
    bqplot_figure : bqplot.Figure
        Draws the axes.
    canvas : Canvas
        Paints the picture.
    overlay : ImageOverlay
        ROIs, marks, zoom.
    size : int or tuple of int
        As given.
    beside : int
        Width left free beside the figure, in px.
    pixels : numpy.ndarray or None
        The last drawn image.
    shown_values : numpy.ndarray or None
        The last drawn values, (h, w) float32, reduced to the screen; None at first, and for colours.
    limits : tuple of float
        The values drawn as the first and last colour.
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        changed: Callable[[], None] = lambda: None,
        on_action: Callable[[dict[str, Any]], None] = lambda _: None,
        tools: ipywidgets.DOMWidget | None = None,
        **overlay: Any,
    ) -> None:
        self.size = size
        self.beside = 0
        self._on_action = on_action
        self.limits = (0.0, 1.0)
        self.pixels: Any = None
        self.shown_values: Any = None
        self._empty = 0  # empty rows above the pixels
        self._pointer: list[float] | None = None  # (row, column)
        self._placed: tuple[Any, ...] = ()  # shape and axes for which the figure is laid out
        self.overlay = ImageOverlay(self._take_action, **overlay)
        self.overlay.observe(lambda _: changed(), ["viewport", "room", "ratio"])
        self._scales = {"x": bqplot.LinearScale(), "y": bqplot.LinearScale()}
        self.bqplot_figure = axes_figure(self._scales, grid=False)
        self.canvas = Canvas()
        self.describe(self.overlay.description)
        # linked in the page, so that zooming does not wait for the kernel
        self._links = [
            ipywidgets.jsdlink((self.overlay, f"{axis}_{end}"), (self._scales[axis], name))
            for axis in "yx"
            for end, name in (("low", "min"), ("high", "max"))
        ]
        self._links.append(ipywidgets.jsdlink((self.overlay, "viewport"), (self.canvas, "viewport")))
        self.tools = tools
        self.widget = ipywidgets.Box([self.canvas, self.bqplot_figure, self.overlay, *filter(None, [tools])])
        self.widget.add_class("dmlink-picture")
        self.widget.add_class("dmlink-stack")

    def describe(self, description: str) -> None:
        """Set the description for screen readers."""
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
        """Draw an image over its axes.

        Parameters
        ----------
        pixels : numpy.ndarray
            Shape (h, w) or (h, w, 3), at least one pixel.
        y, x : Axis
            Calibration of rows and columns; row 0 is the first of the `empty` rows.
        contrast : Contrast, optional
            How values become colours; not used for (h, w, 3).
        small : bool
            Whether to send as few bytes as possible.
        lossless : bool
            Whether to send a PNG instead of a JPEG.
        empty : int
            Rows that are left empty above the pixels.
        """
        h, w = pixels.shape[0] + empty, pixels.shape[1]
        self.pixels, self._empty = pixels, empty
        layout = (h, w, y, x, self.overlay.room, self.size, self.beside)
        if self._placed != layout:
            self._placed = layout
            self._place(h, w, y, x)
        top, left, bottom, right = self.visible(h, w)
        top, bottom = max(top, empty), max(bottom, empty + 1)  # at least one non-empty row
        visible = pixels[top - empty : bottom - empty, left:right]
        scale = 0.25 if small else min(self.overlay.ratio, MOST_RATIO)
        height, width = (max(1, round(px * scale)) for px in self.canvas.area[2:])
        # few rows or columns are not averaged
        rows, columns = visible.shape[:2]
        size = max(height, min(rows, FEW)), max(width, min(columns, FEW))
        if visible.ndim == 3:
            self.shown_values = None
            data, self.limits = picture.render(visible, size, lossless=lossless)
        else:
            contrast = contrast or Contrast()
            self.shown_values = picture.reduced(visible, size)
            self.limits = contrast.limits(self.shown_values)
            data = picture.encode(contrast.apply(self.shown_values, self.limits), lossless=lossless)
        dy, dx = picture.steps(visible.shape[:2], size)  # what is left over is not in the picture
        bottom, right = bottom - (bottom - top) % dy, right - (right - left) % dx
        with self.canvas.hold_sync():  # picture and extent must arrive together
            self.canvas.picture = data
            self.canvas.extent = [top, left, bottom, right]
            self.canvas.shape = [h, w]
        self._show_value()

    def show_all(self) -> None:
        """Undo all zoom."""
        self.overlay.viewport = []

    def picture(self) -> PIL.Image.Image:
        """Return the last drawn picture with its axes, ROIs, shapes and marks."""
        printed: PIL.Image.Image = self._printed(prints.Axes).image
        return printed

    def png(self) -> bytes:
        """Return it as a PNG."""
        file = io.BytesIO()
        self.picture().save(file, "PNG")
        return file.getvalue()

    def svg(self) -> bytes:
        """Return it as an SVG."""
        drawn: bytes = self._printed(SvgAxes).svg
        return drawn

    def _printed(self, kind: Callable[..., Any]) -> Any:
        """Draw the last picture into new axes of this kind."""
        overlay = self.overlay
        (_, _, height, width), (h, w) = self.canvas.area, overlay.shape
        t, l, b, r = overlay.viewport or (0, 0, h, w)  # noqa: E741 - top, left, bottom, right
        sides: dict[str, tuple[Any, tuple[Any, Any]]] = {"x": (overlay.x, (l, r)), "y": (overlay.y, (b, t))}
        ends = {n: (a[0] + a[1] * first, a[0] + a[1] * last) for n, (a, (first, last)) in sides.items()}
        labels = {n: a[2] or "pixels" for n, (a, _) in sides.items()}
        axes = kind(height, width, ends, labels)
        scale = np.array([width / (r - l or 1), height / (b - t or 1)])  # px per image pixel, x and y

        def on_axes(yx: Any) -> np.ndarray:
            return np.asarray((np.asarray(yx, float).reshape(-1, 2)[:, ::-1] - [l, t]) * scale)

        if self.canvas.picture:
            top, left, bottom, right = self.canvas.extent or (0, 0, h, w)
            (x0, y0), (x1, y1) = on_axes([[top, left], [bottom, right]])
            axes.paste(PIL.Image.open(io.BytesIO(self.canvas.picture)), (y0, x0, y1 - y0, x1 - x0))
        for name, roi in overlay.rois.items():
            corners, colour = on_axes(_corners(roi)), overlay.colours.get(name, prints.ROI_COLOUR)
            axes.shape(corners, colour)
            x, y = corners[0]
            axes.write(x + 2, y - 4, name, colour)
        for shape in self.tools.shapes if self.tools else []:
            _print_shape(axes, shape, on_axes)
        for mark in overlay.marks:
            for tail in mark.get("tails", []):
                axes.shape(on_axes(tail), mark["colour"], closed=False)
            for box in mark.get("boxes", []):
                axes.shape(on_axes(_corners(box)), mark["colour"])
            for place in on_axes(mark.get("points", [])):
                axes.shape(place + CIRCLE, mark["colour"])
        if overlay.scale_bar and self.canvas.picture:
            _, scale_x, unit = sides["x"][0]
            per_pixel = abs(scale_x)
            long, text = scale_bar((r - l) * per_pixel, unit)
            axes.bar(long / per_pixel * scale[0], text)
        return axes

    def close(self) -> None:
        """Close its widgets."""
        widget_tree.close(self.widget, *self._links)

    def visible(self, h: int, w: int) -> tuple[int, int, int, int]:
        """Return the whole pixels of an image (h, w) that are visible: top, left, bottom, right."""
        if not self.overlay.viewport:
            return 0, 0, h, w
        top, left, bottom, right = self.overlay.viewport
        top, left = max(0, math.floor(top)), max(0, math.floor(left))
        return top, left, max(top + 1, min(h, math.ceil(bottom))), max(left + 1, min(w, math.ceil(right)))

    def _take_action(self, message: dict[str, Any]) -> None:
        if "pointer" in message:
            self._pointer = message["pointer"]
            self._show_value()
        else:
            self._on_action(message)

    def _show_value(self) -> None:
        """Show the value under the pointer."""
        if self._pointer is None or self.pixels is None:
            self.overlay.value = []
            return
        row, column = (int(v) for v in self._pointer)
        full = row - self._empty
        inside = 0 <= full < self.pixels.shape[0] and 0 <= column < self.pixels.shape[1]
        self.overlay.value = [row, column, _formatted(self.pixels[full, column])] if inside else []

    def _place(self, h: int, w: int, y: Axis, x: Axis) -> None:
        """Lay the figure out for an image (h, w) with these axes."""
        if isinstance(self.size, tuple):
            height, width = self.size
        else:
            height, width = on_screen(self.size, h, w)
        room = self.overlay.room - self.beside - MARGIN["left"] - MARGIN["right"]
        if self.overlay.room and width > room:
            if not isinstance(self.size, tuple):
                height = max(SHORTEST, round(height * room / width))
            width = max(SHORTEST, room)
        self.bqplot_figure.layout.width = f"{width + MARGIN['left'] + MARGIN['right']}px"
        self.bqplot_figure.layout.height = f"{height + MARGIN['top'] + MARGIN['bottom']}px"
        self.canvas.area = [MARGIN["top"], MARGIN["left"], height, width]
        axes = dict(zip("xy", self.bqplot_figure.axes, strict=True))
        for name, axis, px in (("x", x, width), ("y", y, height)):
            axes[name].label = axis_or_pixels(axis).unit or "pixels"
            axes[name].num_ticks = None if px > NARROW[name] else 2
            axes[name].tick_format = "" if px > NARROW[name] else ".3~g"
        self._scales["x"].reverse = x.scale < 0
        self._scales["y"].reverse = y.scale >= 0  # rows run downwards
        with self.overlay.hold_sync():
            if self.overlay.shape != [h, w]:
                self.overlay.viewport = []
            self.overlay.shape = [h, w]
            self.overlay.area = self.canvas.area
            self.overlay.y, self.overlay.x = list(axis_or_pixels(y)), list(axis_or_pixels(x))


def on_screen(size: int, h: int, w: int) -> tuple[int, int]:
    """Return (height, width) in px of an image (h, w) whose longer side has `size` px."""
    height, width = (max(SHORTEST, round(size * n / max(h, w))) for n in (h, w))
    return height, width


def _print_shape(axes: Any, shape: dict[str, Any], on_axes: Callable[[Any], np.ndarray]) -> None:
    """Draw a shape of ToolOverlay with its text."""
    points = shape["points"]
    for outline in outlines(shape["kind"], points):
        axes.shape(on_axes(outline), shape["colour"], closed=len(outline) > 2)
    x, y = on_axes(points[-1:])[0]
    axes.write(x + 9, y - 7, ": ".join(filter(None, (shape["name"], shape["label"]))), shape["colour"])


def outlines(kind: str, points: Any) -> list[np.ndarray]:
    """Return the lines, each of shape (n, 2), that make a shape of ToolOverlay, in pixels of the image."""
    places = np.asarray(points, float)
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    circle = np.stack([np.sin(turn), np.cos(turn)], axis=1)
    if kind == "ellipse":
        return [places.mean(axis=0) + circle * np.abs(places[1] - places[0]) / 2]
    if kind == "ring":
        return [places[0] + circle * np.hypot(*(edge - places[0])) for edge in places[1:]]
    if kind == "spot":
        return [places[0] + circle * SPOT]
    return [places]


def _corners(roi: Any) -> list[list[float]]:
    top, left, bottom, right = roi
    return [[top, left], [top, right], [bottom, right], [bottom, left]]


def _formatted(value: Any) -> str:
    if value.ndim:  # a colour
        return ", ".join(str(v) for v in value)
    return f"{value:.6g}" if value.dtype.kind in "fc" else str(value)
