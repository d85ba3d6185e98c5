"""Toolbar: the small buttons of a panel, each with a tooltip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

if TYPE_CHECKING:
    from collections.abc import Callable


def button(
    icon: str, tooltip: str, clicked: Callable[[], None], *classes: str, words: str = ""
) -> ipywidgets.Button:
    """Return a button with a Font Awesome icon and CSS classes; `words` appear next to the icon."""
    made = ipywidgets.Button(icon=icon, tooltip=tooltip, description=words)
    for name in (*classes, *([] if words else ["dmlink-icon"])):
        made.add_class(name)
    made.on_click(lambda _: clicked())
    return made


def toggle(
    icon: str, tooltip: str, changed: Callable[[bool], None], *classes: str
) -> ipywidgets.ToggleButton:
    """Return a button with these CSS classes that stays down until it is pressed again."""
    made = ipywidgets.ToggleButton(icon=icon, tooltip=tooltip)
    for name in ("dmlink-icon", *classes):
        made.add_class(name)
    made.observe(lambda change: changed(bool(change["new"])), "value")
    return made


def live_button(tooltip: str, clicked: Callable[[], None]) -> ipywidgets.Button:
    """Return the button that goes back from a past frame to the newest one."""
    made = ipywidgets.Button(description="Live", icon="play", tooltip=tooltip, layout={"width": "72px"})
    made.add_class("dmlink-live")
    made.on_click(lambda _: clicked())
    return made


def more(section: Section) -> ipywidgets.ToggleButton:
    """Return the button that shows and hides the counts of a panel."""
    return toggle("info-circle", "Counts: received, processed, painted, dropped", section.reveal)


def dock_button() -> ipywidgets.Button:
    """Return the button that docks a panel beside the notebook; the page hides it if it cannot do that."""
    return button("columns", "Dock: show it beside the notebook (v)", lambda: None, "dmlink-dock")


def toolbar(*buttons: ipywidgets.DOMWidget) -> ipywidgets.HBox:
    """Return a row of buttons."""
    row = ipywidgets.HBox(list(buttons))
    row.add_class("dmlink-toolbar")
    return row


class Section(ipywidgets.VBox):  # type: ignore[misc]  # it has no types
    """Controls that are hidden, and take no space, until they are opened.

    Attributes
    ----------
    on_reveal : callable
        Called after they were shown or hidden.
    """

    def __init__(self, children: list[Any]) -> None:
        super().__init__(children, layout=ipywidgets.Layout(display="none"))
        self.on_reveal: Callable[[], None] = lambda: None
        self.add_class("dmlink-section")

    @property
    def opened(self) -> bool:
        """Whether the controls are shown."""
        return self.layout.display is None

    def reveal(self, opened: bool) -> None:
        """Show or hide the controls."""
        self.layout.display = None if opened else "none"
        self.on_reveal()


class LateSection(Section):
    """A section that gets its content when it is first opened, because bqplot cannot draw axes without space.

    The owner of the content closes it.
    """

    def __init__(self, content: list[Any]) -> None:
        super().__init__([])
        self._content = content

    def reveal(self, opened: bool) -> None:
        """Show or hide the controls."""
        super().reveal(opened)
        if opened and self._content:
            self.children, self._content = self._content, []
