"""Round: what is drawn together goes to the page in one message.

Each message costs the server, JupyterLab and the page about as much as painting a curve does, and seven
panels send ten at once.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

import anywidget

if TYPE_CHECKING:
    from collections.abc import Iterable

_open = threading.local()  # the painter draws a round while the kernel's main thread hears what the user does


class Round:
    """While it is entered, collects what widgets that are Drawn would send from this thread."""

    def __init__(self) -> None:
        self._changed: dict[Drawn, set[str]] = {}

    def __enter__(self) -> Self:
        _open.round = self
        return self

    def __exit__(self, *_: object) -> None:
        _open.round = None

    def add(self, widget: Drawn, names: Iterable[str]) -> None:
        """Note that these traits have changed."""
        self._changed.setdefault(widget, set()).update(names)

    def message(self) -> tuple[list[dict[str, Any]], list[bytes]]:
        """Return (what has changed, as pacing.js takes it, the buffers that it counts)."""
        widgets: list[dict[str, Any]] = []
        buffers: list[bytes] = []
        for widget, names in self._changed.items():
            if widget.comm is None:  # closed meanwhile
                continue
            state = widget.get_state(names)
            pictures = {name: value for name, value in state.items() if isinstance(value, bytes)}
            places = {name: len(buffers) + i for i, name in enumerate(pictures)}
            buffers += pictures.values()
            plain = {name: value for name, value in state.items() if name not in pictures}
            widgets.append({"id": widget.model_id, "state": plain, "buffers": places})
        return widgets, buffers


class Drawn(anywidget.AnyWidget):
    """A widget that sends its state with the round in which it is drawn."""

    def send_state(self, key: str | Iterable[str] | None = None) -> None:
        """Send the traits of these names, all without any; within a round they go with it."""
        now: Round | None = getattr(_open, "round", None)
        if now is None or key is None:
            super().send_state(key)
        else:
            now.add(self, [key] if isinstance(key, str) else key)
