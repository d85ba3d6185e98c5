"""Widget tree: a widget and all the widgets inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

if TYPE_CHECKING:
    from collections.abc import Iterator


def close(*widgets: ipywidgets.Widget) -> None:
    """Close widgets with their children, layouts, styles, axes and scales.

    `Widget.close` closes only one; the widgets it refers to would stay in kernel and page. Widgets reachable
    only through a Python attribute, such as a figure that is not shown, must be closed by their owner.
    """
    for widget in parts(*widgets):
        widget.close()


def parts(*widgets: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    """Yield each of these widgets and everything they refer to, once."""
    seen: set[ipywidgets.Widget] = set()
    waiting = list(widgets)
    while waiting:
        widget = waiting.pop()
        if widget not in seen:
            seen.add(widget)
            waiting += _widgets_in(widget.trait_values(sync=True))
            yield widget


def _widgets_in(value: Any) -> Iterator[ipywidgets.Widget]:
    if isinstance(value, ipywidgets.Widget):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _widgets_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _widgets_in(item)
