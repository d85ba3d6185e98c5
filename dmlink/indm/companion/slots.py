"""Slots: memory that a link on the same computer offers, into which frames are copied."""

from __future__ import annotations

import collections
import os
import re
import stat
from typing import Any, NamedTuple

from dmlink.indm.companion.door import ON_WINDOWS
from dmlink.indm.protocol import RefusedError, is_nonce

MAX_SLOTS = 16  # slots that a link can offer at a time
MAX_BLOCK = 4 * 1024**3  # largest block of memory that is mapped, bytes
MAPPED_OFFERS = 32  # offers after which a block that is no longer offered is unmapped
BLOCK_NAME = re.compile(r"(psm|wnsm)_[0-9a-f]{8,32}")  # as Python's multiprocessing names them
BLOCK_FOLDER = "/dev/shm/"  # noqa: S108 - where Linux has them; elsewhere frames go through the socket


class Slot(NamedTuple):
    """Memory for one frame: it is the companion's until a FRAME with its mark fills it or gives it back."""

    mark: str
    memory: memoryview
    home: Slots


class Slots:
    """The slots that one link offers. Only the loop calls `offer` and `named`; any thread can take one.

    A slot is valid only if its memory begins with its mark, a random text that the link has written there:
    the link may run on another computer, at the other end of a tunnel.
    """

    def __init__(self) -> None:
        self._free: collections.deque[Slot] = collections.deque()
        self._useless: collections.deque[str] = collections.deque()  # marks of slots to return to the link
        self._held = 0  # slots offered and not yet named in a FRAME
        self._blocks: dict[str, memoryview] = {}
        self._offered: dict[str, int] = {}  # number of the last offer of each block
        self._offers = 0
        self._closed = False

    def offer(self, offers: Any) -> None:
        """Accept slots, each as [block, its size, offset, size, mark]; sizes in bytes.

        Raises
        ------
        RefusedError
            If this is not such a list, or too long.
        """
        if not isinstance(offers, list) or self._held + len(offers) > MAX_SLOTS:
            raise RefusedError(f"At most {MAX_SLOTS} slots can be offered at a time.")
        if not all(isinstance(offer, list) and len(offer) == 5 and is_nonce(offer[4]) for offer in offers):
            raise RefusedError("A slot is [block, its size, offset, size, mark].")
        for block, block_size, offset, size, mark in offers:
            self._held += 1
            memory = self._memory(block, block_size, offset, size, mark)
            if memory is None:
                self._useless.append(mark)
            else:
                self._free.append(Slot(mark, memory, self))

    def take(self, size: int) -> Slot | None:
        """Return a slot for `size` bytes, if there is one; those that are too small go back to the link."""
        while True:
            try:
                slot = self._free.popleft()
            except IndexError:
                return None
            if len(slot.memory) >= size:
                return slot
            self._useless.append(slot.mark)

    def put_back(self, slot: Slot) -> None:
        """Keep a slot for another frame."""
        if not self._closed:
            self._free.appendleft(slot)

    def named(self, slot: Slot | None) -> dict[str, Any]:
        """Return the fields of a FRAME whose pixels are in `slot`, if any; its slots are the link's again."""
        fields: dict[str, Any] = {"slot": slot.mark} if slot else {}
        useless = [self._useless.popleft() for _ in range(len(self._useless))]
        if useless:
            fields["returned"] = useless
        self._held -= len(useless) + bool(slot)
        return fields

    def close(self) -> None:
        """Unmap the memory, as soon as no picture uses it."""
        self._closed = True
        self._free.clear()
        self._blocks.clear()

    def _memory(self, block: Any, block_size: Any, offset: Any, size: Any, mark: str) -> memoryview | None:
        """Return the memory of a slot, or None if this computer does not have it."""
        if not isinstance(block, str) or not BLOCK_NAME.fullmatch(block):
            return None
        if not all(type(n) is int for n in (block_size, offset, size)):
            return None
        if not (offset >= 0 and len(mark) <= size and offset + size <= block_size <= MAX_BLOCK):
            return None
        self._offers += 1
        self._offered[block] = self._offers
        for name, number in list(self._offered.items()):
            if number <= self._offers - MAPPED_OFFERS:
                del self._offered[name]
                self._blocks.pop(name, None)
        if block not in self._blocks:
            try:
                self._blocks[block] = _mapped(block, block_size)
            except Exception:  # noqa: BLE001 - whatever the reason, frames go through the socket
                return None
        memory = self._blocks[block][offset : offset + size]
        if len(memory) == size and bytes(memory[: len(mark)]) == mark.encode("ascii"):
            return memory
        del self._blocks[block]  # a different block of that name, or on Windows a new one
        return None


def _mapped(name: str, size: int) -> memoryview:
    """Map a block of shared memory of this user.

    Raises
    ------
    OSError, ValueError
        If there is none of that name and size, or it is not private.
    """
    import mmap  # noqa: PLC0415 - without it, frames go through the socket

    if ON_WINDOWS:  # creates a block if there is none, which then does not have the mark
        return memoryview(mmap.mmap(-1, size, tagname=name))  # type: ignore[call-arg, unused-ignore]
    descriptor = os.open(BLOCK_FOLDER + name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        private = found.st_uid == os.getuid() and not found.st_mode & 0o077
        if not stat.S_ISREG(found.st_mode) or not private or found.st_size != size:
            raise OSError(f"{name} is not a block of {size} bytes of this user.")
        return memoryview(mmap.mmap(descriptor, size))
    finally:
        os.close(descriptor)
