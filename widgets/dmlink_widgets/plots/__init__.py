"""Plots: what a cell gives, drawn: one kind a module; `draw` brings the widgets up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from dmlink_widgets.plots.image import ImageResult
from dmlink_widgets.plots.overlay import OverlayResult
from dmlink_widgets.plots.profile import ProfilePlot
from dmlink_widgets.plots.several import SeveralResults
from dmlink_widgets.plots.strip_chart import LENGTH, StripChart
from dmlink_widgets.plots.written import WrittenResult

if TYPE_CHECKING:
    from collections.abc import Callable

    import ipywidgets

__all__ = [
    "LENGTH",
    "ImageResult",
    "OverlayResult",
    "Plot",
    "ProfilePlot",
    "SeveralResults",
    "StripChart",
    "WrittenResult",
    "plot_for",
]


class Plot(Protocol):
    """What draws the results of one kind."""

    widget: ipywidgets.Widget

    def take(self, time: float, result: Any) -> None:
        """Take every result of a frame taken at `time` (s), on the cell's thread; drawn or not."""

    def draw(self, result: Any, *, small: bool, lossless: bool = False) -> None:
        """Bring the widgets up to date: in as few bytes as possible if `small`, or without any loss."""

    def write(self) -> None:
        """Bring the words beside it up to date: once a second, which can be read and costs little."""

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return what can be saved of it: by the end of the file's name, what makes its content."""


def plot_for(
    result: Any,
    changed: Callable[[], None],
    *,
    colour: str,
    history: int = LENGTH,
    waterfall: bool = False,
) -> Plot:
    """Return a new plot for results of this kind.

    Parameters
    ----------
    result : Result
        The first one.
    changed : callable
        Called when the user has changed how it is to be drawn.
    colour : str
        The cell's, `#rrggbb`.
    history : int
        Results that a strip chart remembers, or a waterfall, which has at most 256.
    waterfall : bool
        Whether a profile begins as a waterfall.
    """
    if result.kind == "scalar":
        return StripChart(changed, colour, history)
    if result.kind == "profile":
        return ProfilePlot(changed, colour, rows=history, waterfall=waterfall)
    if result.kind == "image":
        return ImageResult(changed)
    if result.kind == "overlay":
        return OverlayResult(changed, colour)
    if result.kind == "several":
        return SeveralResults(
            lambda part: plot_for(part, changed, colour=colour, history=history, waterfall=waterfall)
        )
    return WrittenResult()
