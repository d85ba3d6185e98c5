"""Ring: reusable slots of shared memory for frames, so that workers get a frame without copying it."""

from __future__ import annotations

import atexit
import collections
import contextlib
import functools
import os
import shutil
import sys
import threading
import weakref
from multiprocessing import resource_tracker, util
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

BLOCK_BYTES = 16 << 20  # size of a block shared by small frames; a ring has at most 64 of them open
PLENTY = 1 << 30  # bytes free in /dev/shm; with less, as in a container, each block is reserved as a whole
ALIGNMENT = 64  # bytes: a cache line
MAX_BYTES = 1 << 30  # per ring, plus what is reserved; beyond it, workers get copies of frames
KEPT = 32  # calls before an unused block is closed; a ring uses its blocks in turn
POSIX_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only its free space is checked

Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]


class Block(SharedMemory):
    """A block of shared memory, which arrays may use even after `close`."""

    def __init__(
        self, name: str | None = None, *, create: bool = False, size: int = 0, **options: Any
    ) -> None:
        super().__init__(name, create, size, **options)
        # The mapping needs no descriptor, and `close` would keep it open as long as an array uses the memory.
        descriptor = getattr(self, "_fd", -1)
        if create and descriptor >= 0 and hasattr(os, "posix_fallocate") and _free() < PLENTY:
            try:  # otherwise a full /dev/shm would kill whoever writes into it
                os.posix_fallocate(descriptor, 0, size)
            except OSError:
                self.unlink()
                self.close()
                raise
        if descriptor >= 0:
            os.close(descriptor)
            self._fd = -1

    def __del__(self) -> None:
        """Close quietly; arrays that still use the memory keep it mapped."""
        try:  # noqa: SIM105 - while Python exits, modules such as contextlib may be gone already
            self.close()
        except (BufferError, OSError):
            pass


class Slot(NamedTuple):
    """A place for one frame in a block."""

    block: Block
    offset: int  # bytes

    def __str__(self) -> str:
        """Return the name with which a worker attaches it."""
        return f"{self.block.name}+{self.offset}"


