"""Numbers: a strip chart in a window, with one curve for each number of the cell."""

from dmlink.indm.chart import LONGEST, Chart
from dmlink.indm.info import Axis
from dmlink.indm.script.cell import SHOW


def show_numbers(cell, name, scalar, info):
    """Add the numbers of this frame to the strip chart."""
    values = list(scalar.series.values())
    chart = cell.charts.get(name)
    if chart is None or len(chart) != len(values):
        chart = cell.charts[name] = Chart(len(values), cell.frames or LONGEST)
    if cell.frames:
        chart.n = cell.index  # a frame of the recording without a number leaves a gap
    chart.add(values)
    cell.draw(name, chart.columns, (chart.axis, Axis()), scalar.unit, line=True)


SHOW["scalar"] = show_numbers
