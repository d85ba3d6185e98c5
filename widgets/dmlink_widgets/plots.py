"""Plots: a bqplot figure for each kind of result; `draw` brings it up to date."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets
import numpy as np

from dmlink_widgets import picture, text

if TYPE_CHECKING:
    from dmlink.indm.info import Axis
    from dmlink.indm.results import Image, Profile, Result, Scalar, Written

HISTORY = 600  # frames that a strip chart shows
# Told apart by people with any colour vision, on light and dark (Okabe and Ito, 2008).
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"]
MARGIN = {"top": 8, "bottom": 48, "left": 64, "right": 16}  # px
PLOT_SIZE = 560, 260  # px, of a curve's figure


class StripChart:
    """Numbers over time; every result is taken, also those that are not drawn one by one."""

    def __init__(self) -> None:
        self._time: collections.deque[float] = collections.deque(maxlen=HISTORY)
        self._series: dict[str, collections.deque[float]] = {}
        self._lines = bqplot.Lines(
            x=[], y=[], colors=COLOURS, scales={"x": bqplot.LinearScale(), "y": bqplot.LinearScale()}
        )
        self.widget = _figure(self._lines, "time (s)")

    def take(self, time: float, result: Scalar) -> None:
        """Remember a result of a frame taken at `time` (s)."""
        if set(result.series) != set(self._series):
            self._time.clear()
            self._series = {name: collections.deque(maxlen=HISTORY) for name in result.series}
        self._time.append(time)
        for name, value in result.series.items():
            self._series[name].append(value)

    def draw(self, result: Scalar, *, small: bool) -> None:  # noqa: ARG002 - it is small
        """Draw the history; 0 is now."""
        if not self._time:
            return
        time = np.array(self._time)
        with self._lines.hold_sync():
            self._lines.x = time - time[-1]
            self._lines.y = np.array([list(values) for values in self._series.values()])
            self._lines.labels = list(self._series)
            self._lines.display_legend = len(self._series) > 1
        self.widget.axes[1].label = _label(result.name, result.unit)


class ProfilePlot:
    """A curve over its axis."""

    def __init__(self) -> None:
        self._lines = bqplot.Lines(
            x=[], y=[], colors=COLOURS, scales={"x": bqplot.LinearScale(), "y": bqplot.LinearScale()}
        )
        self.widget = _figure(self._lines, "")

    def take(self, time: float, result: Profile) -> None:
        """Nothing to remember: only the newest is shown."""

    def draw(self, result: Profile, *, small: bool) -> None:
        """Draw the curve."""
        step = max(1, len(result.values) // (256 if small else 2048))
        with self._lines.hold_sync():
            self._lines.x = result.x.values(len(result.values))[::step]
            self._lines.y = np.asarray(result.values, dtype=np.float64)[::step]
        x, y = self.widget.axes
        x.label = result.x.unit or "pixels"
        y.label = _label(result.name, result.value_unit)


class ImagePlot:
    """An image with axes in its units, `size` px at its longer side."""

    def __init__(self, size: int = 512) -> None:
        self.size = size
        self.limits = (0.0, 1.0)
        self.shape: tuple[int, int] = (0, 0)
        # bqplot looks at an image only when another one takes its place (MEASURED): two, in turn
        self._images = [ipywidgets.Image(value=_BLANK, format="png") for _ in range(2)]
        self._scales = {"x": bqplot.LinearScale(), "y": bqplot.LinearScale(reverse=True)}
        self._mark = bqplot.Image(image=self._images[0], scales=self._scales)
        self.widget = _figure(self._mark, "", self._scales, grid=False)
        self._extent: tuple[Any, ...] = ()

    def take(self, time: float, result: Image) -> None:
        """Nothing to remember: only the newest is shown."""

    def draw(self, result: Image, *, small: bool) -> None:
        """Draw the image."""
        self.draw_pixels(result.values, result.y, result.x, small=small)

    def draw_pixels(self, pixels: Any, y: Axis, x: Axis, *, small: bool, lossless: bool = False) -> None:
        """Draw pixels of shape (h, w) or (h, w, 3) over their axes."""
        # bqplot turns an image over where the axis runs downwards
        size = self.size // 4 if small else self.size
        data, self.limits = picture.encoded(pixels[::-1], size, lossless=lossless)
        h, w = self.shape = pixels.shape[:2]
        if self._extent != (h, w, y, x):
            self._extent = (h, w, y, x)
            self._place(h, w, y, x)
        idle = self._images[1] if self._mark.image is self._images[0] else self._images[0]
        idle.format = "png" if lossless else "jpeg"
        idle.value = data
        self._mark.image = idle

    @property
    def plot_area(self) -> tuple[int, int]:
        """(height, width) in px of the image on the screen."""
        h, w = self.shape
        longer = max(h, w, 1)
        return max(32, round(self.size * h / longer)), max(32, round(self.size * w / longer))

    def _place(self, h: int, w: int, y: Axis, x: Axis) -> None:
        height, width = self.plot_area
        self.widget.layout.width = f"{width + MARGIN['left'] + MARGIN['right']}px"
        self.widget.layout.height = f"{height + MARGIN['top'] + MARGIN['bottom']}px"
        for name, axis, n, label in (
            ("x", x, w, self.widget.axes[0]),
            ("y", y, h, self.widget.axes[1]),
        ):
            # an axis that runs backwards, or stands still, would turn or lose the image
            low, high = sorted((axis.origin, axis.origin + (axis.scale or 1.0) * n))
            self._scales[name].min, self._scales[name].max = low, high
            setattr(self._mark, name, [low, high])
            label.label = axis.unit or "pixels"


class WrittenResult:
    """Words, a table, or places as a table."""

    def __init__(self) -> None:
        self.widget = ipywidgets.HTML()

    def take(self, time: float, result: Written) -> None:
        """Nothing to remember: only the newest is shown."""

    def draw(self, result: Written, *, small: bool) -> None:  # noqa: ARG002 - it is small
        """Write the text."""
        self.widget.value = text.written(result.text)


Plot = StripChart | ProfilePlot | ImagePlot | WrittenResult


def plot_for(result: Result | Written) -> Plot:
    """Return a new plot for results of this kind."""
    drawn: dict[str, type[Plot]] = {"scalar": StripChart, "profile": ProfilePlot, "image": ImagePlot}
    return drawn.get(result.kind, WrittenResult)()


def _figure(
    mark: bqplot.Mark, x_label: str, scales: dict[str, Any] | None = None, *, grid: bool = True
) -> bqplot.Figure:
    scales = scales or mark.scales
    lines = "solid" if grid else "none"
    axes = [
        bqplot.Axis(scale=scales["x"], label=x_label, grid_lines=lines, label_offset="32px"),
        bqplot.Axis(scale=scales["y"], side="left", grid_lines=lines, label_offset="48px"),
    ]
    width, height = PLOT_SIZE
    return bqplot.Figure(
        marks=[mark],
        axes=axes,
        fig_margin=MARGIN,
        padding_x=0.0,
        padding_y=0.0 if not grid else 0.025,
        min_aspect_ratio=0.01,
        max_aspect_ratio=100,
        layout=ipywidgets.Layout(width=f"{width}px", height=f"{height}px"),
        animation_duration=0,
        display_toolbar=False,  # its zoom does not know of the rectangles over the image
    )


def _label(name: str, unit: str) -> str:
    return f"{name} ({unit})" if name and unit else name or unit


_BLANK = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU\x00\x00\x00"
    b"\nIDATx\x9cc`\x00\x00\x00\x02\x00\x01H\xaf\xa4q\x00\x00\x00\x00IEND\xaeB`\x82"
)
