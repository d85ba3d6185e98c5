"""Figure: bqplot's axes, as all plots here have them: calm, legible, and never without a range."""

from __future__ import annotations

import math
from typing import Any

import bqplot
import ipywidgets
import numpy as np

from dmlink.indm.info import Axis

MARGIN = {"top": 8, "bottom": 48, "left": 72, "right": 16}  # px
PLOT_SIZE = 560, 240  # px, of a curve's figure: width, height
PLOT_AREA = {  # px of its axes
    "x": PLOT_SIZE[0] - MARGIN["left"] - MARGIN["right"],
    "y": PLOT_SIZE[1] - MARGIN["top"] - MARGIN["bottom"],
}
POINTS = 2 * PLOT_AREA["x"]  # of a curve: the lowest and the highest of each pixel
SMALL_POINTS = 256  # where few bytes are wanted
LARGEST = 1e300  # beyond it the difference of two numbers is no number any more
TICK_PX = {"x": 64, "y": 40}  # for each number along an axis


def figure(
    scales: dict[str, Any],
    *,
    grid: bool = True,
    size: tuple[int, int] = PLOT_SIZE,
) -> bqplot.Figure:
    """Return a figure of `size` (width, height) px with an axis below and one to the left."""
    width, height = size
    axes = [
        axis(scales["x"], "x", grid=grid),
        axis(scales["y"], "y", grid=grid),
    ]
    return bqplot.Figure(
        marks=[],
        axes=axes,
        fig_margin=MARGIN,
        padding_x=0.0,
        padding_y=0.0,
        min_aspect_ratio=0.01,
        max_aspect_ratio=100,
        layout=ipywidgets.Layout(width=f"{width}px", height=f"{height}px", overflow="hidden"),
        background_style={"fill": "none"},
        animation_duration=0,
        display_toolbar=False,  # its zoom does not know of what lies over the figure
    )


def axis(scale: Any, name: str, *, grid: bool = True) -> bqplot.Axis:
    """Return the axis "x" below, or "y" to the left, of a figure."""
    return bqplot.Axis(
        scale=scale,
        side="bottom" if name == "x" else "left",
        grid_lines="solid" if grid else "none",
        label_offset="32px" if name == "x" else "56px",
    )


def ticks(low: float, high: float, name: str) -> np.ndarray:
    """Return round numbers from `low` to `high`, as many as can be read along "x" or "y" of a plot."""
    step = nice((high - low) / max(1, PLOT_AREA[name] // TICK_PX[name]))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return np.arange(first, last + 1) * step


def label(name: str, unit: str) -> str:
    """Return what is written at an axis."""
    return f"{name} ({unit})" if name and unit else name or unit


def drawable(axis: Axis) -> Axis:
    """Return the axis; one that has no length, or none that is a number, counts pixels instead."""
    if axis.scale and math.isfinite(axis.scale) and math.isfinite(axis.origin):
        return axis
    return Axis()


def covering(values: np.ndarray, now: tuple[float, float] | None = None) -> tuple[float, float]:
    """Return round limits that hold all finite values: `now`, as long as these fill it well.

    So an axis does not dance with every frame.
    """
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return now or (0.0, 1.0)
    low, high = (float(np.clip(v, -LARGEST, LARGEST)) for v in (finite.min(), finite.max()))
    if now and now[0] <= low <= high <= now[1] and high - low >= 0.4 * (now[1] - now[0]):
        return now
    pad = 0.08 * (high - low)
    pad = max(pad, 1e-6 * max(abs(low), abs(high))) or 0.5
    step = nice((high - low + 2 * pad) / 8)
    bottom = 0.0 if 0 <= low < high else -math.inf  # what is never negative needs no room below
    if now and low == high and now[0] < low < now[1] and now[1] - now[0] <= 20 * step:
        return now
    return max(bottom, math.floor((low - pad) / step) * step), math.ceil((high + pad) / step) * step


def nice(step: float) -> float:
    """Return the next number not below `step` that is 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def number_format(low: float, high: float) -> str:
    """Return d3's format for the numbers between two limits: as short as tells them apart."""
    step = nice((high - low) / 8)
    largest = max(abs(low), abs(high))
    if largest >= 1e5 or largest < 1e-2:
        digits = math.floor(math.log10(largest)) - math.floor(math.log10(step))
        return f".{min(max(digits, 0), 4)}e"
    return f".{max(0, -math.floor(math.log10(step) + 1e-9))}f"


def envelope(y: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (indices, values) of at most `n` points that look like all of `y`: no peak is lost.

    Of each of n/2 stretches the smallest and the largest value, in their order; stretches without any
    number stay a gap.
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


def finite(values: np.ndarray) -> np.ndarray:
    """Return the values as floats; what cannot be drawn is a gap."""
    drawn = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(drawn) <= LARGEST, drawn, np.nan)


class Limits:
    """The range of one axis, sent to the page only when it changes."""

    def __init__(self, scale: bqplot.Scale, axis: bqplot.Axis) -> None:
        self._scale = scale
        self.axis = axis
        self.now: tuple[float, float] | None = None

    def set(self, low: float, high: float) -> None:
        """Let the axis run from `low` to `high`."""
        if (low, high) == self.now:
            return
        self.now = low, high
        with self._scale.hold_sync():
            self._scale.min, self._scale.max = low, high
        form = number_format(low, high)
        with self.axis.hold_sync():
            self.axis.tick_values = ticks(low, high, "y" if self.axis.side == "left" else "x")
            self.axis.tick_format = form

    def cover(self, values: np.ndarray) -> None:
        """Let the axis hold all finite values."""
        self.set(*covering(values, self.now))

    def share(self, values: np.ndarray) -> np.ndarray:
        """Return where values are along the axis, from 0 to 1."""
        low, high = self.now or (0.0, 1.0)
        return (values - low) / (high - low)


class Decades:
    """The range of a logarithmic axis to the left; it runs from one power of ten to another."""

    def __init__(self) -> None:
        self._scale = bqplot.LogScale(min=0.1, max=1.0)
        self.axis = axis(self._scale, "y")
        self.axis.tick_format = ".0e"
        self._now = -1, 0

    def cover(self, values: np.ndarray) -> None:
        """Let it hold all positive values."""
        positive = values[np.isfinite(values) & (values > 0)]
        if positive.size == 0:
            return
        low = max(math.floor(np.log10(positive.min())), -300)
        high = max(math.ceil(np.log10(positive.max())), low + 1)
        if (low, high) == self._now:
            return
        self._now = low, high
        with self._scale.hold_sync():
            self._scale.min, self._scale.max = 10.0**low, 10.0**high
        step = max(1, (high - low) // 5)
        few = [f * 10.0**low for f in (1, 2, 5, 10)]
        self.axis.tick_values = few if high == low + 1 else 10.0 ** np.arange(low, high + 1, step)

    def share(self, values: np.ndarray) -> np.ndarray:
        """Return where positive values are along the axis, from 0 to 1."""
        low, high = self._now
        share: np.ndarray = (np.log10(values) - low) / (high - low)
        return share
