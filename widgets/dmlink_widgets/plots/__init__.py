"""Plots: drawing the results of a cell, one module for each kind."""

from dmlink_widgets.plots.grid import PlotGrid
from dmlink_widgets.plots.image import ImagePlot
from dmlink_widgets.plots.kinds import plot_for
from dmlink_widgets.plots.overlay import OverlayPlot
from dmlink_widgets.plots.plot import Plot
from dmlink_widgets.plots.profile import ProfilePlot
from dmlink_widgets.plots.strip_chart import LENGTH, StripChart
from dmlink_widgets.plots.text import TextPlot

__all__ = [
    "LENGTH",
    "ImagePlot",
    "OverlayPlot",
    "Plot",
    "PlotGrid",
    "ProfilePlot",
    "StripChart",
    "TextPlot",
    "plot_for",
]
