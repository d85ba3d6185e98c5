"""ImageResult: an image with axes in its units, its contrast to be chosen."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import tifffile

from dmlink_widgets import picture, text
from dmlink_widgets.contrast_controls import ContrastControls
from dmlink_widgets.image_figure import ImageFigure
from dmlink_widgets.toolbar import button, toggle, toolbar

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.indm.results import Image

SIZE = 384  # px on the screen
SMALLEST_SCALE = 1e-6  # of a pixel, that TIFF's fractions can say


class ImageResult:
    """The image that a cell gives, as the live view shows its own: zoomed, read, its contrast chosen."""

    def __init__(self, changed: Callable[[], None], size: int = SIZE) -> None:
        self.figure = ImageFigure(size, changed, description="image")
        self.contrast = ContrastControls(changed)
        self._result: Image | None = None
        self._adjust = toggle("adjust", "Contrast and colours", self._open_contrast)
        self._limits = ipywidgets.HTML()
        bar = toolbar(
            self._adjust,
            button("expand", "Show the whole image (double-click)", self.figure.show_all),
            self._limits,
        )
        self.widget = ipywidgets.VBox([bar, self.contrast.widget, self.figure.widget])

    def take(self, time: float, result: Image) -> None:
        """Nothing to remember: only the newest is shown."""

    def draw(self, result: Image, *, small: bool, lossless: bool = False) -> None:
        """Draw the image."""
        self._result = result
        self.figure.describe(result.name or "image")
        self.figure.draw(
            result.values, result.y, result.x, self.contrast.contrast, small=small, lossless=lossless
        )
        self._adjust.disabled = result.values.ndim == 3

    def write(self) -> None:
        """Say which values are shown, and how often they occur."""
        if self._result is None:
            return
        self.contrast.draw(self.figure)
        low, high = self.figure.limits
        self._limits.value = "" if self._adjust.disabled else text.status(f"{low:.5g} to {high:.5g}")

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return what can be saved, by the end of the file's name."""
        return {".tif": self._tiff, ".png": self._png, ".npy": lambda: array_file(self._pixels)}

    @property
    def _pixels(self) -> Any:
        return np.empty((0, 0)) if self._result is None else np.asarray(self._result.values)

    def _tiff(self) -> bytes:
        """Return the values as they are; ImageJ and DigitalMicrograph read the calibration."""
        file = io.BytesIO()
        pixels = self._pixels
        pixels = pixels.astype(np.uint8) if pixels.dtype == bool else pixels
        x = self._result.x if self._result else None
        simple = pixels.dtype.name in {"uint8", "uint16", "float32"}
        if simple and x and x.unit and SMALLEST_SCALE < x.scale < 1 / SMALLEST_SCALE:
            resolution = (1 / x.scale, 1 / x.scale)
            tifffile.imwrite(file, pixels, imagej=True, resolution=resolution, metadata={"unit": x.unit})
        else:
            tifffile.imwrite(file, pixels)
        return file.getvalue()

    def _png(self) -> bytes:
        """Return what is seen, in the image's own pixels."""
        pixels = self._pixels
        return picture.encoded(pixels, max(pixels.shape[:2]), self.contrast.contrast, lossless=True)[0]

    def _open_contrast(self, opened: bool) -> None:
        self.contrast.widget.reveal(opened)
        self.contrast.draw(self.figure)


def array_file(array: np.ndarray) -> bytes:
    """Return an array as NumPy's file format."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
