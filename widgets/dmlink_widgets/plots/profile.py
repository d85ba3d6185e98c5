"""ProfilePlot: a curve over its axis, or the last curves as a waterfall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from dmlink.indm.info import Axis
from dmlink_widgets.colour import COLOURS
from dmlink_widgets.contrast_controls import ContrastControls
from dmlink_widgets.curve_figure import CurveFigure
from dmlink_widgets.figure import PLOT_AREA, POINTS, SMALL_POINTS, drawable, envelope, finite, label
from dmlink_widgets.image_figure import ImageFigure
from dmlink_widgets.plots.history import table
from dmlink_widgets.plots.image import array_file
from dmlink_widgets.plots.waterfall import Waterfall
from dmlink_widgets.toolbar import toggle

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.indm.results import Profile

HELD = "#9e9e9e"  # the curve that the others are compared with
ROWS = 256  # curves of a waterfall, at most
WIDTHS = {"Log": "72px", "Hold": "76px", "Waterfall": "104px"}


class ProfilePlot:
    """The newest curve, and one to compare it with; or one row for each frame, the newest below."""

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
        self._log = _toggle("Log", "Logarithmic scale; values that are not positive are left out")
        self._hold = _toggle("Hold", "Keep this curve, to compare the next ones with it")
        self._fall = _toggle("Waterfall", "One row for each frame, the newest below")
        self._fall.value = waterfall
        self._log.observe(self._rescaled, "value")
        self._hold.observe(self._kept, "value")
        self._fall.observe(self._turned, "value")
        self.contrast = ContrastControls(changed)
        self._adjust = toggle("adjust", "Contrast and colours of the waterfall", lambda _: self._arrange())
        bar = ipywidgets.HBox([self._log, self._hold, self._fall, self._adjust])
        bar.add_class("dmlink-tools")
        self._shown = ipywidgets.Box()
        self.widget = ipywidgets.VBox([bar, self.contrast.widget, self._shown])
        self._arrange()

    def take(self, time: float, result: Profile) -> None:
        """Remember a row of the waterfall."""
        self.waterfall.add(time, result.values, drawable(result.x))

    def draw(self, result: Profile, *, small: bool, lossless: bool = False) -> None:
        """Draw the curve, or the waterfall."""
        self._newest = result
        if self._fall.value:
            self._draw_waterfall(small=small, lossless=lossless)
            return
        along = drawable(result.x)
        shown = [(HELD, self._held)] if self._held else []
        values = [(colour, p.x, self._drawable(p)) for colour, p in [*shown, (self._colour, result)]]
        end = along.origin + along.scale * max(1, len(result.values) - 1)
        self.figure.x.set(*sorted((along.origin, end)))
        self.figure.y.cover(np.concatenate([y for _, _, y in values]))
        n = SMALL_POINTS if small else POINTS
        self.figure.draw([(colour, *_curve(drawable(x), y, n)) for colour, x, y in values])
        self.figure.name(along.unit or "pixels", label(result.name, result.value_unit))

    def _draw_waterfall(self, *, small: bool, lossless: bool) -> None:
        rows, x, interval = self.waterfall.rows, self.waterfall.axis, self.waterfall.interval
        y = Axis(-self._rows * interval, interval, "s")
        if self._log.value:
            rows = np.log10(rows, where=rows > 0, out=np.full(rows.shape, np.nan))
        if rows.size:
            contrast, empty = self.contrast.contrast, self._rows - len(rows)  # so that nothing grows
            self.image.draw(rows, y, x, contrast, small=small, lossless=lossless, empty=empty)

    def write(self) -> None:
        """Say how often the values of the waterfall occur."""
        self.contrast.draw(self.image)

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return what can be saved, by the end of the file's name."""
        return {
            ".csv": self._csv,
            ".npy": lambda: array_file(np.asarray(self._newest.values) if self._newest else np.empty(0)),
            "-waterfall.npy": lambda: array_file(self.waterfall.rows),
        }

    def _csv(self) -> bytes:
        if self._newest is None:
            return b""
        along, values = self._newest.x, self._newest.values
        return table(
            {
                label("x", along.unit or "pixels"): along.values(len(values)),
                label(self._newest.name or "value", self._newest.value_unit): values,
            }
        )

    def _drawable(self, result: Profile) -> np.ndarray:
        values = finite(result.values)
        return np.where(values > 0, values, np.nan) if self._log.value else values

    def _rescaled(self, change: dict[str, Any]) -> None:
        self.figure.take_log(change["new"])
        self._changed()

    def _kept(self, change: dict[str, Any]) -> None:
        self._held = self._newest if change["new"] else None
        self._changed()

    def _turned(self, _: dict[str, Any]) -> None:
        self._arrange()
        self._changed()

    def _arrange(self) -> None:
        self._shown.children = [self.image.widget if self._fall.value else self.figure.widget]
        self._hold.disabled = self._fall.value
        self._adjust.layout.display = None if self._fall.value else "none"
        self.contrast.widget.reveal(self._fall.value and self._adjust.value)


def _curve(axis: Axis, values: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (x, y) of at most `n` points that look like all values."""
    indices, y = envelope(values, n)
    return axis.origin + axis.scale * indices, y


def _toggle(name: str, tooltip: str) -> ipywidgets.ToggleButton:
    return ipywidgets.ToggleButton(description=name, tooltip=tooltip, layout={"width": WIDTHS[name]})
