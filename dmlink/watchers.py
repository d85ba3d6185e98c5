"""Watchers: callbacks for every change; one that fails does not stop the others."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Watchers:
    """The callbacks that watch `subject`, a link or a live cell."""

    def __init__(self, subject: object) -> None:
        self._subject = subject
        self._callbacks: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._callbacks)

    def add(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` on every change; return a function to stop it."""
        self._callbacks.append(callback)

        def unwatch() -> None:
            with contextlib.suppress(ValueError):  # called twice
                self._callbacks.remove(callback)

        return unwatch

    def tell(self) -> None:
        """Call every callback."""
        for callback in list(self._callbacks):
            try:
                callback()
            except Exception:  # a panel that cannot draw must not stop the link or cell
                logging.getLogger(__name__).exception("A watcher of %r failed", self._subject)
