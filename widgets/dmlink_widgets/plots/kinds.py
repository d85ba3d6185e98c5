"""Kinds: the plot for each kind of result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmlink_widgets.plots.event import EventPlot
from dmlink_widgets.plots.grid import PlotGrid
from dmlink_widgets.plots.image import ImagePlot
from dmlink_widgets.plots.overlay import OverlayPlot
from dmlink_widgets.plots.profile import ProfilePlot
from dmlink_widgets.plots.strip_chart import LENGTH, StripChart
from dmlink_widgets.plots.text import TextPlot

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink_widgets.plots.plot import Plot


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
        Called when the user has changed the display.
    colour : str
        The cell's colour, `#rrggbb`.
    history : int
        Results that a strip chart keeps; a waterfall keeps as many, but at most 256.
    waterfall : bool
        Whether a profile is initially shown as a waterfall.
    """
    if result.kind == "scalar":
        return StripChart(changed, colour, history)
    if result.kind == "profile":
        return ProfilePlot(changed, colour, rows=history, waterfall=waterfall or result.waterfall)
    if result.kind == "image":
        return ImagePlot(changed)
    if result.kind == "overlay":
        return OverlayPlot(changed, colour)
    if result.kind == "several":
        return PlotGrid(
            lambda single: plot_for(single, changed, colour=colour, history=history, waterfall=waterfall)
        )
    return EventPlot() if result.kind == "event" else TextPlot()
