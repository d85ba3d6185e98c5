"""StripChart: numbers over time."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from dmlink_widgets.colour import COLOURS
from dmlink_widgets.curve_figure import CurveFigure
from dmlink_widgets.figure import POINTS, SMALL_POINTS, envelope, finite, label, nice
from dmlink_widgets.plots.history import History

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.indm.results import Scalar

LENGTH = 600  # results that are kept
LONGEST = 1_000_000


class StripChart:
    """The last numbers of a cell; every result is taken, also those that are not drawn one by one."""

    def __init__(self, changed: Callable[[], None], colour: str = COLOURS[0], length: int = LENGTH) -> None:
        self.history = History(length)
        self._colours = [colour, *(c for c in COLOURS if c != colour)]
        self.figure = CurveFigure()
        self._legend = ipywidgets.HTML()
        self._clear = ipywidgets.Button(
            description="Clear", icon="eraser", tooltip="Begin a new curve", layout={"width": "84px"}
        )
        self._changed = changed
        self._newest: Scalar | None = None
        self._clear.on_click(self._emptied)
        self._length = ipywidgets.BoundedIntText(
            length, min=2, max=LONGEST, tooltip="Results that are kept", layout={"width": "92px"}
        )
        self._length.observe(self._cut, "value")
        bar = ipywidgets.HBox([self._legend, self._clear, ipywidgets.Label("last"), self._length])
        bar.add_class("dmlink-tools")
        self.widget = ipywidgets.VBox([bar, self.figure.widget])

    def take(self, time: float, result: Scalar) -> None:
        """Remember a result of a frame taken at `time` (s)."""
        self.history.add(time, result.series)

    def draw(self, result: Scalar, *, small: bool, lossless: bool = False) -> None:  # noqa: ARG002 - it is exact
        """Draw the history; 0 is now."""
        times, series = self.history.now
        self._newest = result
        self.figure.name("time (s)", label("" if result.name == "value" else result.name, result.unit))
        values = finite(np.array([*series.values()])) if len(times) else np.empty((1, 0))
        ago = times - times[-1] if len(times) else times
        self.figure.y.cover(values)
        if len(times) < 2:  # one point is no line
            self.figure.draw([])
            return
        self.figure.x.set(-_span(-ago[0]), 0.0)
        n = max(2, (SMALL_POINTS if small else POINTS) // len(values))
        drawn = [envelope(row, n) for row in values]
        colours = self._colours * len(drawn)
        self.figure.draw([(c, ago[indices], y) for c, (indices, y) in zip(colours, drawn, strict=False)])

    def write(self) -> None:
        """Write the newest numbers."""
        if self._newest is not None:
            names = self.history.names or self._newest.series
            self._legend.value = legend(self._newest, list(zip(names, self._colours * 4, strict=False)))

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return what can be saved, by the end of the file's name."""
        return {".csv": self.history.csv}

    def _cut(self, change: dict[str, Any]) -> None:
        self.history.length = int(change["new"])
        self._changed()

    def _emptied(self, _: Any) -> None:
        self.history.clear()
        self._changed()


def legend(result: Scalar, colours: list[tuple[str, str]]) -> str:
    """Return the newest number of each series as HTML, with its colour; digits keep their places."""
    parts = []
    for name, colour in colours:
        value = result.series.get(name, np.nan)
        said = f"{name} " if len(colours) > 1 or name != "value" else ""
        mark = f'<i style="background: {colour}"></i>' if len(colours) > 1 else ""
        whole = float(value).is_integer() and abs(value) < 1e9  # a count is no measured number
        digits = f"{value:11.0f}" if whole else f"{value:#11.6g}"
        number = f"{html.escape(said)}<b>{digits}</b> {html.escape(result.unit)}"
        parts.append(f"<span>{mark}{number}</span>")
    return f'<span class="dmlink-legend">{"".join(parts)}</span>'


def _span(seconds: float) -> float:
    """Return how much time the axis shows: round, so that it stands while the curve grows."""
    return nice(max(seconds, 1e-3))
