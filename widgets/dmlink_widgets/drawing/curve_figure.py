"""CurveFigure: curves over axes in their units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bqplot
import ipywidgets
import numpy as np

from dmlink_widgets import widget_tree
from dmlink_widgets.drawing import prints
from dmlink_widgets.drawing.axes import LinearRange, LogRange, axes_figure
from dmlink_widgets.drawing.curves import Curves
from dmlink_widgets.drawing.ranges import MARGIN, PLOT_AREA, PLOT_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import PIL.Image


class CurveFigure:
    """Curves over two axes; y is linear or logarithmic.

    Attributes
    ----------
    widget : ipywidgets.Box
        What the notebook shows.
    bqplot_figure : bqplot.Figure
        Draws the axes.
    curves : Curves
        Paints the curves over them.
    x : LinearRange
        The range of the horizontal axis.
    y : LinearRange or LogRange
        The range of the vertical axis.
    """

    def __init__(self) -> None:
        self.bqplot_figure = axes_figure({"x": bqplot.LinearScale(), "y": bqplot.LinearScale()})
        x, y = self.bqplot_figure.axes
        self.x = LinearRange(x)
        self._linear, self._log = LinearRange(y), LogRange()
        self.y: LinearRange | LogRange = self._linear
        self.curves = Curves((MARGIN["top"], MARGIN["left"], PLOT_AREA["y"], PLOT_AREA["x"]), MARGIN["right"])
        self.widget = ipywidgets.Box([self.bqplot_figure, self.curves])
        self.widget.layout.width, self.widget.layout.max_width = f"{PLOT_SIZE[0]}px", "100%"
        self.bqplot_figure.layout.width = "100%"
        self.widget.add_class("dmlink-plot")

    def set_log(self, log: bool) -> None:
        """Make y logarithmic or linear; each has its own axis, because a changed axis keeps old ticks."""
        self.y = self._log if log else self._linear
        self.bqplot_figure.axes = [self.x.axis, self.y.axis]

    def label(self, x: str, y: str) -> None:
        """Label the axes."""
        for axis, text in ((self.x.axis, x), (self.y.axis, y)):
            if axis.label != text:
                axis.label = text

    def draw(self, curves: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> None:
        """Draw curves: colour, x and y of shape (n,) in the units of the axes; NaN is a gap."""
        self.curves.draw([(colour, self.x.fraction(x), self.y.fraction(y)) for colour, x, y in curves])

    def picture(self) -> PIL.Image.Image:
        """Return the last drawn picture with the axes."""
        x, y = self.x, self.y
        ends = {"x": x.limits or (0.0, 1.0), "y": y.limits or (0.0, 1.0)}
        labels = {"x": x.axis.label, "y": y.axis.label}
        axes = prints.Axes(PLOT_AREA["y"], PLOT_AREA["x"], ends, labels, log=y is self._log, grid=True)
        points = np.frombuffer(self.curves.points, "<f4").reshape(-1, 2)
        cuts = np.cumsum(self.curves.lengths, dtype=int)[:-1]
        for colour, curve in zip(self.curves.colours, np.split(points, cuts), strict=False):
            axes.curve(curve, colour)
        return axes.image

    def close(self) -> None:
        """Close its widgets, including the axis that is not shown."""
        widget_tree.close(self.widget, self._linear.axis, self._log.axis)
