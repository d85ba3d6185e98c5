"""ImagePlot: an image with axes in its units."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets
import numpy as np
import tifffile

from dmlink_widgets import picture, text
from dmlink_widgets.canvas import Canvas
from dmlink_widgets.colour import MAPS
from dmlink_widgets.contrast import Contrast
from dmlink_widgets.plots.figure import MARGIN, Limits, drawable, ends, figure, ticks

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.indm.info import Axis
    from dmlink.indm.results import Image

SMALLEST_SCALE = 1e-6  # of a pixel, that TIFF's fractions can say


class ImagePlot:
    """An image, `size` px at its longer side.

    Attributes
    ----------
    contrast : Contrast
        How its values become colours.
    limits : tuple of float
        The values that are shown as the first and the last colour.
    shape : tuple of int
        (h, w) of the last image drawn, in its pixels.
    """

    def __init__(self, size: int = 512, changed: Callable[[], None] = lambda: None) -> None:
        self.size = size
        self.contrast = Contrast()
        self.limits = (0.0, 1.0)
        self.shape: tuple[int, int] = (0, 0)
        self._changed = changed
        self._pixels: Any = None
        self._axes: tuple[Axis, Axis] | None = None
        self.scales = {"x": bqplot.LinearScale(), "y": bqplot.LinearScale(reverse=True)}
        self.figure = figure([], self.scales, grid=False, size=(size, size))
        self._ranges = {
            name: Limits(self.scales[name], axis) for name, axis in zip("xy", self.figure.axes, strict=True)
        }
        self.canvas = Canvas()
        self.widget = ipywidgets.Box([self.canvas, self.figure])
        self.widget.add_class("dmlink-picture")
        self._extent: tuple[Any, ...] = ()

    def draw_pixels(self, pixels: Any, y: Axis, x: Axis, *, small: bool, lossless: bool = False) -> None:
        """Draw pixels of shape (h, w) or (h, w, 3) over their axes."""
        if pixels.size == 0:
            return
        self._pixels, self._axes = pixels, (y, x)
        size = self.size // 4 if small else self.size
        data, self.limits = picture.encoded(pixels, size, self.contrast, lossless=lossless)
        h, w = self.shape = pixels.shape[:2]
        if self._extent != (h, w, y, x):
            self._extent = (h, w, y, x)
            self._place(h, w, y, x)
        self.canvas.picture = data

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return what can be saved, by the end of the file's name."""
        return {".tif": self._tiff, ".png": self._png, ".npy": lambda: array_file(np.asarray(self._pixels))}

    @property
    def plot_area(self) -> tuple[int, int]:
        """(height, width) in px of the image on the screen."""
        h, w = self.shape
        longer = max(h, w, 1)
        return max(32, round(self.size * h / longer)), max(32, round(self.size * w / longer))

    def _place(self, h: int, w: int, y: Axis, x: Axis) -> None:
        height, width = self.plot_area
        self.figure.layout.width = f"{width + MARGIN['left'] + MARGIN['right']}px"
        self.figure.layout.height = f"{height + MARGIN['top'] + MARGIN['bottom']}px"
        self.canvas.area = [MARGIN["top"], MARGIN["left"], height, width]
        for (name, shown), axis, n, px in zip(
            zip("xy", self.figure.axes, strict=True), (x, y), (w, h), (width, height), strict=True
        ):
            # an axis that runs backwards, or stands still, would turn or lose the image
            low, high = ends(axis, n)
            self._ranges[name].set(low, high)
            shown.tick_values = ticks(low, high, px)
            shown.label = drawable(axis).unit or "pixels"

    def _tiff(self) -> bytes:
        """Return the values as they are; ImageJ and DigitalMicrograph read the calibration."""
        file = io.BytesIO()
        pixels = np.asarray(self._pixels)
        pixels = pixels.astype(np.uint8) if pixels.dtype == bool else pixels
        _, x = self._axes or (None, None)
        simple = pixels.dtype.name in {"uint8", "uint16", "float32"}
        if simple and x and x.unit and SMALLEST_SCALE < x.scale < 1 / SMALLEST_SCALE:
            resolution = (1 / x.scale, 1 / x.scale)
            tifffile.imwrite(file, pixels, imagej=True, resolution=resolution, metadata={"unit": x.unit})
        else:
            tifffile.imwrite(file, pixels)
        return file.getvalue()

    def _png(self) -> bytes:
        """Return what is seen, in the image's own pixels."""
        longer = max(self._pixels.shape[:2])
        return picture.encoded(self._pixels, longer, self.contrast, lossless=True)[0]


class ImageResult:
    """The image that a cell gives, with its colour map and contrast to be chosen."""

    def __init__(self, changed: Callable[[], None], size: int = 384) -> None:
        self.plot = ImagePlot(size, changed)
        self._changed = changed
        self._colours = ipywidgets.Dropdown(
            options=list(MAPS), tooltip="Colour map", layout={"width": "120px"}
        )
        self._log = ipywidgets.ToggleButton(
            description="Log", tooltip="Logarithmic scale of grey levels", layout={"width": "72px"}
        )
        self._fixed = ipywidgets.ToggleButton(
            description="Fix", tooltip="Keep these limits for the next images", layout={"width": "72px"}
        )
        self._limits = ipywidgets.HTML()
        for control in (self._colours, self._log, self._fixed):
            control.observe(self._set, "value")
        self._bar = ipywidgets.HBox([self._colours, self._log, self._fixed, self._limits])
        self._bar.add_class("dmlink-tools")
        self.widget = ipywidgets.VBox([self._bar, self.plot.widget])

    def take(self, time: float, result: Image) -> None:
        """Nothing to remember: only the newest is shown."""

    def draw(self, result: Image, *, small: bool, lossless: bool = False) -> None:
        """Draw the image."""
        self.plot.canvas.description = result.name or "image"
        self.plot.draw_pixels(result.values, result.y, result.x, small=small, lossless=lossless)
        colour = result.values.ndim == 3
        self._bar.layout.display = "none" if colour else ""
        if not colour:
            low, high = self.plot.limits
            self._limits.value = text.status(f"{low:.5g} to {high:.5g}".ljust(26))

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return what can be saved, by the end of the file's name."""
        return self.plot.files()

    def _set(self, _: dict[str, Any]) -> None:
        self.plot.contrast = replace(
            self.plot.contrast,
            colours=self._colours.value,
            log=self._log.value,
            fixed=self.plot.limits if self._fixed.value else None,
        )
        self._changed()


def array_file(array: np.ndarray) -> bytes:
    """Return an array as NumPy's file format."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
