"""ContrastControls: the histogram and the settings of an image's contrast."""

from __future__ import annotations

import contextlib
import math
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

Limits = tuple[float | None, float | None]  # None: found from each frame
AUTOMATIC: Limits = (None, None)
NUMBER = {"width": "76px"}


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
        # what is found from each frame stands there in grey, and disturbs nobody who types
        self._ends = [
            ipywidgets.Text(
                continuous_update=False,
                layout=NUMBER,
                tooltip=f"{tip}; empty: found from each frame",
            )
            for tip in ("Value shown as the first colour", "Value shown as the last colour")
        ]
        self._gamma = ipywidgets.FloatLogSlider(
            1.0, min=-0.7, max=0.7, step=0.05, readout_format=".2f", layout=ipywidgets.Layout(width="220px")
        )
        self._log = ipywidgets.Checkbox(
            False, description="log", indent=False, layout=ipywidgets.Layout(width="60px")
        )
        self._map = ipywidgets.Dropdown(
            options=list(MAPS), tooltip="Colours", layout=ipywidgets.Layout(width="124px")
        )
        for control in (self._low, self._high, self._gamma, self._log, self._map):
            control.observe(self._set, "value")
        for end in self._ends:
            end.observe(self._typed, "value")
        auto = button("magic", "Find the limits from each frame", lambda: self._percentiles(1.0, 99.5))
        whole = button(
            "arrows-h",
            "From the lowest to the highest value of each frame",
            lambda: self._percentiles(0, 100),
        )
        self._lock = toggle("lock", "Keep these limits for the next frames", self._locked)
        rows = [
            [
                ipywidgets.Label("from"),
                self._ends[0],
                ipywidgets.Label("to"),
                self._ends[1],
                self._lock,
                self._map,
            ],
            [ipywidgets.Label("percentiles"), self._low, self._high, auto, whole],
            [ipywidgets.Label("gamma"), self._gamma, self._log],
        ]
        self.widget = Section([self.histogram, *(ipywidgets.HBox(row) for row in rows)])

    def draw(self, figure: ImageFigure) -> None:
        """Show how often the values of the picture occur."""
        self._limits = figure.limits
        if self.widget.opened and figure.seen is not None:
            self.histogram.draw(figure.seen, figure.limits)
            for end, limit in zip(self._ends, figure.limits, strict=True):
                end.placeholder = _written(limit)

    def _set(self, _: Any) -> None:
        """Take what the controls say; what makes no sense waits until it does (1 to 99 while 9 is typed)."""
        self.contrast = replace(
            self.contrast,
            gamma=float(self._gamma.value),
            log=bool(self._log.value),
            colours=str(self._map.value),
        )
        percentiles = float(self._low.value), float(self._high.value)
        with contextlib.suppress(ValueError):
            if percentiles != self.contrast.percentiles:
                self.contrast = replace(self.contrast, percentiles=percentiles)
                self._show(AUTOMATIC)
        self._changed()

    def _percentiles(self, low: float, high: float) -> None:
        self._show(AUTOMATIC)
        self.contrast = replace(self.contrast, percentiles=(low, high))
        self._low.value, self._high.value = low, high
        self._changed()

    def _typed(self, _: Any) -> None:
        """Take limits that were typed; no number, or one above the other, waits until it makes sense."""
        with contextlib.suppress(ValueError):
            low, high = (float(end.value) if end.value.strip() else None for end in self._ends)
            known = [limit for limit in (low, high) if limit is not None]
            if all(map(math.isfinite, known)) and known == sorted(set(known)):
                self._fix((low, high))

    def _dragged(self, change: dict[str, Any]) -> None:
        limits = change["new"]
        self._show((float(limits[0]), float(limits[1])) if limits else AUTOMATIC)

    def _locked(self, pressed: bool) -> None:
        if pressed != (None not in self.contrast.fixed):
            self.histogram.chosen = list(self._limits) if pressed else []  # which a double click takes back
            self._show(self._limits if pressed else AUTOMATIC)

    def _show(self, limits: Limits) -> None:
        """Fix the limits, and write them into their fields."""
        for end, limit in zip(self._ends, limits, strict=True):
            end.value = "" if limit is None else _written(limit)
        self._fix(limits)  # as they are, not rounded as they are written

    def _fix(self, limits: Limits) -> None:
        self.contrast = replace(self.contrast, fixed=limits)
        self._lock.value = None not in limits
        self._changed()


def _written(limit: float) -> str:
    return f"{limit:.6g}"
