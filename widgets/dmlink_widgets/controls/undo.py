"""Undo: reverts the last changes to a live view. It touches no recording and no microscope settings."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

MOST = 100  # changes that are kept


class Undo:
    """A stack of undo functions. Consecutive changes with the same `key` count as one, until `settle`."""

    def __init__(self) -> None:
        self._steps: collections.deque[tuple[str, Callable[[], None]]] = collections.deque(maxlen=MOST)
        self._key: Hashable = None
        self._undoing = False

    def add(self, what: str, back: Callable[[], None], key: Hashable = None) -> None:
        """Record that `what` was changed, and that `back` restores the previous state."""
        if self._undoing:
            return
        if key is None or key != self._key:
            self._steps.append((what, back))
        self._key = key

    def settle(self) -> None:
        """End a group of changes, such as a drag: the next change is a separate step."""
        self._key = None

    def undo(self) -> str:
        """Undo the last change; return what it was, "" if there is none.

        Raises
        ------
        OSError, ValueError
            If it cannot be undone, for example without a link.
        """
        if not self._steps:
            return ""
        what, back = self._steps.pop()
        self._key, self._undoing = None, True
        try:
            back()
        finally:
            self._undoing = False
        return what
