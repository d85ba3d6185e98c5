"""Undo: takes back the last changes of a live view. It touches no recording and no microscope settings."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

MOST = 100  # changes that are kept


class Undo:
    """A stack of what takes changes back. Changes of one `key` in a row are one, until `settle`."""

    def __init__(self) -> None:
        self._steps: collections.deque[tuple[str, Callable[[], None]]] = collections.deque(maxlen=MOST)
        self._key: Hashable = None
        self._undoing = False

    def add(self, what: str, back: Callable[[], None], key: Hashable = None) -> None:
        """Note that `what` has been changed, and that `back` restores what was before."""
        if self._undoing:
            return
        if key is None or key != self._key:
            self._steps.append((what, back))
        self._key = key

    def settle(self) -> None:
        """Let the next change be one of its own, as a drag has ended."""
        self._key = None

    def undo(self) -> str:
        """Take the last change back; return what it was, "" if there is none.

        Raises
        ------
        OSError, ValueError
            If it cannot be taken back, such as without a link.
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
