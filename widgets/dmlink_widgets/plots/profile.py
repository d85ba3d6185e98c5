"""ProfilePlot: a curve over its axis, or the last curves as a waterfall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from dmlink.frame import Axis
from dmlink_widgets.controls.contrast_controls import ContrastControls
from dmlink_widgets.controls.toolbar import toggle
from dmlink_widgets.drawing.axes import label
from dmlink_widgets.drawing.colour import COLOURS
from dmlink_widgets.drawing.curve_figure import CurveFigure
from dmlink_widgets.drawing.image_figure import ImageFigure
from dmlink_widgets.drawing.ranges import PLOT_AREA, axis_or_pixels
from dmlink_widgets.drawing.samples import POINTS, SMALL_POINTS, envelope, finite
from dmlink_widgets.plots.plot import MARK, MOST_MARKS, Plot, array_file, csv_file
from dmlink_widgets.plots.waterfall import Waterfall

if TYPE_CHECKING:
    from collections.abc import Callable

    import PIL.Image

    from dmlink.indm.results import Profile

HELD_COLOUR = "#9e9e9e"
ROWS = 256  # most rows of a waterfall
MARK_PART = 20  # fraction of a waterfall's width taken by the mark of an event
WIDTHS = {"Log": "72px", "Hold": "76px", "Waterfall": "104px"}


class ProfilePlot(Plot):
    """The newest curve with a reference curve, or a row for each frame, newest at the bottom."""

    def __init__(
        self,
        changed: Callable[[], None],
        colour: str = COLOURS[0],
        *,
        rows: int = ROWS,
        waterfall: bool = False,
    ) -> None:
        self._rows = min(rows, ROWS)
        self.waterfall = Waterfall(self._rows)
        self._changed = changed
        self._newest: Profile | None = None
        self._held: Profile | None = None
        self._colour = colour
        self.figure = CurveFigure()
        self.image = ImageFigure(
            (PLOT_AREA["y"], PLOT_AREA["x"]), changed, description="waterfall", scale_bar=False
        )
        self._log = _toggle("Log", "Logarithmic scale; values of zero or less are left out")
        self._hold = _toggle("Hold", "Keep this curve to compare the next ones with it")
        self._fall = _toggle("Waterfall", "Show a row for each frame, the newest at the bottom")
        self._fall.value = waterfall
        self._log.observe(self._set_log, "value")
        self._hold.observe(self._set_hold, "value")
        self._fall.observe(self._set_waterfall, "value")
        self.contrast = ContrastControls(changed)
        self._adjust = toggle("adjust", "Contrast and colours of the waterfall", lambda _: self._arrange())
        bar = ipywidgets.HBox([self._log, self._hold, self._fall, self._adjust])
        bar.add_class("dmlink-tools")
        self._shown = ipywidgets.Box()
        self.widget = ipywidgets.VBox([bar, self._shown, self.contrast.widget])
        self._arrange()

    def remember(self, time: float, result: Profile, *, again: bool = False) -> None:
        """Add a row to the waterfall."""
        self.waterfall.add(time, result.values, axis_or_pixels(result.x), again=again)

    def mark(self, time: float) -> None:
        """From now on, mark the start of this frame's row."""
        self.waterfall.mark(time)

    def draw(self, result: Profile, *, small: bool, lossless: bool = False) -> None:
        """Draw the curve, or the waterfall."""
        self._newest = result
        if self._fall.value:
            self._draw_waterfall(small=small, lossless=lossless)
        else:
            self._draw_curves(result, small=small)

    def draw_status(self) -> None:
        """Show the histogram of the waterfall."""
        self.contrast.draw(self.image, self._newest.value_unit if self._newest else "")

    def picture(self) -> PIL.Image.Image:
        """Return the curves, or the waterfall."""
        return self.image.picture() if self._fall.value else self.figure.picture()

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return the curve as CSV and in NumPy's format, and the rows of the waterfall."""
        return {
            ".csv": self._csv,
            ".npy": lambda: array_file(np.asarray(self._newest.values) if self._newest else np.empty(0)),
            "-waterfall.npy": lambda: array_file(self.waterfall.rows),
        }

    def close(self) -> None:
        """Close its widgets, including those of the figure that is not shown."""
        self.figure.close()
        self.image.close()
        super().close()

    def _draw_curves(self, result: Profile, *, small: bool) -> None:
        axis = axis_or_pixels(result.x)
        profiles = [*([(HELD_COLOUR, self._held)] if self._held else []), (self._colour, result)]
        values = [self._drawable(profile) for _, profile in profiles]
        end = axis.origin + axis.scale * max(1, len(result.values) - 1)
        self.figure.x.set(*sorted((axis.origin, end)))
        self.figure.y.cover(np.concatenate(values))
        n = SMALL_POINTS if small else POINTS
        self.figure.draw(
            [
                (colour, *_curve(axis_or_pixels(profile.x), y, n))
                for (colour, profile), y in zip(profiles, values, strict=True)
            ]
        )
        self.figure.label(axis.unit or "pixels", label(result.name, result.value_unit))

    def _draw_waterfall(self, *, small: bool, lossless: bool) -> None:
        rows, x, interval = self.waterfall.rows, self.waterfall.axis, self.waterfall.interval
        y = Axis(-self._rows * interval, interval, "s")
        if self._log.value:
            rows = np.log10(rows, where=rows > 0, out=np.full(rows.shape, np.nan))
        if rows.size:
            empty = self._rows - len(rows)  # so that the image keeps its size
            self.image.draw(rows, y, x, self.contrast.contrast, small=small, lossless=lossless, empty=empty)
            width = max(1, rows.shape[1] // MARK_PART)  # marking the whole row would hide it
            lines = [[empty + i, 0, empty + i + 1, width] for i in self.waterfall.marked[-MOST_MARKS:]]
            self.image.overlay.marks = [{"colour": MARK, "boxes": lines, "name": "event"}] if lines else []

    def _csv(self) -> bytes:
        if self._newest is None:
            return b""
        axis, values = self._newest.x, self._newest.values
        return csv_file(
            {
                label("x", axis.unit or "pixels"): axis.values(len(values)),
                label(self._newest.name or "value", self._newest.value_unit): values,
            }
        )

    def _drawable(self, result: Profile) -> np.ndarray:
        values = finite(result.values)
        return np.where(values > 0, values, np.nan) if self._log.value else values

    def _set_log(self, change: dict[str, Any]) -> None:
        self.figure.set_log(change["new"])
        self._changed()

    def _set_hold(self, change: dict[str, Any]) -> None:
        self._held = self._newest if change["new"] else None
        self._changed()

    def _set_waterfall(self, _: dict[str, Any]) -> None:
        self._arrange()
        self._changed()

    def _arrange(self) -> None:
        self._shown.children = [self.image.widget if self._fall.value else self.figure.widget]
        self._hold.disabled = self._fall.value
        self._adjust.layout.display = None if self._fall.value else "none"
        self.contrast.widget.reveal(self._fall.value and self._adjust.value)


def _curve(axis: Axis, values: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (x, y) of at most `n` points that keep all peaks."""
    indices, y = envelope(values, n)
    return axis.origin + axis.scale * indices, y


def _toggle(name: str, tooltip: str) -> ipywidgets.ToggleButton:
    return ipywidgets.ToggleButton(description=name, tooltip=tooltip, layout={"width": WIDTHS[name]})
