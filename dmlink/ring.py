"""Frames in shared memory: blocks that are used in turn, so that workers see a frame without a copy."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import weakref
from multiprocessing import resource_tracker
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
        with contextlib.suppress(BufferError, OSError):
            self.close()


class Ring:
    """Hands out memory; a block is free again when the last array that shows it is gone.

    Python's own references are the lease: whoever holds a frame holds its pixels, and nobody has to give
    anything back.
    """

    def __init__(self) -> None:
        self._free: list[Block] = []
        self._lent: set[Block] = set()
        self._bytes = 0
        self._closed = False
        self._lock = threading.Lock()

    def take(self, size: int) -> tuple[Bytes, str]:
        """Return (writable array of `size` bytes, name of its block, empty for ordinary memory)."""
        with self._lock:
            block = self._reuse(size) or self._new(size)
            if block is None:
                return np.empty(size, np.uint8), ""
            self._lent.add(block)
        array = np.frombuffer(_buffer(block), np.uint8, size)
        weakref.finalize(array, self._release, block).atexit = False
        return array, block.name

    def close(self) -> None:
        """Give the memory back to the system; what is still shown stays mapped until it is not."""
        with self._lock:
            self._closed = True
            for block in (*self._free, *self._lent):
                _dispose(block)
            self._free.clear()

    def _reuse(self, size: int) -> Block | None:
        for i, block in enumerate(self._free):
            if size <= block.size <= 2 * size + 65536:
                return self._free.pop(i)
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

    def _release(self, block: Block) -> None:
        # Called while the array dies: its hold on the memory ends just after this.
        with self._lock:
            self._lent.discard(block)
            if not self._closed:
                self._free.append(block)


class Attachments:
    """A worker's side: blocks opened by name, kept open as long as they are in use."""

    def __init__(self) -> None:
        self._blocks: dict[str, SharedMemory] = {}

    def array(self, name: str, size: int) -> Bytes:
        """Return the first `size` bytes of the block called `name`, writable."""
        if name not in self._blocks:
            self._forget()
            self._blocks[name] = _attach(name)
        return np.frombuffer(_buffer(self._blocks[name]), np.uint8, size)

    def _forget(self) -> None:
        """Close what is not shown any more; it may belong to a ring that is gone."""
        for name, block in list(self._blocks.items()):
            with contextlib.suppress(BufferError):
                block.close()
                del self._blocks[name]


def _attach(name: str) -> SharedMemory:
    if sys.version_info >= (3, 13):
        return Block(name, track=False)
    # Before 3.13 opening a block also makes this process remove it at its end, under the kernel's feet.
    register: Any = resource_tracker.register
    resource_tracker.register = lambda *_: None
    try:
        return Block(name)
    finally:
        resource_tracker.register = register


def _buffer(block: SharedMemory) -> memoryview[int]:
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
