"""Line profile: the values of an image along a line, averaged across its width."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

MOST_SAMPLES = 8192  # along a line, and across it


def line_profile(
    pixels: Any, start: tuple[float, float], end: tuple[float, float], width: float = 1.0
) -> np.ndarray:
    """Return the values from `start` to `end`, (y, x), about one per pixel of length.

    They are interpolated between the four nearest pixels, and averaged over `width` pixels across the line;
    NaN outside the image. Values that are not finite are left out of the average.

    Parameters
    ----------
    pixels : numpy.ndarray
        Shape (h, w), or (h, w, 3) of colours, which are averaged.
    start, end : tuple of float
        In pixels from the upper left corner of the image.
    width : float
        In pixels; 1 or less means the line itself.

    Returns
    -------
    numpy.ndarray
        Shape (n,), n at least 2.
    """
    rows, columns = end[0] - start[0], end[1] - start[1]
    long = math.hypot(rows, columns)
    n = min(MOST_SAMPLES, max(2, math.ceil(long) + 1))
    across = min(MOST_SAMPLES, max(1, round(width)))
    along = np.linspace(0.0, 1.0, n)
    aside = np.arange(across) - (across - 1) / 2
    down, right = (columns / long, -rows / long) if long else (0.0, 0.0)  # a pixel to the side
    y = start[0] - 0.5 + along * rows + aside[:, None] * down
    x = start[1] - 0.5 + along * columns + aside[:, None] * right
    values = _between(pixels, y, x)
    there = np.isfinite(values)
    count = there.sum(axis=0)
    total = np.where(there, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _between(pixels: Any, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return values between pixels, whose centres are at whole numbers; NaN outside the image."""
    h, w = pixels.shape[:2]
    inside = (y >= -0.5) & (y <= h - 0.5) & (x >= -0.5) & (x <= w - 0.5)
    y, x = np.clip(y, 0, h - 1), np.clip(x, 0, w - 1)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    below, after = np.minimum(top + 1, h - 1), np.minimum(left + 1, w - 1)
    fy, fx = y - top, x - left
    upper = _mix(_at(pixels, top, left), _at(pixels, top, after), fx)
    lower = _mix(_at(pixels, below, left), _at(pixels, below, after), fx)
    return np.where(inside, _mix(upper, lower, fy), np.nan)


def _mix(one: np.ndarray, other: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return values between one and the other, at `part` of the way; at 0, the other may be NaN."""
    return np.where(part > 0, one * (1 - part) + other * part, one)


def _at(pixels: Any, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    picked = pixels[rows, columns]
    picked = np.abs(picked) if np.iscomplexobj(picked) else picked
    return np.asarray(picked.mean(axis=-1) if picked.ndim > rows.ndim else picked, np.float64)
