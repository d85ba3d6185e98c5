"""CurveFigure: curves over axes in their units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bqplot
import ipywidgets

from dmlink_widgets.curves import Curves
from dmlink_widgets.figure import MARGIN, PLOT_AREA, Decades, Limits, figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


class CurveFigure:
    """Curves on the screen, over axes that are linear, or the one of y logarithmic.

    Attributes
    ----------
    widget : ipywidgets.Box
        What the notebook shows.
    x, y : Limits or Decades
        The ranges of the axes.
    """

    def __init__(self) -> None:
        scales = {"x": bqplot.LinearScale(), "y": bqplot.LinearScale()}
        self.figure = figure(scales)
        x, y = self.figure.axes
        self.x = Limits(scales["x"], x)
        self._linear, self._decades = Limits(scales["y"], y), Decades()
        self.y: Limits | Decades = self._linear
        self.curves = Curves((MARGIN["top"], MARGIN["left"], PLOT_AREA["y"], PLOT_AREA["x"]))
        self.widget = ipywidgets.Box([self.figure, self.curves])
        self.widget.add_class("dmlink-plot")

    def take_log(self, log: bool) -> None:
        """Let y be logarithmic, or linear; each has its own axis, since one that changes keeps old ticks."""
        self.y = self._decades if log else self._linear
        self.figure.axes = [self.x.axis, self.y.axis]

    def name(self, x: str, y: str) -> None:
        """Write what is along the axes."""
        for axis, said in ((self.x.axis, x), (self.y.axis, y)):
            if axis.label != said:
                axis.label = said

    def draw(self, curves: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> None:
        """Draw curves: colour, x and y of shape (n,) in the units of the axes; NaN is a gap."""
        self.curves.draw([(colour, self.x.share(x), self.y.share(y)) for colour, x, y in curves])
