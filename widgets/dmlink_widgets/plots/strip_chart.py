"""StripChart: numbers over time."""

from __future__ import annotations

import collections
import html
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from dmlink_widgets.drawing import prints
from dmlink_widgets.drawing.axes import label
from dmlink_widgets.drawing.colour import COLOURS
from dmlink_widgets.drawing.curve_figure import CurveFigure
from dmlink_widgets.drawing.ranges import nice
from dmlink_widgets.drawing.samples import POINTS, SMALL_POINTS, envelope, finite
from dmlink_widgets.pacing.round import Html
from dmlink_widgets.plots.history import History
from dmlink_widgets.plots.plot import MARK, MOST_MARKS, Plot, csv_file

if TYPE_CHECKING:
    from collections.abc import Callable

    import PIL.Image

    from dmlink.indm.results import Scalar

LENGTH = 600  # results kept
PAUSE = 10  # multiples of the usual interval between results
SHORTEST_GAP = 0.01  # visible fraction of the time axis
LONGEST = 1_000_000


class StripChart(Plot):
    """The last numbers of a cell; it keeps every result, even those not drawn individually."""

    def __init__(self, changed: Callable[[], None], colour: str = COLOURS[0], length: int = LENGTH) -> None:
        self.history = History(length)
        self._marks: collections.deque[float] = collections.deque(maxlen=MOST_MARKS)
        self._colours = [colour, *(c for c in COLOURS if c != colour)]
        self.figure = CurveFigure()
        self._legend = Html()
        self._clear = ipywidgets.Button(
            description="Clear", icon="eraser", tooltip="Clear the chart", layout={"width": "84px"}
        )
        self._changed = changed
        self._newest: Scalar | None = None
        self._clear.on_click(self._clear_history)
        self._length = ipywidgets.BoundedIntText(
            length, min=2, max=LONGEST, tooltip="Number of results to keep", layout={"width": "92px"}
        )
        self._length.observe(self._set_length, "value")
        bar = ipywidgets.HBox([self._legend, self._clear, ipywidgets.Label("last"), self._length])
        bar.add_class("dmlink-tools")
        self.widget = ipywidgets.VBox([bar, self.figure.widget])

    def remember(self, time: float, result: Scalar, *, again: bool = False) -> None:
        """Add the numbers to the history."""
        self.history.add(time, result.series, again=again)

    def mark(self, time: float) -> None:
        """From now on, draw a vertical line at this time."""
        self._marks.append(time)

    def draw(self, result: Scalar, *, small: bool, lossless: bool = False) -> None:  # noqa: ARG002 - it is exact
        """Draw the history; time 0 is that of the newest result."""
        times, series = self.history.now
        self._newest = result
        self.figure.label("time (s)", label("" if result.name == "value" else result.name, result.unit))
        values = finite(np.array([*series.values()])) if len(times) else np.empty((1, 0))
        x = times - times[-1] if len(times) else times
        self.figure.y.cover(values)
        if len(times) < 2 or not len(values):  # a single point is not a curve
            self.figure.draw([])
            return
        self.figure.x.set(-_span(-x[0]), 0.0)
        n = max(2, (SMALL_POINTS if small else POINTS) // len(values))
        pauses = _pauses(times)
        curves = [_broken(x, *envelope(row, n), pauses) for row in values]
        lines = [(c, *curve) for c, curve in zip(self._colours * len(curves), curves, strict=False)]
        ends = np.array(self.figure.y.limits)
        marks = [(MARK, np.full(2, t - times[-1]), ends) for t in self._marks if times[0] <= t <= times[-1]]
        self.figure.draw([*marks, *lines])

    def write(self) -> None:
        """Write the newest numbers."""
        if self._newest is not None:
            names = self.history.names or self._newest.series
            self._legend.value = legend(self._newest, list(zip(names, self._colours * 4, strict=False)))

    def picture(self) -> PIL.Image.Image:
        """Return the curves, and the newest numbers."""
        newest = self._newest
        numbers = (
            [f"{name} {value:.6g} {newest.unit}" for name, value in newest.series.items()] if newest else []
        )
        return prints.below([prints.text_figure(["   ".join(numbers)]), self.figure.picture()])

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return the history as CSV, with one line per frame."""
        return {".csv": self._csv}

    def close(self) -> None:
        """Close its widgets."""
        self.figure.close()
        super().close()

    def _csv(self) -> bytes:
        times, series = self.history.now
        return csv_file({"time (s)": times, **series})

    def _set_length(self, change: dict[str, Any]) -> None:
        self.history.length = int(change["new"])
        self._changed()

    def _clear_history(self, _: Any) -> None:
        self.history.clear()
        self._changed()


def legend(result: Scalar, colours: list[tuple[str, str]]) -> str:
    """Return the newest number of each series as HTML, in its colour, with digits at fixed positions."""
    parts = []
    for name, colour in colours:
        value = result.series.get(name, np.nan)
        shown_name = f"{name} " if len(colours) > 1 or name != "value" else ""
        mark = f'<i style="background: {colour}"></i>' if len(colours) > 1 else ""
        whole = float(value).is_integer() and abs(value) < 1e9  # a count has no decimals
        digits = f"{value:11.0f}" if whole else f"{value:#11.6g}"
        number = f"{html.escape(shown_name)}<b>{digits}</b> {html.escape(result.unit)}"
        parts.append(f"<span>{mark}{number}</span>")
    return f'<span class="dmlink-legend">{"".join(parts)}</span>'


def _pauses(times: np.ndarray) -> np.ndarray:
    """Return the number of gaps without results before each time, shape (n,)."""
    steps = np.diff(times)
    long = max(PAUSE * float(np.median(steps)), SHORTEST_GAP * float(times[-1] - times[0]))
    return np.concatenate([[0], np.cumsum(steps > long)])


def _broken(
    x: np.ndarray, indices: np.ndarray, y: np.ndarray, pauses: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (x, y) of a curve at these indices, interrupted at each pause."""
    gaps = np.flatnonzero(np.diff(pauses[indices])) + 1
    return np.insert(x[indices], gaps, np.nan), np.insert(y, gaps, np.nan)


def _span(seconds: float) -> float:
    """Return the length of the time axis: a round number, so that it does not change with every result."""
    return nice(max(seconds, 1e-3))
