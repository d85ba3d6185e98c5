"""ContrastControls: the histogram and the settings of an image's contrast."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink_widgets.controls.histogram import Histogram
from dmlink_widgets.controls.toolbar import Section, button, toggle
from dmlink_widgets.controls.undo import Undo
from dmlink_widgets.drawing.colour import MAPS
from dmlink_widgets.drawing.contrast import PRESETS, Contrast

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink_widgets.drawing.image_figure import ImageFigure

Limits = tuple[float | None, float | None]  # None: determined from each frame
AUTOMATIC: Limits = (None, None)
NUMBER = {"width": "76px"}


class ContrastControls:
    """A histogram and fields to set the contrast.

    Parameters
    ----------
    changed : callable
        Called when the user has changed the contrast.
    undo : Undo, optional
        Undoes changes.

    Attributes
    ----------
    widget : Section
        What the notebook shows.
    contrast : Contrast
        As the user has set it.
    histogram : Histogram
        Part of the widget.
    """

    def __init__(self, changed: Callable[[], None], undo: Undo | None = None) -> None:
        self._undo = undo or Undo()
        self._contrast = Contrast()
        self._drawn_limits = (0.0, 1.0)
        self._following = False  # while the controls are updated to a contrast set elsewhere
        self._changed = changed
        self.histogram = Histogram()
        self.histogram.observe(self._drag_limits, "chosen")
        low, high = self.contrast.percentiles
        self._low, self._high = (
            ipywidgets.BoundedFloatText(v, min=0, max=100, step=0.5, layout=NUMBER, tooltip=tip)
            for v, tip in ((low, "% of pixels shown as black"), (high, "% of pixels below white"))
        )
        # automatic limits appear as placeholders, which do not get in the way of typing
        self._ends = [
            ipywidgets.Text(
                continuous_update=False,
                layout=NUMBER,
                tooltip=f"{tip}; leave empty to determine it from each frame",
            )
            for tip in ("Value drawn as the first colour", "Value drawn as the last colour")
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
        self._preset = ipywidgets.Dropdown(
            options=["preset ...", *PRESETS],
            tooltip="Contrast that suits many images",
            layout={"width": "124px"},
        )
        self._preset.observe(self._use_preset, "value")
        for control in (self._low, self._high, self._gamma, self._log, self._map):
            control.observe(self._set, "value")
        for end in self._ends:
            end.observe(self._type_limits, "value")
        auto = button("magic", "Find the limits from each frame", lambda: self._use_percentiles(1.0, 99.5))
        whole = button(
            "arrows-h",
            "Use the lowest and the highest value of each frame",
            lambda: self._use_percentiles(0, 100),
        )
        self._lock = toggle("lock", "Keep these limits for all frames", self._lock_limits)
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
            [ipywidgets.Label("gamma"), self._gamma, self._log, self._preset],
        ]
        boxes = [ipywidgets.HBox(row) for row in rows]
        for box in boxes:
            box.add_class("dmlink-wrap")
        self.widget = Section([self.histogram, *boxes])

    @property
    def contrast(self) -> Contrast:
        """The current contrast; setting it updates the controls."""
        return self._contrast

    @contrast.setter
    def contrast(self, contrast: Contrast) -> None:
        changed = self._changes(contrast)
        self._contrast = contrast
        self._following = True
        try:
            if "percentiles" in changed:
                self._low.value, self._high.value = contrast.percentiles
            self._gamma.value, self._log.value, self._map.value = (
                contrast.gamma,
                contrast.log,
                contrast.colours,
            )
            if "fixed" in changed:
                for end, limit in zip(self._ends, contrast.fixed, strict=True):
                    end.value = "" if limit is None else _formatted(limit)  # rounded, for reading
                pairs = zip(contrast.fixed, self._drawn_limits, strict=True)
                limits = [drawn if limit is None else limit for limit, drawn in pairs]
                self.histogram.chosen = [] if contrast.fixed == AUTOMATIC else limits
            self._lock.value = None not in contrast.fixed
        finally:
            self._following = False
        self._changed()

    def _apply(self, contrast: Contrast) -> None:
        """Apply a contrast that the user has set; repeated changes of the same setting are one undo step."""
        before, changed = self._contrast, self._changes(contrast)
        self.contrast = contrast
        if changed:
            self._undo.add("contrast", lambda: setattr(self, "contrast", before), ("contrast", *changed))

    def _changes(self, contrast: Contrast) -> list[str]:
        """Return the names of the settings that differ from the current contrast."""
        return [name for name, value in vars(contrast).items() if value != getattr(self._contrast, name)]

    def draw(self, figure: ImageFigure, unit: str = "") -> None:
        """Show the histogram of the values in the figure, and its limits in `unit`."""
        self._drawn_limits = figure.limits
        if self.widget.opened and figure.shown_values is not None:
            self.histogram.draw(figure.shown_values, figure.limits, self._contrast, unit)
            for end, limit in zip(self._ends, figure.limits, strict=True):
                end.placeholder = _formatted(limit)

    def _set(self, _: Any) -> None:
        """Apply the controls, once the percentiles are in order (not 60 to 9 while 99 is being typed)."""
        if self._following:
            return
        gamma, log, colours = float(self._gamma.value), bool(self._log.value), str(self._map.value)
        contrast = replace(self._contrast, gamma=gamma, log=log, colours=colours)
        percentiles = float(self._low.value), float(self._high.value)
        with contextlib.suppress(ValueError):
            if percentiles != contrast.percentiles:
                contrast = replace(contrast, percentiles=percentiles, fixed=AUTOMATIC)
        self._apply(contrast)

    def _use_preset(self, change: dict[str, Any]) -> None:
        if change["new"] in PRESETS:
            self._apply(PRESETS[change["new"]])
            self._preset.index = 0  # it is a command, not a state

    def _use_percentiles(self, low: float, high: float) -> None:
        self._apply(replace(self._contrast, percentiles=(low, high), fixed=AUTOMATIC))

    def _type_limits(self, _: Any) -> None:
        """Apply typed limits, once they are numbers and in order."""
        if self._following:
            return
        with contextlib.suppress(ValueError):
            low, high = (float(end.value) if end.value.strip() else None for end in self._ends)
            known = [limit for limit in (low, high) if limit is not None]
            if all(map(math.isfinite, known)) and known == sorted(set(known)):
                self._apply(replace(self._contrast, fixed=(low, high)))

    def _drag_limits(self, change: dict[str, Any]) -> None:
        if self._following:
            return
        limits = change["new"]
        fixed = (float(limits[0]), float(limits[1])) if limits else AUTOMATIC
        self._apply(replace(self._contrast, fixed=fixed))

    def _lock_limits(self, locked: bool) -> None:
        if not self._following:
            self._apply(replace(self._contrast, fixed=self._drawn_limits if locked else AUTOMATIC))


def _formatted(limit: float) -> str:
    return f"{limit:.6g}"
