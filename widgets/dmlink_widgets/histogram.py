"""Histogram: how often the values of an image occur, and the limits that are shown, to be dragged."""

from __future__ import annotations

import pathlib
from typing import Any

import anywidget
import numpy as np
import traitlets

BINS = 128


class Histogram(anywidget.AnyWidget):
    """Counts (on a logarithmic scale) over the values; `chosen` are the limits that the user last dragged.

    `chosen` is empty after a double click: the limits are to be found again from each frame.
    """

    _esm = (pathlib.Path(__file__).parent / "histogram.js").read_text("utf-8")

    counts: Any = traitlets.List([]).tag(sync=True)
    range = traitlets.List([0.0, 1.0]).tag(sync=True)  # the values at both ends
    limits = traitlets.List([0.0, 1.0]).tag(sync=True)  # that are shown as the first and the last colour
    chosen: Any = traitlets.List([]).tag(sync=True)
    width = traitlets.Int(420).tag(sync=True)  # px
    height = traitlets.Int(64).tag(sync=True)

    def draw(self, values: np.ndarray, limits: tuple[float, float]) -> None:
        """Count the values, shape (h, w); those that are not finite are left out."""
        counts, ends = counted(values, limits)
        with self.hold_sync():
            self.counts, self.range, self.limits = counts, ends, list(limits)


def counted(values: Any, limits: tuple[float, float]) -> tuple[list[int], list[float]]:
    """Return (counts in BINS steps, [first value, last value]); the steps reach over values and limits."""
    finite = values[np.isfinite(values)].astype(np.float64)
    inside = (float(finite.min()), float(finite.max())) if finite.size else limits
    low, high = min(inside[0], limits[0]), max(inside[1], limits[1])
    if not high - low > abs(high) * 1e-6:  # all are the same
        low, high = low - 0.5, low + max(1.0, abs(low) * 1e-6)
    counts, _ = np.histogram(finite, BINS, (low, high))
    return counts.tolist(), [low, high]
