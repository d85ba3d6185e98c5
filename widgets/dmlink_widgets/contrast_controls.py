"""ContrastControls: the histogram and the settings of an image's contrast."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink_widgets.colour import MAPS
from dmlink_widgets.contrast import Contrast
from dmlink_widgets.histogram import Histogram
from dmlink_widgets.toolbar import Section, button, toggle

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink_widgets.image_figure import ImageFigure

NUMBER = ipywidgets.Layout(width="76px")


class ContrastControls:
    """Holds the `contrast`, and the `widget` (a Section) with which it is changed.

    Parameters
    ----------
    changed : callable
        Called when the user has changed the contrast.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self.contrast = Contrast()
        self._limits = (0.0, 1.0)  # as they were drawn
        self._changed = changed
        self.histogram = Histogram()
        self.histogram.observe(self._dragged, "chosen")
        low, high = self.contrast.percentiles
        self._low, self._high = (
            ipywidgets.BoundedFloatText(v, min=0, max=100, step=0.5, layout=NUMBER, tooltip=tip)
            for v, tip in ((low, "% of the pixels that are black"), (high, "% of the pixels below white"))
        )
        self._gamma = ipywidgets.FloatLogSlider(
            1.0, min=-0.7, max=0.7, step=0.05, readout_format=".2f", layout=ipywidgets.Layout(width="220px")
        )
        self._log = ipywidgets.Checkbox(
            False, description="log", indent=False, layout=ipywidgets.Layout(width="60px")
        )
        self._map = ipywidgets.Dropdown(options=list(MAPS), layout=ipywidgets.Layout(width="124px"))
        for control in (self._low, self._high, self._gamma, self._log, self._map):
            control.observe(self._set, "value")
        auto = button("magic", "Find the limits from each frame", lambda: self._percentiles(1.0, 99.5))
        whole = button(
            "arrows-h",
            "From the lowest to the highest value of each frame",
            lambda: self._percentiles(0, 100),
        )
        self._lock = toggle("lock", "Keep these limits for the next frames", self._locked)
        rows = [
            [ipywidgets.Label("percentiles"), self._low, self._high, auto, whole, self._lock, self._map],
            [ipywidgets.Label("gamma"), self._gamma, self._log],
        ]
        self.widget = Section([self.histogram, *(ipywidgets.HBox(row) for row in rows)])

    def draw(self, figure: ImageFigure) -> None:
        """Show how often the values of the picture occur."""
        self._limits = figure.limits
        if self.widget.opened and figure.seen is not None:
            self.histogram.draw(figure.seen, figure.limits)

    def _set(self, _: Any) -> None:
        """Take what the controls say; what makes no sense waits until it does (1 to 99 while 9 is typed)."""
        with contextlib.suppress(ValueError):
            percentiles = float(self._low.value), float(self._high.value)
            if percentiles != self.contrast.percentiles:
                self._fix(None)
            self.contrast = replace(
                self.contrast,
                percentiles=percentiles,
                gamma=float(self._gamma.value),
                log=bool(self._log.value),
                colours=str(self._map.value),
            )
            self._changed()

    def _percentiles(self, low: float, high: float) -> None:
        self._fix(None)
        self.contrast = replace(self.contrast, percentiles=(low, high))
        self._low.value, self._high.value = low, high
        self._changed()

    def _dragged(self, change: dict[str, Any]) -> None:
        limits = change["new"]
        self._fix((float(limits[0]), float(limits[1])) if limits else None)

    def _locked(self, pressed: bool) -> None:
        if pressed != (self.contrast.fixed is not None):
            self._fix(self._limits if pressed else None)

    def _fix(self, limits: tuple[float, float] | None) -> None:
        self.contrast = replace(self.contrast, fixed=limits)
        self._lock.value = limits is not None
        self._changed()
