"""Reruns: closes the panels that a notebook cell showed, once the cell has been run again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from IPython.core.getipython import get_ipython

if TYPE_CHECKING:
    from dmlink_widgets.panels.panel import Panel

    Made = TypeVar("Made", bound=Panel)

_made: dict[str, tuple[str, list[Panel]]] = {}  # by notebook cell: its last execution, and what that made
_replaced: list[Panel] = []  # made by earlier executions


def made(panel: Made) -> Made:
    """Return a panel that the running notebook cell has made; it replaces those of the last run."""
    shell: Any = get_ipython()
    request = shell.get_parent() if hasattr(shell, "get_parent") else {}
    cell, run = request.get("metadata", {}).get("cellId"), request.get("header", {}).get("msg_id")
    if not cell or not run:  # not in a notebook, or its cells have no IDs
        return panel
    if not _made:
        shell.events.register("post_run_cell", lambda *_: _close_unreachable(shell.user_ns))
    before, panels = _made.get(cell, (run, []))
    if before != run:
        _replaced.extend(panels)
        panels = []
    _made[cell] = run, [*panels, panel]
    return panel


def _close_unreachable(namespace: dict[str, Any]) -> None:
    """Close replaced panels that no page shows and no variable holds; IPython's own do not count."""
    named = [value for name, value in namespace.items() if not name.startswith("_") and name != "Out"]
    for panel in list(_replaced):
        if panel.closed:
            _replaced.remove(panel)
        elif not panel.fence.in_pages and not any(_holds(value, panel) for value in named):
            _replaced.remove(panel)
            panel.close()


def _holds(value: Any, panel: Panel) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return value is panel or (isinstance(value, list | tuple | set) and any(item is panel for item in value))
