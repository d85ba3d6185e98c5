"""Attachments: a worker's side of the frames in shared memory. See `ring` for the kernel's."""

from __future__ import annotations

import sys
import weakref
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.ring import Block

if TYPE_CHECKING:
    from dmlink.ring import Bytes


KEPT = 32  # calls for which an open block that nobody asked for waits: rings use theirs in turn


class Attachments:
    """Blocks opened by name, kept open as long as they are in use or shown by an array."""

    def __init__(self) -> None:
        self._blocks: dict[str, Block] = {}
        self._used: dict[str, int] = {}  # which call asked for it last
        self._calls = 0
        self._arrays: list[tuple[str, weakref.ref[Bytes]]] = []

    def array(self, name: str, size: int) -> Bytes:
        """Return the first `size` bytes of the block called `name`, writable."""
        self._calls += 1
        if name not in self._blocks:
            self._blocks[name] = _attach(name)
        self._used[name] = self._calls
        self._forget()
        buffer = self._blocks[name].buf
        assert buffer is not None  # noqa: S101 - it is open
        array: Bytes = np.frombuffer(buffer, np.uint8, size)
        self._arrays.append((name, weakref.ref(array)))
        return array

    def shown(self) -> set[str]:
        """Return the names of the blocks that are still shown by an array, or by a part of one."""
        self._arrays = [(name, array) for name, array in self._arrays if array() is not None]
        return {name for name, _ in self._arrays}

    @property
    def size(self) -> int:
        """Bytes of all blocks that are open now."""
        return sum(block.size for block in self._blocks.values())

    def _forget(self) -> None:
        """Close what has not been asked for any more: its ring is gone, or uses other sizes now."""
        old = {name for name, call in self._used.items() if call <= self._calls - KEPT}
        for name in old - self.shown() if old else ():
            self._blocks.pop(name).close()
            del self._used[name]


class _Attached(Block):
    """A block of the kernel's."""

    def unlink(self) -> None:
        """Leave it there: Python takes a block away that cannot be mapped for lack of memory."""


def _attach(name: str) -> Block:
    if sys.version_info >= (3, 13):
        return _Attached(name, track=False)
    # Before 3.13 opening a block also makes this process remove it at its end, under the kernel's feet.
    register: Any = resource_tracker.register
    resource_tracker.register = lambda *_: None
    try:
        return _Attached(name)
    finally:
        resource_tracker.register = register
