"""Picture: an image for the browser, reduced to its size on the screen, coloured and encoded."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import PIL.Image
import simplejpeg

from dmlink_widgets.drawing.contrast import Contrast

QUALITY = 80
NEARLY = 0.05  # of a block
SAMPLES = 4  # most pixels averaged along each side of a block: more take longer and look the same


def render(
    pixels: Any, size: int | tuple[int, int], contrast: Contrast | None = None, *, lossless: bool = False
) -> tuple[bytes, tuple[float, float]]:
    """Return (JPEG or PNG, the values drawn as the first and as the last colour).

    Parameters
    ----------
    pixels : numpy.ndarray
        Shape (h, w), any numeric type (complex numbers are shown as their magnitude), or (h, w, 3) uint8.
    size : int or (int, int)
        The longest side that the picture may have, or (height, width), in pixels; a larger image is reduced,
        see `steps`.
    contrast : Contrast, optional
        How values become colours; not used for (h, w, 3).
    lossless : bool
        Whether to return a PNG, for a picture that stays on screen.
    """
    if pixels.ndim == 3:
        dy, dx = steps(pixels.shape[:2], size)
        h, w = (n - n % step for n, step in zip(pixels.shape[:2], (dy, dx), strict=True))
        return encode(np.ascontiguousarray(pixels[:h:dy, :w:dx]), lossless=lossless), (0.0, 255.0)
    contrast = contrast or Contrast()
    grey = reduced(pixels, size)
    limits = contrast.limits(grey)
    return encode(contrast.apply(grey, limits), lossless=lossless), limits


def steps(shape: tuple[int, int], size: int | tuple[int, int]) -> tuple[int, int]:
    """Return how many rows and how many columns become one pixel.

    With one `size` for the longer side, these are equal; with (height, width), each side is reduced
    separately, to a few pixels more if it nearly fits.
    """
    if isinstance(size, int):
        step = -(-max(shape) // size)
        dy, dx = (min(step, n) for n in shape)
    else:
        dy, dx = (min(math.ceil(n / most - NEARLY), n) for n, most in zip(shape, size, strict=True))
    return max(1, dy), max(1, dx)


@np.errstate(over="ignore", invalid="ignore")  # infinities of both signs have no mean
def reduced(pixels: Any, size: int | tuple[int, int]) -> np.ndarray:
    """Return the pixels as float32, averaged over blocks until no side is longer than `size`; see `steps`."""
    dy, dx = steps(pixels.shape, size)
    if dy == dx == 1:
        return np.asarray(_magnitude(pixels), np.float32)
    h, w = pixels.shape[0] // dy, pixels.shape[1] // dx
    pixels = pixels[: h * dy, : w * dx]
    picked_rows, picked_columns = (range(0, step, max(1, step // SAMPLES)) for step in (dy, dx))
    # first the rows of the blocks, then the columns: many times as fast as NumPy's mean over two axes
    rows = np.zeros((h, w * dx), np.float32)
    grey = np.zeros((h, w), np.float32)
    for i in picked_rows:  # converted on the fly: a copy would take megabytes and twice the time
        np.add(rows, _magnitude(pixels[i::dy]), out=rows, dtype=np.float32, casting="unsafe")
    for i in picked_columns:
        grey += rows[:, i::dx]
    return grey / (len(picked_rows) * len(picked_columns))


def encode(colours: np.ndarray, *, lossless: bool = False) -> bytes:
    """Return (h, w) or (h, w, 3) uint8 as a JPEG, or as a PNG without loss."""
    if lossless:
        file = io.BytesIO()
        PIL.Image.fromarray(colours).save(file, "PNG", compress_level=1)
        return file.getvalue()
    space = "GRAY" if colours.ndim == 2 else "RGB"
    pixels = np.ascontiguousarray(colours[..., None] if colours.ndim == 2 else colours)
    data: bytes = simplejpeg.encode_jpeg(pixels, quality=QUALITY, colorspace=space)
    return data


def _magnitude(pixels: Any) -> Any:
    return np.abs(pixels) if np.iscomplexobj(pixels) else pixels
