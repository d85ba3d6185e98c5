"""Toolbar: the small buttons of a panel; what one does is said when the pointer rests on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

if TYPE_CHECKING:
    from collections.abc import Callable


def button(icon: str, tooltip: str, clicked: Callable[[], None]) -> ipywidgets.Button:
    """Return a button with an icon of Font Awesome."""
    made = ipywidgets.Button(icon=icon, tooltip=tooltip)
    made.add_class("dmlink-icon")
    made.on_click(lambda _: clicked())
    return made


def toggle(icon: str, tooltip: str, changed: Callable[[bool], None]) -> ipywidgets.ToggleButton:
    """Return a button that stays down until it is pressed again."""
    made = ipywidgets.ToggleButton(icon=icon, tooltip=tooltip)
    made.add_class("dmlink-icon")
    made.observe(lambda change: changed(bool(change["new"])), "value")
    return made


def toolbar(*buttons: ipywidgets.DOMWidget) -> ipywidgets.HBox:
    """Return a row of buttons."""
    row = ipywidgets.HBox(list(buttons))
    row.add_class("dmlink-toolbar")
    return row


class Section(ipywidgets.VBox):  # type: ignore[misc]  # it has no types
    """Controls that are out of sight until `opened`; takes no place until then."""

    def __init__(self, children: list[Any]) -> None:
        super().__init__(children, layout=ipywidgets.Layout(display="none"))
        self.add_class("dmlink-section")

    @property
    def opened(self) -> bool:
        """Whether it can be seen."""
        return self.layout.display is None

    def reveal(self, opened: bool) -> None:
        """Bring it into sight, or out of it."""
        self.layout.display = None if opened else "none"
