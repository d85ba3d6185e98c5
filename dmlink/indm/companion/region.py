"""Regions of a live view that links have requested, and their pictures that have not been sent yet."""

from __future__ import annotations

import collections
import weakref
from typing import Any, Sequence

import numpy as np

from dmlink.indm.companion.slots import Slot, Slots
from dmlink.indm.packing import packed
from dmlink.indm.protocol import BLOSC

LOSSLESS_BYTES = 512 * 1024**2  # bytes of one view's frames waiting for lossless links
MAX_SPARE = 4  # buffers kept for the next pictures


class Picture:
    """A copy of a region at one moment, with everything that a FRAME message needs.

    If its pixels are in a slot and it is never sent, its slot is put back for another picture.
    """

    def __init__(self, region: Region, pixels: Any, slot: Slot | None = None) -> None:
        self._region = weakref.ref(region)  # or the two would keep each other, and the slot, for a while
        self.header: dict[str, Any] = {}
        self.pixels = pixels  # a bytearray, or the memory of `slot`
        self.slot = slot
        self.readers = 0  # clients that still need it
        self._packed: Any = None

    def __del__(self) -> None:
        """Put the slot back."""
        if self.slot:
            self.slot.home.put_back(self.slot)

    def slot_among(self, slots: Slots) -> Slot | None:
        """Return the slot among these that holds the pixels, copied if necessary; None if there is none."""
        if self.slot and self.slot.home is slots:
            mine, self.slot = self.slot, None
            return mine
        slot = slots.take(len(self.pixels))
        if slot:  # not in the listener, so NumPy's copy may release the interpreter lock
            np.frombuffer(slot.memory, np.uint8)[: len(self.pixels)] = np.frombuffer(self.pixels, np.uint8)
        return slot

    def done(self) -> None:
        """Return its memory to the region, if that is still wanted: all clients have been sent the pixels."""
        region = self._region()
        if region:
            region.give_back(self.pixels)

    def own(self) -> None:
        """Move the pixels out of the slot, if they are in one, because other clients need them too."""
        if self.slot:
            self.pixels = bytearray(self.pixels)
            self.slot.home.put_back(self.slot)
            self.slot = None

    def packed(self, packer: Any) -> tuple[dict[str, Any], Any]:
        """Return header and payload, packed once for all clients if that saves bytes."""
        if self._packed is None:
            self._packed = packed(packer, self.pixels, self.header["dtype"])
        if self._packed is self.pixels:
            return self.header, self.pixels
        return dict(self.header, packing=BLOSC), self._packed

    @property
    def moment(self) -> tuple[Any, ...]:
        """Frame, position in the image, and line, which identify a picture among those of a region."""
        return self.header["index"], self.header["roi"], self.header.get("line")


class Region:
    """The pixels that some clients have requested: the whole image, or a named ROI.

    `mailbox` holds pictures not yet sent: the newest or, with `lossless`, all of them. The listener
    fills it and the loop empties it.
    """

    def __init__(self, roi: str | None, lossless: bool = False) -> None:
        self.roi = roi
        self.lossless = lossless
        self.wanted = False  # a client has credit; only the loop changes this
        self.missed = 0  # frames for which a lossless region had no room
        self.mailbox: collections.deque[Picture] = collections.deque(maxlen=None if lossless else 1)
        self.slots: Slots | None = None  # of the client, if it is the only one; only the loop changes this
        self._spare: list[bytearray] = []

    def take(self) -> Picture | None:
        """Return the next picture to send; None if there is none, or the listener is replacing it."""
        try:
            return self.mailbox.popleft()
        except IndexError:
            return None

    def picture(self, size: int) -> Picture:
        """Return a picture with memory for `size` bytes.

        If the size fits, it reuses a picture that was not sent yet, a slot, or the memory of an earlier
        picture.
        """
        unsent = None if self.lossless else self.take()
        if unsent and len(unsent.pixels) == size:
            return unsent
        del unsent  # its slot may still fit
        slots = self.slots
        slot = slots.take(size) if slots else None
        if slot:
            return Picture(self, slot.memory[:size], slot)
        spare = self._spare.pop() if self._spare else bytearray()
        return Picture(self, spare if len(spare) == size else bytearray(size))

    def give_back(self, memory: Any) -> None:
        """Reclaim the memory of a picture that all clients have been sent, unless it was in a slot."""
        if isinstance(memory, bytearray) and len(self._spare) < (MAX_SPARE if self.lossless else 1):
            self._spare.append(memory)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of waiting pictures."""
        return sum(len(picture.pixels) for picture in list(self.mailbox))


def copy_rectangle(array: Any, place: Sequence[int], out: Any) -> None:
    """Copy the pixels at (top, left, bottom, right) of an array (h, w) or (h, w, 3) into `out`.

    Memoryviews, row by row, keep the interpreter lock. NumPy's own copy releases it and then
    has to wait up to 5 ms to get it back if another Python thread in DM is busy.
    """
    top, left, bottom, right = place
    pixel = array.strides[1] if array.flags.c_contiguous else array.itemsize * array[0, 0].size
    width = array.shape[1] * pixel
    bytes_of: Any = np.ascontiguousarray(array).view(np.uint8)
    source = memoryview(bytes_of).cast("B")
    target = memoryview(out)
    if right - left == array.shape[1]:
        target[:] = source[top * width : bottom * width]
        return
    n = (right - left) * pixel
    start = left * pixel
    for i, row in enumerate(range(top, bottom)):
        begin = row * width + start
        target[i * n : i * n + n] = source[begin : begin + n]
