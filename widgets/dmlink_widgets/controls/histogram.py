"""Histogram: the values of an image, and the draggable limits of its contrast."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from dmlink_widgets.page_widget import PageWidget

if TYPE_CHECKING:
    from dmlink_widgets.drawing.contrast import Contrast

BINS = 128
BAR_STEPS = 33  # colours of the bar; the page interpolates between them


class Histogram(PageWidget):
    """Counts over the values, on a logarithmic scale.

    `chosen` holds the limits that the user has dragged. A double-click clears it: the limits are found from
    each frame again.
    """

    _code = (pathlib.Path(__file__).parent / "histogram.js").read_text("utf-8")

    counts: Any = traitlets.List([]).tag(sync=True)
    range = traitlets.List([0.0, 1.0]).tag(sync=True)  # the values at both ends
    limits = traitlets.List([0.0, 1.0]).tag(sync=True)  # drawn as the first and the last colour
    chosen: Any = traitlets.List([]).tag(sync=True)
    colours: Any = traitlets.List([]).tag(sync=True)  # "#rrggbb" in equal steps from one limit to the other
    unit = traitlets.Unicode().tag(sync=True)  # of the values
    width = traitlets.Int(420).tag(sync=True)  # px; less if there is no room
    height = traitlets.Int(64).tag(sync=True)

    def draw(
        self, values: np.ndarray, limits: tuple[float, float], contrast: Contrast, unit: str = ""
    ) -> None:
        """Count the finite values, shape (h, w), in `unit`."""
        counts, ends = count_values(values, limits)
        with self.hold_sync():
            self.colours = contrast.steps(BAR_STEPS)
            self.counts, self.range, self.limits, self.unit = counts, ends, list(limits), unit


def count_values(values: Any, limits: tuple[float, float]) -> tuple[list[int], list[float]]:
    """Return (counts in BINS bins, [first value, last value]); the bins contain values and limits."""
    finite = values[np.isfinite(values)].astype(np.float64)
    inside = (float(finite.min()), float(finite.max())) if finite.size else limits
    low, high = min(inside[0], limits[0]), max(inside[1], limits[1])
    if not high - low > abs(high) * 1e-6:  # all values are the same
        low, high = low - 0.5, low + max(1.0, abs(low) * 1e-6)
    counts, _ = np.histogram(finite, BINS, (low, high))
    return counts.tolist(), [low, high]
