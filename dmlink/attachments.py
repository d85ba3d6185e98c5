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


class Attachments:
    """Blocks opened by name, kept open as long as they are in use or shown by an array."""

    def __init__(self) -> None:
        self._blocks: dict[str, Block] = {}
        self._arrays: list[tuple[str, weakref.ref[Bytes]]] = []

    def array(self, name: str, size: int) -> Bytes:
        """Return the first `size` bytes of the block called `name`, writable."""
        if name not in self._blocks:
            self._forget()
            self._blocks[name] = _attach(name)
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
        """Close what is not shown any more; it may belong to a ring that is gone."""
        for name in self._blocks.keys() - self.shown():
            self._blocks.pop(name).close()


def _attach(name: str) -> Block:
    if sys.version_info >= (3, 13):
        return Block(name, track=False)
    # Before 3.13 opening a block also makes this process remove it at its end, under the kernel's feet.
    register: Any = resource_tracker.register
    resource_tracker.register = lambda *_: None
    try:
        return Block(name)
    finally:
        resource_tracker.register = register
