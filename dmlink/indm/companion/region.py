"""Regions of a live view that links have asked for, and the pictures of them that have not been sent."""

from __future__ import annotations

import collections
from typing import Any, Sequence

import numpy as np

from dmlink.indm.packing import packed
from dmlink.indm.protocol import BLOSC

LOSSLESS_BYTES = 512 * 1024**2  # of one view's frames that wait for links which want every frame
MAX_SPARE = 4  # pieces of memory kept for the next pictures


class Picture:
    """A copy of a region at one moment: what a FRAME message needs."""

    def __init__(self, region: Region, header: dict[str, Any], pixels: bytearray) -> None:
        self.region = region
        self.header = header
        self.pixels = pixels
        self.readers = 0  # clients that still have to be sent it
        self._packed: Any = None

    def packed(self, packer: Any) -> tuple[dict[str, Any], Any]:
        """Return header and payload, packed once for all clients, if that takes fewer bytes."""
        if self._packed is None:
            self._packed = packed(packer, self.pixels, self.header["dtype"])
        if self._packed is self.pixels:
            return self.header, self.pixels
        return dict(self.header, packing=BLOSC), self._packed

    @property
    def moment(self) -> tuple[Any, ...]:
        """What tells this picture from another one of the same region: frame, place in the image, line."""
        return self.header["index"], self.header["roi"], self.header.get("line")


class Region:
    """The pixels that some clients have asked for: the whole image, or the ROI of a name.

    `mailbox` holds what has not been sent: the newest picture, or with `lossless` all of them. The listener
    fills it, the loop empties it.
    """

    def __init__(self, roi: str | None, lossless: bool = False) -> None:
        self.roi = roi
        self.lossless = lossless
        self.wanted = False  # somebody has credit; only the loop changes this
        self.missed = 0  # frames that a lossless region had no room for
        self.mailbox: collections.deque[Picture] = collections.deque(maxlen=None if lossless else 1)
        self._spare: list[bytearray] = []

    def take(self) -> Picture | None:
        """Return the picture that is to be sent next; None if the listener is just writing over it."""
        try:
            return self.mailbox.popleft()
        except IndexError:
            return None

    def memory(self, size: int) -> bytearray:
        """Return memory for a picture of `size` bytes: that of one sent or never sent, if it fits."""
        for take in (self._take_unsent, self._spare.pop):
            try:
                memory = take()
            except IndexError:
                continue
            if len(memory) == size:
                return memory
        return bytearray(size)

    def give_back(self, memory: bytearray) -> None:
        """Take back the memory of a picture that everybody has been sent."""
        if len(self._spare) < (MAX_SPARE if self.lossless else 1):
            self._spare.append(memory)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the pictures that wait."""
        return sum(len(picture.pixels) for picture in list(self.mailbox))

    def _take_unsent(self) -> bytearray:
        if self.lossless:
            raise IndexError
        return self.mailbox.pop().pixels


def copy_rectangle(array: Any, place: Sequence[int], out: bytearray) -> None:
    """Copy the pixels at (top, left, bottom, right) of an array (h, w) or (h, w, 3) into `out`.

    Through memoryviews, row by row: they keep the interpreter lock. NumPy's own copy lets it go, and then
    has to wait up to 5 ms for it whenever another Python thread of DM is busy.
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
