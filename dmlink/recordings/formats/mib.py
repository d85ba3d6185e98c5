"""MIB: frames of a Merlin (Medipix) detector, each after its own text header."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dmlink.recordings.array_stack import ArrayStack
from dmlink.recordings.mapped import MappedFile

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item

#: Merlin's pixel depths; 1-bit counters take a byte in files whose pixels Merlin has put in order.
DTYPES = {"U01": "u1", "U08": "u1", "U16": ">u2", "U32": ">u4", "U64": ">u8"}

#: Fields of a header: MQ1, number, length of the header, chips, columns, rows, depth, ..., time, exposure.
LENGTH, COLUMNS, ROWS, DEPTH, TIME, EXPOSURE = 2, 4, 5, 6, 9, 10

#: Longer than any header: one for sixteen chips has 2304 bytes.
LONGEST = 8192

#: Headers after which the memory of what was read is released.
RELEASE = 4096


class Head(NamedTuple):
    """The content of a frame's header.

    Attributes
    ----------
    length : int
        Bytes of the header.
    shape : tuple of int
        (h, w) of the frame.
    dtype : numpy.dtype
        Data type of the pixels in the file.
    exposure : float
        In seconds; 0 if unknown.
    time : datetime or None
        When the frame was taken.
    """

    length: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    exposure: float
    time: datetime | None

    @property
    def step(self) -> int:
        """Bytes from one header to the next."""
        return self.length + self.shape[0] * self.shape[1] * self.dtype.itemsize


def head(path: Path) -> Head:
    """Return the first header of a file; ValueError if it is not one."""
    with path.open("rb") as file:
        return head_of(file.read(LONGEST), path)


def head_of(data: bytes, path: Path) -> Head:
    """Return the header at the start of `data`; ValueError, which names `path`, if it is not one."""
    fields = _fields(data)
    try:
        length, w, h = (int(fields[at]) for at in (LENGTH, COLUMNS, ROWS))
        depth = fields[DEPTH]
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path} has a damaged MIB header ({str(error)[:80]}); copy it again.") from error
    if depth not in DTYPES or min(length, w, h) < 1:
        raise ValueError(
            f"{path} has {w} x {h} pixels of Merlin's type {depth[:8]!r}, which dmlink cannot read; save "
            "U08, U16 or U32 in Merlin."
        )
    return Head(length, (h, w), np.dtype(DTYPES[depth]), _number(fields, EXPOSURE), _time(fields))


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> ArrayStack:
    """Return the frames of a MIB file, without an incomplete last one."""
    if axis is not None or item is not None:
        raise ValueError(f"{path} is one series of frames; leave axis and item out.")
    file = MappedFile(path)
    first = head_of(file.bytes[:LONGEST], path)
    (h, w), dtype, step = first.shape, first.dtype, first.step
    n, rest = divmod(file.size, step)
    frames = file.array((max(n, 1), h, w), dtype, first.length, (step, w * dtype.itemsize, dtype.itemsize))
    return ArrayStack(
        path,
        frames,
        fps=1 / first.exposure if first.exposure else None,
        times=lambda: _times(file, n, step),  # reads all headers, so only on demand
        tags={"exposure": first.exposure} if first.exposure else {},
        expected=n + bool(rest),
        file=file,
    )


def _times(file: MappedFile, n: int, step: int) -> np.ndarray | None:
    """Return when each frame was taken, in seconds after the first; None if a header has no time."""
    times = []
    for i in range(n):
        file.check()
        time = _time(_fields(file.bytes[i * step : i * step + LONGEST]))
        if time is None:
            return None
        times.append(time)
        if i % RELEASE == 0:
            file.release()
    seconds = np.array([(time - times[0]).total_seconds() for time in times])
    return seconds if np.ptp(seconds) > 0 else None


def _fields(data: bytes) -> list[str]:
    """Return the fields of the header at the start of `data`, which contains its own length."""
    text = data[:LONGEST].decode("latin-1")
    length = text.split(",", LENGTH + 1)[LENGTH : LENGTH + 1]
    end = int(length[0]) if length and length[0].isdecimal() else LONGEST
    return [field.strip() for field in text[:end].split(",")]


def _number(header: list[str], at: int) -> float:
    try:
        return max(0.0, float(header[at]))
    except (ValueError, IndexError):
        return 0.0


def _time(header: list[str]) -> datetime | None:
    """Return when a header was written; None if unknown."""
    try:
        time = datetime.fromisoformat(header[TIME])
    except (ValueError, IndexError):
        return None
    return time.replace(tzinfo=None)  # all are from the same clock
