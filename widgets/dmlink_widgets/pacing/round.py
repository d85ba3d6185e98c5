"""Round: everything drawn together is sent to the page as one message.

Each message costs the server, JupyterLab and the page about as much as painting a curve, and seven
panels would send ten messages at once.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

import ipywidgets

from dmlink_widgets.page_widget import PageWidget

if TYPE_CHECKING:
    from collections.abc import Iterable

_thread = threading.local()  # the painter draws a round while the main thread handles the user's input


class Round:
    """A context in which the state that InRounds send from this thread is collected."""

    def __init__(self) -> None:
        self._changed: dict[InRound, set[str]] = {}

    def __enter__(self) -> Self:
        _thread.round = self
        return self

    def __exit__(self, *_: object) -> None:
        _thread.round = None

    def add(self, widget: InRound, names: Iterable[str]) -> None:
        """Record that these traits have changed."""
        self._changed.setdefault(widget, set()).update(names)

    def send_one_by_one(self) -> None:
        """Send the state of each widget as a message of its own."""
        for widget, names in self._changed.items():
            widget.send_state(names)

    def message(self) -> tuple[list[dict[str, Any]], list[bytes]]:
        """Return (the new state of each widget, as fence.js takes it; the buffers that it refers to)."""
        widgets: list[dict[str, Any]] = []
        buffers: list[bytes] = []
        for widget, names in self._changed.items():
            if widget.comm is None:  # the widget was closed meanwhile
                continue
            state = widget.get_state(names)
            binary = {name: value for name, value in state.items() if isinstance(value, bytes)}
            places = {name: len(buffers) + i for i, name in enumerate(binary)}
            buffers += binary.values()
            plain = {name: value for name, value in state.items() if name not in binary}
            widgets.append({"id": widget.model_id, "state": plain, "buffers": places})
        return widgets, buffers


class InRound(ipywidgets.Widget):  # type: ignore[misc]
    """A widget that sends its state as part of the round in which it is drawn."""

    def send_state(self, key: str | Iterable[str] | None = None) -> None:
        """Send these traits, or all of them by default; within a round, they are sent with it."""
        now: Round | None = getattr(_thread, "round", None)
        if now is None or key is None:
            super().send_state(key)
        else:
            now.add(self, [key] if isinstance(key, str) else key)


class RoundWidget(InRound, PageWidget):
    """One with its own code in the page."""


class Html(InRound, ipywidgets.HTML):  # type: ignore[misc]
    """A text in HTML."""
