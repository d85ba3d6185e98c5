"""MIB: frames of a Merlin (Medipix) detector, each behind its own header of text."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from dmlink.recordings.array_stack import ArrayStack
from dmlink.recordings.mapped import MappedFile

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item

#: Merlin's pixel depths; counters of 1 bit take a byte in files that Merlin has put in order.
DTYPES = {"U01": "u1", "U08": "u1", "U16": ">u2", "U32": ">u4", "U64": ">u8"}

#: Where in a header what is: MQ1, number, header's length, chips, columns, rows, depth, ..., time, exposure.
LENGTH, COLUMNS, ROWS, DEPTH, TIME, EXPOSURE = 2, 4, 5, 6, 9, 10

#: Longer than any header: one of sixteen chips has 2304 bytes.
LONGEST = 8192


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> ArrayStack:
    """Return the frames of a MIB file; one that ends within a frame has those before it."""
    if axis is not None or item is not None:
        raise ValueError(f"{path} is one series of frames; leave axis and item out.")
    file = MappedFile(path)
    first = _header(file, 0)
    try:
        length, w, h = (int(first[at]) for at in (LENGTH, COLUMNS, ROWS))
        depth = first[DEPTH]
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path} has a damaged MIB header ({error}); copy it again.") from error
    if depth not in DTYPES or min(length, w, h) < 1:
        raise ValueError(
            f"{path} holds {w} x {h} pixels of Merlin's type {depth}, which dmlink cannot read; let Merlin "
            "save U08, U16 or U32."
        )
    dtype = np.dtype(DTYPES[depth])
    step = length + h * w * dtype.itemsize
    n, rest = divmod(file.size, step)
    frames = file.array((max(n, 1), h, w), dtype, length, (step, w * dtype.itemsize, dtype.itemsize))
    times = None
    began, ended = _time(first), _time(_header(file, max(n - 1, 0) * step))
    if began and ended and ended > began:
        # Headers between them would all have to be read.
        times = np.linspace(0, (ended - began).total_seconds(), n)
    exposure = _number(first, EXPOSURE)
    return ArrayStack(
        path,
        frames,
        fps=1 / exposure if exposure else None,
        times=times,
        tags={"exposure": exposure} if exposure else {},
        expected=n + bool(rest),
        file=file,
    )


def _header(file: MappedFile, start: int) -> list[str]:
    """Return the fields of the header at byte `start`, which says itself how long it is."""
    text = file.bytes[start : start + LONGEST].decode("latin-1")
    length = text.split(",", LENGTH + 1)[LENGTH : LENGTH + 1]
    end = int(length[0]) if length and length[0].isdecimal() else LONGEST
    return [field.strip() for field in text[:end].split(",")]


def _number(header: list[str], at: int) -> float:
    try:
        return max(0.0, float(header[at]))
    except (ValueError, IndexError):
        return 0.0


def _time(header: list[str]) -> datetime | None:
    """Return when a header was written; None where it does not say."""
    try:
        return datetime.fromisoformat(header[TIME])
    except (ValueError, IndexError):
        return None
