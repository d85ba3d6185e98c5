"""Offers: slots of shared memory into which a companion on the same computer copies frames."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.indm.protocol import ProtocolError

if TYPE_CHECKING:
    from dmlink.ring import Bytes, Ring

MIN_BYTES = 64 * 1024  # smaller frames are sent: offering a slot takes longer
MAX_OFFERED = 4  # slots that the companion has at a time
MARK_BYTES = 16  # of a random mark, which is twice as long in hexadecimal
PAGE = 4096  # bytes


class Offers:
    """Slots of a ring that one companion has.

    A slot is the companion's from its offer until a FRAME says that its frame is there, or gives it back.
    So nobody sees a frame before it is complete, and nothing is ever written to it afterwards.
    """

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._given: dict[str, tuple[Bytes, str]] = {}  # memory and name of each slot, by its mark
        self._touched: set[str] = set()  # slots of this size whose pages the system has provided
        self._size = 0  # bytes of a frame; 0 before the first
        self._most = 0  # slots that this companion accepts at a time
        self._used = False  # whether it has used one

    def restart(self, most: Any) -> None:
        """Begin with a companion that accepts `most` slots at a time; None if it accepts none."""
        if self._given:
            self._ring.renew()  # the last one may still be writing into a slot
            self._given.clear()
        self._touched.clear()
        self._most = min(most, MAX_OFFERED) if type(most) is int else 0
        self._used = False

    def expect(self, size: int) -> None:
        """Offer slots for frames of `size` bytes from now on."""
        if size != self._size:
            self._size = size
            self._touched.clear()

    def make(self, n: int) -> list[list[Any]]:
        """Return up to `n` new offers, each [block, its size, offset, size, mark]."""
        made: list[list[Any]] = []
        size = self._size  # the link's thread may change it meanwhile
        if size < MIN_BYTES:
            return made
        for _ in range(min(n, self._most - len(self._given))):
            lent = self._ring.lend(size)
            if lent is None:
                break
            memory, slot = lent
            name, mark = str(slot), secrets.token_hex(MARK_BYTES)
            if name not in self._touched:  # otherwise DigitalMicrograph would wait for the system
                memory[::PAGE] = 0
                self._touched.add(name)
            memory[: len(mark)] = np.frombuffer(mark.encode(), np.uint8)
            self._given[mark] = memory, name
            made.append([slot.block.name, slot.block.size, slot.offset, size, mark])
        return made

    def take(self, header: dict[str, Any], size: int) -> tuple[Bytes, str] | None:
        """Return the memory of a FRAME of `size` bytes and the name of its slot; None if it was sent.

        Raises
        ------
        ProtocolError
            If it names a slot that the companion does not have, or that is too small.
        """
        try:
            returned = [self._given.pop(mark) for mark in header.get("returned", [])]
            found = self._given.pop(header["slot"]) if "slot" in header else None
        except (KeyError, TypeError):
            raise ProtocolError("A frame names a slot of shared memory that was not offered.") from None
        self._used = self._used or found is not None
        if not self._used and any(len(memory) >= size for memory, _ in returned):
            self._most = 0  # it cannot use them: it runs on another computer, or as another user
        if found is None:
            return None
        memory, name = found
        if len(memory) < size:
            raise ProtocolError(f"A frame of {size} bytes does not fit into a slot of {len(memory)}.")
        return memory[:size], name