class Ring:
    """Hands out slots of shared memory; a slot is free again when the last array that uses it is gone.

    Python's references are the lease: holding a frame holds its pixels, and nothing has to be returned
    explicitly. Small frames share a block, because each block costs a mapping and a file descriptor.
    """

    def __init__(self) -> None:
        self._free: dict[Block, list[Slot]] = {}  # the free slots of every block
        self._slot_size = 0  # bytes of each of these slots
        self._lent: dict[Slot, weakref.ref[Bytes]] = {}  # the array that uses each lent slot
        self._shown: collections.Counter[Block] = collections.Counter()  # number of lent slots per block
        self._max_bytes = MAX_BYTES
        self._returned: collections.deque[Slot] = collections.deque()  # by arrays that are gone
        self._closed = False
        self._lock = threading.Lock()
        self._process = os.getpid()
        _rings.add(self)

    def take(self, size: int) -> tuple[Bytes, str]:
        """Return (writable array of `size` bytes, name of its slot: empty for ordinary memory)."""
        lent = self.lend(size)
        if lent is None:
            return np.empty(size, np.uint8), ""
        array, slot = lent
        return array, str(slot)

    def lend(self, size: int) -> tuple[Bytes, Slot] | None:
        """Return (writable array of `size` bytes, its slot), or None if no shared memory is left."""
        with self._lock:
            self._take_back()
            if not size <= self._slot_size <= 2 * size + 65536:
                self._change_size(size)
            slot = self._free_slot()
            if slot is None:
                return None
            array: Bytes = np.frombuffer(_buffer(slot.block), np.uint8, size, slot.offset)
            self._lent[slot] = weakref.ref(array, functools.partial(self._release, slot))
            self._shown[slot.block] += 1
        return array, slot

    def renew(self) -> None:
        """Use new blocks from now on, because another process may still write into lent slots of the old."""
        with self._lock:
            self._change_size(self._slot_size)

    def reserve(self, size: int) -> None:
        """Allow `size` more bytes for frames that are kept; a negative size undoes it."""
        with self._lock:
            self._max_bytes += size
            if size < 0:
                self._take_back()
                for block in [block for block in self._free if block not in self._shown]:
                    del self._free[block]
                    _dispose(block)

    def close(self) -> None:
        """Give the memory back to the system; what arrays still use stays mapped until they are gone."""
        if self._process != os.getpid():  # a forked process must not remove its parent's blocks
            return
        with self._lock:
            self._closed = True
            for block in {*self._free, *self._shown}:
                _dispose(block)
            self._free.clear()
            self._lent.clear()
            self._shown.clear()
            self._returned.clear()

    def _change_size(self, size: int) -> None:
        """Free blocks of the old frame size; those still used by an array follow when it is gone."""
        self._slot_size = -(-size // ALIGNMENT) * ALIGNMENT
        for block in self._free:
            if block not in self._shown:
                _dispose(block)
        self._free = {}

    def _free_slot(self) -> Slot | None:
        for slots in reversed(self._free.values()):
            if slots:
                return slots.pop()  # the last one used, as it may still be in the processor's cache
        block = self._new_block()
        if block is None:
            return None
        offsets = range(0, block.size - self._slot_size + 1, self._slot_size)
        self._free[block] = [Slot(block, offset) for offset in reversed(offsets)]
        return self._free[block].pop()

    def _new_block(self) -> Block | None:
        size = self._slot_size * max(1, BLOCK_BYTES // self._slot_size)
        used = sum(block.size for block in {*self._free, *self._shown})
        if used + size > self._max_bytes:
            size = self._slot_size
        if self._closed or used + size > self._max_bytes or not _room_for(size):
            return None
        _start_tracker()
        try:
            return Block(create=True, size=size)
        except OSError:  # no memory, or no descriptor
            return None

    def _take_back(self) -> None:
        while self._returned:
            slot = self._returned.popleft()
            if self._lent.pop(slot, None) is None:
                continue
            self._shown[slot.block] -= 1
            if not self._shown[slot.block]:
                del self._shown[slot.block]
            if slot.block in self._free:
                self._free[slot.block].append(slot)
            elif slot.block not in self._shown:
                _dispose(slot.block)  # its size is no longer used

    def _release(self, slot: Slot, _array: weakref.ref[Bytes]) -> None:
        # Called while an array is destroyed, in whatever thread the garbage collector runs, so it must not
        # wait for a lock. The array releases the memory just after this.
        if not self._closed:
            self._returned.append(slot)


def _start_tracker() -> None:
    """Start Python's resource tracker, which removes a killed process's blocks, in its own process group.

    A Jupyter kernel that shuts down sends signals to the processes of its group and waits for them, but the
    tracker ignores signals: the kernel would be killed after some seconds, whatever it still had to do.
    """
    if sys.platform == "win32":  # there is none
        return

    def spawn(path: str, arguments: list[str], descriptors: list[int]) -> int:
        for descriptor in descriptors:
            os.set_inheritable(descriptor, True)
        return os.posix_spawn(path, arguments, os.environ, setpgroup=0)

    # only what the tracker's module sees, because other threads may start processes meanwhile
    module: Any = resource_tracker
    with _starting:
        module.util = SimpleNamespace(**{**vars(util), "spawnv_passfds": spawn})
        try:
            resource_tracker.ensure_running()
        finally:
            module.util = util


_starting = threading.Lock()
_rings: weakref.WeakSet[Ring] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Give back what a program that ends has not closed; otherwise Python would warn of leaked memory."""
    for ring in list(_rings):
        ring.close()


def _buffer(block: Block) -> memoryview[int]:
    assert block.buf is not None  # noqa: S101 - it is open
    return block.buf


def _dispose(block: Block) -> None:
    with contextlib.suppress(FileNotFoundError):  # something else removed it
        block.unlink()
    with contextlib.suppress(BufferError):
        block.close()


def _room_for(size: int) -> bool:
    """Return whether the system has the memory: writing to a full /dev/shm in a container would kill us."""
    return _free() > 2 * size


def _free() -> int:
    return shutil.disk_usage(POSIX_SHARED_MEMORY).free if POSIX_SHARED_MEMORY.is_dir() else sys.maxsize


class Attachments:
    """Blocks opened by name, kept open while they are asked for or used by an array."""

    def __init__(self) -> None:
        self._blocks: dict[str, Block] = {}
        self._used: dict[str, int] = {}  # number of the last call that asked for each block
        self._calls = 0
        self._arrays: list[tuple[str, weakref.ref[Bytes]]] = []

    def array(self, name: str, size: int) -> Bytes:
        """Return the first `size` bytes of the slot called `name`, writable."""
        block, _, offset = name.partition("+")
        self._calls += 1
        if block not in self._blocks:
            self._blocks[block] = _attach(block)
        self._used[block] = self._calls
        self._forget()
        array: Bytes = np.frombuffer(_buffer(self._blocks[block]), np.uint8, size, int(offset or 0))
        self._arrays.append((name, weakref.ref(array)))
        return array

    def has(self, name: str) -> bool:
        """Return whether the block of the slot called `name` is open."""
        return name.partition("+")[0] in self._blocks

    def shown(self) -> set[str]:
        """Return the names of the slots that an array, or a view of one, still uses."""
        self._arrays = [(name, array) for name, array in self._arrays if array() is not None]
        return {name for name, _ in self._arrays}

    @property
    def size(self) -> int:
        """Bytes of all blocks that are open now."""
        return sum(block.size for block in self._blocks.values())

    def _forget(self) -> None:
        """Close blocks that are no longer asked for: their ring is gone, or its frame size has changed."""
        old = {name for name, call in self._used.items() if call <= self._calls - KEPT}
        for name in old - {slot.partition("+")[0] for slot in self.shown()} if old else ():
            self._blocks.pop(name).close()
            del self._used[name]


class _Attached(Block):
    """A block that belongs to the kernel."""

    def unlink(self) -> None:
        """Do nothing: Python would remove the block if there is too little memory to map it."""


def _attach(name: str) -> Block:
    if sys.version_info >= (3, 13):
        return _Attached(name, track=False)
    # Before Python 3.13, a process that opens a block removes it on exit, although the kernel still uses it.
    register: Any = resource_tracker.register
    resource_tracker.register = lambda *_: None
    try:
        return _Attached(name)
    finally:
        resource_tracker.register = register
