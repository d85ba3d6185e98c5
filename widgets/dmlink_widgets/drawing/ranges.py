"""Ranges: the ends of an axis and the numbers along it."""

from __future__ import annotations

import math

import numpy as np

from dmlink.frame import Axis

MARGIN = {"top": 8, "bottom": 48, "left": 72, "right": 16}  # px around the axes
PLOT_SIZE = 560, 240  # px, width and height of a curve's figure
PLOT_AREA = {  # px for its axes
    "x": PLOT_SIZE[0] - MARGIN["left"] - MARGIN["right"],
    "y": PLOT_SIZE[1] - MARGIN["top"] - MARGIN["bottom"],
}
TICK_PX = {"x": 64, "y": 40}  # px for each number along an axis
LARGEST = 1e300  # the difference of two larger numbers overflows


def covering(values: np.ndarray, now: tuple[float, float] | None = None) -> tuple[float, float]:
    """Return round limits that cover all finite values.

    Parameters
    ----------
    values : numpy.ndarray
        Any shape.
    now : tuple of float, optional
        The current limits; kept while the values fill them well, so that the axis does not change with every
        frame.
    """
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return now or (0.0, 1.0)
    low, high = (float(np.clip(v, -LARGEST, LARGEST)) for v in (finite.min(), finite.max()))
    if now and now[0] <= low <= high <= now[1] and high - low >= 0.4 * (now[1] - now[0]):
        return now
    pad = 0.08 * (high - low)
    if low == high:  # a constant does not need six decimals
        pad = 0.1 * abs(low) or 0.5
    pad = max(pad, 1e-6 * max(abs(low), abs(high)))
    step = nice((high - low + 2 * pad) / 8)
    bottom = 0.0 if 0 <= low < high else -math.inf  # values that are never negative need no room below zero
    if now and low == high and now[0] < low < now[1] and now[1] - now[0] <= 20 * step:
        return now
    return max(bottom, math.floor((low - pad) / step) * step), math.ceil((high + pad) / step) * step


def nice(step: float) -> float:
    """Return the smallest number not below `step` that is 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def ticks(low: float, high: float, name: str) -> np.ndarray:
    """Return round numbers from `low` to `high`, as many as there is room for along "x" or "y" of a plot."""
    step = nice((high - low) / max(1, PLOT_AREA[name] // TICK_PX[name]))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return np.arange(first, last + 1) * step


def number_format(low: float, high: float) -> str:
    """Return a d3 format for the numbers between two limits, with just enough digits to distinguish them."""
    step = nice((high - low) / 8)
    largest = max(abs(low), abs(high))
    if largest >= 1e5 or largest < 1e-2:
        digits = math.floor(math.log10(largest)) - math.floor(math.log10(step))
        return f".{min(max(digits, 0), 4)}e"
    return f".{max(0, -math.floor(math.log10(step) + 1e-9))}f"


def axis_or_pixels(axis: Axis) -> Axis:
    """Return the axis, or one in pixels if its scale is zero or not finite."""
    if axis.scale and math.isfinite(axis.scale) and math.isfinite(axis.origin):
        return axis
    return Axis()
