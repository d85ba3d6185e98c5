"""Samples: the points of a curve that have to be drawn."""

from __future__ import annotations

import numpy as np

from dmlink_widgets.drawing.ranges import LARGEST, PLOT_AREA

POINTS = 2 * PLOT_AREA["x"]  # points of a curve: the lowest and the highest value in each pixel column
SMALL_POINTS = 256  # when few bytes should be sent


def finite(values: np.ndarray) -> np.ndarray:
    """Return the values as floats; values that cannot be drawn become NaN (a gap)."""
    floats = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(floats) <= LARGEST, floats, np.nan)


def envelope(y: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (indices, values) of at most `n` points that keep every peak of `y`, shape (m,).

    They are the smallest and the largest value of each of n/2 stretches, in order; a stretch of NaN
    remains a gap.
    """
    if len(y) <= n:
        return np.arange(len(y)), y
    step = -(-len(y) // (n // 2))
    padded = np.full(-(-len(y) // step) * step, np.nan)
    padded[: len(y)] = y
    blocks = padded.reshape(-1, step)
    lowest = np.where(np.isnan(blocks), np.inf, blocks).argmin(axis=1)
    highest = np.where(np.isnan(blocks), -np.inf, blocks).argmax(axis=1)
    picked = np.sort(np.stack([lowest, highest], axis=1), axis=1)
    indices = np.minimum((picked + np.arange(len(blocks))[:, None] * step).ravel(), len(y) - 1)
    return indices, y[indices]
