"""Axes: bqplot axes for all plots: calm, legible, and never without a range."""

from __future__ import annotations

import math
from typing import Any

import bqplot
import ipywidgets
import numpy as np

from dmlink_widgets.drawing.ranges import MARGIN, PLOT_SIZE, covering, number_format, ticks


def axes_figure(scales: dict[str, Any], *, grid: bool = True) -> bqplot.Figure:
    """Return a bqplot.Figure without marks, with an axis below and one to the left.

    Parameters
    ----------
    scales : dict
        The bqplot.Scale of "x" and of "y".
    grid : bool
        Whether lines run across at the ticks.
    """
    width, height = PLOT_SIZE
    return bqplot.Figure(
        marks=[],
        axes=[bqplot_axis(scales[name], name, grid=grid) for name in "xy"],
        fig_margin=MARGIN,
        padding_x=0.0,
        padding_y=0.0,
        min_aspect_ratio=0.01,
        max_aspect_ratio=100,
        layout=ipywidgets.Layout(width=f"{width}px", height=f"{height}px", overflow="hidden"),
        background_style={"fill": "none"},
        animation_duration=0,
        display_toolbar=False,  # bqplot's zoom would ignore the overlays
    )


def bqplot_axis(scale: bqplot.Scale, name: str, *, grid: bool = True) -> bqplot.Axis:
    """Return the axis "x", below a figure, or "y", to its left."""
    return bqplot.Axis(
        scale=scale,
        side="bottom" if name == "x" else "left",
        grid_lines="solid" if grid else "none",
        label_offset="32px" if name == "x" else "56px",
    )


def label(name: str, unit: str) -> str:
    """Return the label of an axis, such as "counts (e)"."""
    return f"{name} ({unit})" if name and unit else name or unit


class LinearRange:
    """The range of a linear axis, sent to the page only when it changes.

    Attributes
    ----------
    axis : bqplot.Axis
        The axis.
    limits : tuple of float or None
        Its ends; None before the first values.
    """

    def __init__(self, axis: bqplot.Axis) -> None:
        self.axis = axis
        self.limits: tuple[float, float] | None = None

    def set(self, low: float, high: float) -> None:
        """Make the axis run from `low` to `high`."""
        if (low, high) == self.limits:
            return
        self.limits = low, high
        scale = self.axis.scale
        with scale.hold_sync():
            scale.min, scale.max = low, high
        with self.axis.hold_sync():
            self.axis.tick_values = ticks(low, high, "y" if self.axis.side == "left" else "x")
            self.axis.tick_format = number_format(low, high)

    def cover(self, values: np.ndarray) -> None:
        """Make the axis cover all finite values."""
        self.set(*covering(values, self.limits))

    def fraction(self, values: np.ndarray) -> np.ndarray:
        """Return how far along the axis the values are, from 0 to 1."""
        low, high = self.limits or (0.0, 1.0)
        return (values - low) / (high - low)


class LogRange:
    """The range of a logarithmic y axis, from one power of ten to another.

    Attributes
    ----------
    axis : bqplot.Axis
        The axis.
    """

    def __init__(self) -> None:
        self._decades = -1, 0
        self.axis = bqplot_axis(bqplot.LogScale(min=0.1, max=1.0), "y")
        self.axis.tick_format = ".0e"

    @property
    def limits(self) -> tuple[float, float]:
        """The ends of the axis."""
        low, high = self._decades
        return 10.0**low, 10.0**high

    def cover(self, values: np.ndarray) -> None:
        """Make the axis cover all positive values."""
        positive = values[np.isfinite(values) & (values > 0)]
        if positive.size == 0:
            return
        low = max(math.floor(np.log10(positive.min())), -300)
        high = max(math.ceil(np.log10(positive.max())), low + 1)
        if (low, high) == self._decades:
            return
        self._decades = low, high
        scale = self.axis.scale
        with scale.hold_sync():
            scale.min, scale.max = 10.0**low, 10.0**high
        step = max(1, (high - low) // 5)
        within_decade = [f * 10.0**low for f in (1, 2, 5, 10)]
        self.axis.tick_values = within_decade if high == low + 1 else 10.0 ** np.arange(low, high + 1, step)

    def fraction(self, values: np.ndarray) -> np.ndarray:
        """Return how far along the axis positive values are, from 0 to 1."""
        low, high = self._decades
        fraction: np.ndarray = (np.log10(values) - low) / (high - low)
        return fraction
