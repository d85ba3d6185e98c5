"""Watchers: callbacks that are told of every change, each whatever the others do."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Watchers:
    """Those who watch `whom`, a link or a live cell."""

    def __init__(self, whom: object) -> None:
        self._whom = whom
        self._callbacks: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._callbacks)

    def add(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` on every change; return how to end that."""
        self._callbacks.append(callback)

        def unwatch() -> None:
            with contextlib.suppress(ValueError):  # a second time
                self._callbacks.remove(callback)

        return unwatch

    def tell(self) -> None:
        """Call them all."""
        for callback in list(self._callbacks):
            try:
                callback()
            except Exception:  # a panel that cannot draw must not end what it watches
                logging.getLogger(__name__).exception("A watcher of %r failed", self._whom)
