"""Frames in shared memory: blocks that are used in turn, so that workers see a frame without a copy."""

from __future__ import annotations

import collections
import contextlib
import functools
import os
import shutil
import threading
import weakref
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np

MAX_BYTES = 1 << 30  # of one ring; beyond it frames live in ordinary memory and workers get copies
POSIX_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, not written to

Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]


class Block(SharedMemory):
    """A block of shared memory; arrays may outlive our interest in it."""

    def __init__(
        self, name: str | None = None, *, create: bool = False, size: int = 0, **options: Any
    ) -> None:
        super().__init__(name, create, size, **options)
        # The mapping needs no descriptor; `close` would close it only once nobody shows the memory any more.
        descriptor = getattr(self, "_fd", -1)
        if descriptor >= 0:
            os.close(descriptor)
            self._fd = -1

    def __del__(self) -> None:
        """Close quietly: what still shows the memory keeps it mapped."""
        try:  # noqa: SIM105 - at Python's end modules such as contextlib may be gone already
            self.close()
        except (BufferError, OSError):
            pass


class Ring:
    """Hands out memory; a block is free again when the last array that shows it is gone.

    Python's own references are the lease: whoever holds a frame holds its pixels, and nobody has to give
    anything back.
    """

    def __init__(self) -> None:
        self._free: list[Block] = []
        self._lent: dict[Block, weakref.ref[Bytes]] = {}  # with the array that shows it
        self._returned: collections.deque[Block] = collections.deque()  # by arrays that have died
        self._bytes = 0
        self._closed = False
        self._lock = threading.Lock()

    def take(self, size: int) -> tuple[Bytes, str]:
        """Return (writable array of `size` bytes, name of its block, empty for ordinary memory)."""
        with self._lock:
            self._take_back()
            block = self._reuse(size) or self._new(size)
            if block is None:
                return np.empty(size, np.uint8), ""
            array: Bytes = np.frombuffer(_buffer(block), np.uint8, size)
            self._lent[block] = weakref.ref(array, functools.partial(self._release, block))
        return array, block.name

    @property
    def lent(self) -> int:
        """How many blocks are shown by arrays now."""
        with self._lock:
            self._take_back()
            return len(self._lent)

    def close(self) -> None:
        """Give the memory back to the system; what is still shown stays mapped until it is not."""
        with self._lock:
            self._closed = True
            for block in (*self._free, *self._lent):
                _dispose(block)
            self._free.clear()
            self._lent.clear()
            self._returned.clear()

    def _reuse(self, size: int) -> Block | None:
        for block in reversed(self._free):  # the one used last may still be in the processor's cache
            if size <= block.size <= 2 * size + 65536:
                self._free.remove(block)
                return block
        while self._free:  # of another size: the camera has been set up anew
            block = self._free.pop()
            self._bytes -= block.size
            _dispose(block)
        return None

    def _new(self, size: int) -> Block | None:
        if self._closed or self._bytes + size > MAX_BYTES or not _room_for(size):
            return None
        block = Block(create=True, size=size)
        self._bytes += block.size
        return block

    def _take_back(self) -> None:
        while self._returned:
            block = self._returned.popleft()
            self._lent.pop(block, None)
            self._free.append(block)

    def _release(self, block: Block, _array: weakref.ref[Bytes]) -> None:
        # Called while an array dies, wherever the garbage collector happens to run: nothing here may wait for
        # a lock. The array's hold on the memory ends just after this.
        if not self._closed:
            self._returned.append(block)


def _buffer(block: Block) -> memoryview[int]:
    assert block.buf is not None  # noqa: S101 - it is open
    return block.buf


def _dispose(block: Block) -> None:
    with contextlib.suppress(FileNotFoundError):  # somebody has tidied up
        block.unlink()
    with contextlib.suppress(BufferError):
        block.close()


def _room_for(size: int) -> bool:
    """Tell whether the system has the memory: a container with a small /dev/shm would kill us later."""
    if not POSIX_SHARED_MEMORY.is_dir():
        return True
    return shutil.disk_usage(POSIX_SHARED_MEMORY).free > 2 * size
