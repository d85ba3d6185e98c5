"""Changes: tells a new frame in DigitalMicrograph from an event that brings none, or only a part of one."""

from __future__ import annotations

from typing import Any

import numpy as np

SAMPLED_ROWS = 8
SAMPLED_PIXELS = 512  # in the middle of each of these rows; neighbours share cache lines
UNKNOWN = -2  # how far a scan was when we came
FEW_BITS = 16  # a row in which so many change does not stay the same by chance
SURE, SUREST = 3, 10  # frames in one piece that show a camera; how many are remembered


class Changes:
    """Tells a new frame from an event that brings none, or only a part of one.

    The In-Situ Player sends its event twice for each frame. A scan (STEM) comes row by row from the top, with
    events on the way: its frame is complete when the last row has changed. Rows that never change (a masked
    edge) must not be waited for: once others change again meanwhile, the last one of these is waited for.
    Rows without an electron in two frames running look the same: where few arrive, and frames have come in
    one piece before, these are no sign of a scan.
    """

    def __init__(self) -> None:
        self._samples: list[bytes] = []
        self._like: tuple[Any, ...] = ()
        self._places: list[slice] = []  # of the bytes that are looked at
        self._tail = -1  # the sampled row that completes a frame
        self._scanned = -1  # the last sampled row of the part that has come already
        self._whole = 0  # frames that came in one piece, less those that perhaps did not

    def complete(self, array: Any) -> bool:
        """Look at the array; True if it holds a new, complete frame."""
        flat, like = _bytes_of(array), (array.shape, array.dtype)
        if like != self._like:
            self._like, self._places = like, _sampled(array)
            self._samples = [bytes(flat[place]) for place in self._places]
            self._tail, self._scanned, self._whole = len(self._samples) - 1, UNKNOWN, 0
            return True
        now = [bytes(flat[place]) for place in self._places]
        before, self._samples = self._samples, now
        if now == before:
            return False
        head, tail = now[0] != before[0], now[self._tail] != before[self._tail]
        if head and tail and self._scanned < 0:  # all of it came at once: nothing else is looked at
            self._scanned, self._whole = -1, min(self._whole + 1, SUREST)
            return True
        changed = [i for i, (old, new) in enumerate(zip(before, now)) if old != new]
        if self._tail not in changed and self._is_part(changed):
            if self._whole >= SURE and _few(before, now, changed):
                self._whole -= 1
                return True
            self._tail = max(self._tail, changed[-1])
            self._scanned = changed[-1]
            return False
        if self._tail not in changed:
            self._tail = changed[-1]
        elif 0 <= changed[0] < self._scanned and len(changed) < len(now):
            # the end of one scan and the beginning of the next: we came too late for a whole frame
            self._scanned = next(i for i in range(len(now)) if i not in changed) - 1
            return False
        if self._scanned >= 0:
            self._whole = 0
        self._scanned = -1
        return True

    def _is_part(self, changed: list[int]) -> bool:
        """Tell whether these rows are the beginning of a scan, or go on where it was."""
        first, last = changed[0], changed[-1]
        if last - first + 1 != len(changed):
            return False
        if self._scanned == UNKNOWN:
            return True
        if self._scanned < 0:
            return first == 0 or first > self._tail
        return first in {self._scanned, self._scanned + 1} and last > self._scanned


def _few(before: list[bytes], now: list[bytes], changed: list[int]) -> bool:
    """Tell whether one of these rows has changed so little that it might as well not have."""
    pairs = ((int.from_bytes(rows[i], "little") for rows in (before, now)) for i in changed)
    return any(bin(old ^ new).count("1") < FEW_BITS for old, new in pairs)


def _bytes_of(array: Any) -> memoryview:
    """Return the memory of an array as bytes, in C order.

    After each frame the processor's cache holds little of NumPy; a memoryview needs least of it.
    """
    try:
        return memoryview(array).cast("B")
    except (TypeError, ValueError, NotImplementedError):  # complex numbers, or not in C order
        contiguous: Any = np.ascontiguousarray(array).view(np.uint8)
        return memoryview(contiguous).cast("B")


def _sampled(array: Any) -> list[slice]:
    """Return where the bytes of some pixels of a few rows are, of the last row too."""
    height, row = len(array), array.nbytes // len(array)
    size = min(row, SAMPLED_PIXELS * array.itemsize)
    step = row * max(1, -(-height // SAMPLED_ROWS))
    last = array.nbytes - row + (row - size) // 2
    return [slice(begin, begin + size) for begin in range(last % step, last + 1, step)]
