"""ProfilePlot: a curve over its axis, or the last curves as a waterfall."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets
import numpy as np

from dmlink.indm.info import Axis
from dmlink_widgets.colour import COLOURS
from dmlink_widgets.figure import (
    PLOT_AREA,
    POINTS,
    SMALL_POINTS,
    Limits,
    axis,
    drawable,
    envelope,
    figure,
    finite,
    label,
)
from dmlink_widgets.image_figure import ImageFigure
from dmlink_widgets.plots.history import table
from dmlink_widgets.plots.image import array_file
from dmlink_widgets.plots.waterfall import Waterfall

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.indm.results import Profile

HELD = "#9e9e9e"  # the curve that the others are compared with
ROWS = 256  # curves of a waterfall
WIDTHS = {"Log": "72px", "Hold": "76px", "Waterfall": "104px"}


class ProfilePlot:
    """The newest curve, and one to compare it with; or one row for each frame, the newest below."""

    def __init__(
        self, changed: Callable[[], None], colour: str = COLOURS[0], *, waterfall: bool = False
    ) -> None:
        self.waterfall = Waterfall(ROWS)
        self._changed = changed
        self._newest: Profile | None = None
        self._held: Profile | None = None
        self._scales = {"x": bqplot.LinearScale(), "y": bqplot.LinearScale()}
        self._line = bqplot.Lines(x=[], y=[], colors=[colour], scales=self._scales, stroke_width=1.5)
        self._compared = bqplot.Lines(x=[], y=[], colors=[HELD], scales=self._scales, stroke_width=1.5)
        self.figure = figure([self._compared, self._line], self._scales)
        x, self._y_axis = self.figure.axes
        self._x, self._y = Limits(self._scales["x"], x), Limits(self._scales["y"], self._y_axis)
        self._decades = Decades()
        self.image = ImageFigure(
            (PLOT_AREA["y"], PLOT_AREA["x"]), changed, description="waterfall", scale_bar=False
        )
        self._log = _toggle("Log", "Logarithmic scale; values that are not positive are left out")
        self._hold = _toggle("Hold", "Keep this curve, to compare the next ones with it")
        self._fall = _toggle("Waterfall", "One row for each frame, the newest below")
        self._fall.value = waterfall
        self._log.observe(self._rescaled, "value")
        self._hold.observe(self._kept, "value")
        self._fall.observe(self._turned, "value")
        bar = ipywidgets.HBox([self._log, self._hold, self._fall])
        bar.add_class("dmlink-tools")
        self._shown = ipywidgets.Box()
        self.widget = ipywidgets.VBox([bar, self._shown])
        self._arrange()

    def take(self, time: float, result: Profile) -> None:
        """Remember a row of the waterfall."""
        self.waterfall.add(time, result.values, drawable(result.x))

    def draw(self, result: Profile, *, small: bool, lossless: bool = False) -> None:
        """Draw the curve, or the waterfall."""
        self._newest = result
        if self._fall.value:
            self._draw_waterfall(drawable(result.x), small=small, lossless=lossless)
            return
        n = SMALL_POINTS if small else POINTS
        values = self._drawable(result)
        compared = self._drawable(self._held) if self._held else np.empty(0)
        _draw(self._line, values, drawable(result.x), n)
        if self._held:
            _draw(self._compared, compared, drawable(self._held.x), n)
        along = drawable(result.x)
        low, high = sorted((along.origin, along.origin + along.scale * max(1, len(values) - 1)))
        self._x.set(low, high)
        self._cover(np.concatenate([values, compared]))
        below, left = self.figure.axes
        _name(below, along.unit or "pixels")
        _name(left, label(result.name, result.value_unit))

    def _draw_waterfall(self, x: Axis, *, small: bool, lossless: bool) -> None:
        rows, y = self.waterfall.rows, Axis(-ROWS * self.waterfall.interval, self.waterfall.interval, "s")
        if self._log.value:
            rows = np.log10(rows, where=rows > 0, out=np.full(rows.shape, np.nan))
        if rows.size:
            missing = np.full((ROWS - len(rows), rows.shape[1]), np.nan)  # so that nothing grows
            self.image.draw(np.concatenate([missing, rows]), y, x, small=small, lossless=lossless)

    def write(self) -> None:
        """There are no words beside it."""

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return what can be saved, by the end of the file's name."""
        return {
            ".csv": self._csv,
            ".npy": lambda: array_file(np.asarray(self._newest.values) if self._newest else np.empty(0)),
            "-waterfall.npy": lambda: array_file(self.waterfall.rows),
        }

    def _csv(self) -> bytes:
        if self._newest is None:
            return b""
        along, values = self._newest.x, self._newest.values
        return table(
            {
                label("x", along.unit or "pixels"): along.values(len(values)),
                label(self._newest.name or "value", self._newest.value_unit): values,
            }
        )

    def _drawable(self, result: Profile) -> np.ndarray:
        values = finite(result.values)
        return np.where(values > 0, values, np.nan) if self._log.value else values

    def _cover(self, values: np.ndarray) -> None:
        if not self._log.value:
            self._y.cover(values)
            return
        self._decades.cover(values)

    def _rescaled(self, change: dict[str, Any]) -> None:
        """Take the axis of the other scale: one that changes its scale keeps ticks of the last one."""
        scale = self._decades.scale if change["new"] else self._scales["y"]
        for mark in (self._compared, self._line):
            mark.scales = {"x": self._scales["x"], "y": scale}
        self.figure.axes = [self.figure.axes[0], self._decades.axis if change["new"] else self._y_axis]
        self._changed()

    def _kept(self, change: dict[str, Any]) -> None:
        self._held = self._newest if change["new"] else None
        if self._held is None:
            with self._compared.hold_sync():
                self._compared.x, self._compared.y = [], []
        self._changed()

    def _turned(self, _: dict[str, Any]) -> None:
        self._arrange()
        self._changed()

    def _arrange(self) -> None:
        self._shown.children = [self.image.widget if self._fall.value else self.figure]
        self._hold.disabled = self._fall.value


class Decades:
    """A logarithmic scale and its axis; it runs from one power of ten to another."""

    def __init__(self) -> None:
        self.scale = bqplot.LogScale(min=0.1, max=1.0)
        self.axis = axis(self.scale, "y")
        self.axis.tick_format = ".0e"
        self._now: tuple[int, int] | None = None

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
        with self.scale.hold_sync():
            self.scale.min, self.scale.max = 10.0**low, 10.0**high
        step = max(1, (high - low) // 5)
        few = [f * 10.0**low for f in (1, 2, 5, 10)]
        self.axis.tick_values = few if high == low + 1 else 10.0 ** np.arange(low, high + 1, step)


def _draw(line: bqplot.Lines, values: np.ndarray, axis: Axis, n: int) -> None:
    indices, picked = envelope(values, n)
    with line.hold_sync():
        line.x = axis.origin + axis.scale * indices
        line.y = picked


def _name(axis: bqplot.Axis, said: str) -> None:
    if axis.label != said:
        axis.label = said


def _toggle(name: str, tooltip: str) -> ipywidgets.ToggleButton:
    return ipywidgets.ToggleButton(description=name, tooltip=tooltip, layout={"width": WIDTHS[name]})
