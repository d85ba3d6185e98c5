"""ImagePlot: an image over axes in its units, with adjustable contrast."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import tifffile

from dmlink.frame import Axis
from dmlink.recordings.writing.convert import IMAGEJ_TYPES, imagej_calibration
from dmlink_widgets.controls import html_text
from dmlink_widgets.controls.contrast_controls import ContrastControls
from dmlink_widgets.controls.toolbar import button, toggle, toolbar
from dmlink_widgets.drawing import picture
from dmlink_widgets.drawing.image_figure import ImageFigure
from dmlink_widgets.pacing.round import Html
from dmlink_widgets.plots.plot import Plot, array_file

if TYPE_CHECKING:
    from collections.abc import Callable

    import PIL.Image

    from dmlink.indm.results import Image

SIZE = 384  # px on the screen


class ImagePlot(Plot):
    """The newest image, with the zoom, measuring and contrast of the live view."""

    def __init__(self, changed: Callable[[], None], size: int = SIZE) -> None:
        self.figure = ImageFigure(size, changed, description="image")
        self.contrast = ContrastControls(changed)
        self._result: Image | None = None
        self._adjust = toggle("adjust", "Contrast and colours", self._open_contrast)
        self._limits = Html()
        bar = toolbar(
            self._adjust,
            button("expand", "Show the whole image (double-click)", self.figure.show_all),
            self._limits,
        )
        self.widget = ipywidgets.VBox([bar, self.figure.widget, self.contrast.widget])

    def draw(self, result: Image, *, small: bool, lossless: bool = False) -> None:
        """Draw the image."""
        self._result = result
        self.figure.describe(result.name or "image")
        self.figure.draw(
            result.values, result.y, result.x, self.contrast.contrast, small=small, lossless=lossless
        )
        self._adjust.disabled = result.values.ndim == 3

    def write(self) -> None:
        """Write the limits of the contrast."""
        if self._result is None:
            return
        low, high = self.figure.limits
        self._limits.value = "" if self._adjust.disabled else html_text.message(f"{low:.5g} to {high:.5g}")

    def draw_status(self) -> None:
        """Show the histogram."""
        if self._result is not None:
            self.contrast.draw(self.figure)

    def picture(self) -> PIL.Image.Image:
        """Return the image with its axes."""
        return self.figure.picture()

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return the values as TIFF and in NumPy's format, and the picture as PNG."""
        return {".tif": self._tiff, ".png": self._png, ".npy": lambda: array_file(self._pixels)}

    def close(self) -> None:
        """Close its widgets."""
        self.figure.close()
        super().close()

    @property
    def _pixels(self) -> Any:
        return np.empty((0, 0)) if self._result is None else np.asarray(self._result.values)

    def _tiff(self) -> bytes:
        """Return the unchanged values with a calibration that ImageJ and DigitalMicrograph read."""
        file = io.BytesIO()
        pixels = self._pixels
        pixels = pixels.astype(np.uint8) if pixels.dtype == bool else pixels
        y, x = (self._result.y, self._result.x) if self._result else (Axis(), Axis())
        calibration = imagej_calibration(y, x)
        if calibration and pixels.dtype.name in IMAGEJ_TYPES:
            resolution = (1 / x.scale, 1 / y.scale)
            tifffile.imwrite(file, pixels, imagej=True, resolution=resolution, metadata=calibration)
        else:
            tifffile.imwrite(file, pixels)
        return file.getvalue()

    def _png(self) -> bytes:
        """Return the picture at the image's own resolution."""
        pixels = self._pixels
        return picture.render(pixels, max(pixels.shape[:2]), self.contrast.contrast, lossless=True)[0]

    def _open_contrast(self, opened: bool) -> None:
        self.contrast.widget.reveal(opened)
        self.contrast.draw(self.figure)
