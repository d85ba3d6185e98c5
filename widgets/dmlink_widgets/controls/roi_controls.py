"""RoiControls: name and coordinates of the selected ROI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink.frame import Roi
from dmlink_widgets.controls.toolbar import Section, button

if TYPE_CHECKING:
    from collections.abc import Callable

SIDES = "top", "left", "height", "width"


class RoiControls:
    """Fields to rename, move, resize and remove an ROI.

    Parameters
    ----------
    place : callable
        Called with (name, Roi) when the user has typed a new position or size.
    rename : callable
        Called with (old name, new name).
    remove : callable
        Called with the name.

    Attributes
    ----------
    widget : Section
        What the notebook shows; numbers are in pixels.
    """

    def __init__(
        self,
        place: Callable[[str, Roi], None],
        rename: Callable[[str, str], None],
        remove: Callable[[str], None],
    ) -> None:
        self._place = place
        self._rename = rename
        self._shown: tuple[str, tuple[int, ...]] = "", ()
        self._name = ipywidgets.Text(
            placeholder="select an ROI",
            continuous_update=False,
            layout=ipywidgets.Layout(width="130px"),
            tooltip="Name of the ROI; DigitalMicrograph does not show it",
        )
        self._numbers = {
            side: ipywidgets.BoundedIntText(min=0, max=1 << 20, layout=ipywidgets.Layout(width="72px"))
            for side in SIDES
        }
        self._remove = button("trash", "Remove this ROI (Delete)", lambda: remove(self._shown[0]))
        self._name.observe(self._type_name, "value")
        for control in self._numbers.values():
            control.observe(self._type_number, "value")
        fields = [
            ipywidgets.HBox([ipywidgets.Label(side), control]) for side, control in self._numbers.items()
        ]
        row = ipywidgets.HBox([self._name, *fields, self._remove])
        row.add_class("dmlink-wrap")
        self.widget = Section([row])
        self.show("", None)

    def show(self, name: str, roi: Roi | None) -> None:
        """Show this ROI; None if none is selected."""
        numbers = (roi.top, roi.left, *roi.shape) if roi else ()
        if (name, numbers) == self._shown and self._remove.disabled == (roi is None):
            return
        self._shown = "", ()  # values set from here on were not typed
        self._name.value = name if roi else ""
        for control, value in zip(self._numbers.values(), numbers or (0,) * 4, strict=True):
            control.value = value
        for control in (self._name, *self._numbers.values(), self._remove):
            control.disabled = roi is None
        self._shown = name if roi else "", numbers

    def _type_name(self, change: dict[str, Any]) -> None:
        old, new = self._shown[0], change["new"].strip()
        if old and new and new != old:
            self._rename(old, new)

    def _type_number(self, _: Any) -> None:
        name, numbers = self._shown
        top, left, height, width = (int(control.value) for control in self._numbers.values())
        if name and (top, left, height, width) != numbers and height and width:
            self._place(name, Roi(top, left, top + height, left + width))
