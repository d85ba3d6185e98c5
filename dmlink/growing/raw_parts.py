"""Gatan in-situ data while they are being written: NAME.dm4, and frames in NAME.raw, NAME.raw_1, ..."""

from __future__ import annotations

import math
import os
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dmlink.growing.layout import COMPLETE_SECONDS, Layout, Signature, signature
from dmlink.recordings.formats.dm import images
from dmlink.recordings.formats.insitu import announced, rate
from dmlink.recordings.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dmlink.frame import Axis

#: Bytes checked at the end of a frame: if all are zero, it may not be written yet. Only a few, since more of
#: them could be written before the frame is complete.
TAIL = 64

#: Bytes of frames that are read in a row, because opening the file costs as much as reading a small frame. It
#: is not kept open: on Windows, the program that writes it could then not rename or delete it. Of 64 kB to
#: 4 MB, this is the fastest for frames of 256 x 256 and 512 x 512 uint16; for larger ones it hardly matters.
AHEAD = 2 << 20

#: Bytes searched at a time for the end of a run of zeros, and how many times per look.
SCAN, SCANS = 8 << 20, 8


class Picture(NamedTuple):
    """The header's information about each frame."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    y: Axis
    x: Axis
    tags: dict[str, Any]

    @property
    def bytes(self) -> int:
        """Size of a frame."""
        return math.prod(self.shape) * self.dtype.itemsize


class Part(NamedTuple):
    """One of the .raw files; its size is final once the next one exists."""

    path: Path
    size: int
    signature: Signature | None
    since: float  # time of the last observed change


class RawParts(Layout):
    """Counts the frames on disk, whether the header is written first or last and whatever it announces.

    A part may be preallocated, with zeros in the unwritten rest. So a frame that ends in zeros counts once
    something follows it, or once a header written after the frames announces it.
    """

    def __init__(self, header: Path) -> None:
        super().__init__(header)
        self._header: Signature | None = None  # signature of the last header read
        self._seen_header: tuple[Signature | None, float] = None, 0.0
        self._late_header = False  # it was written or rewritten when there were already frames
        self._picture: Picture | None = None
        self._parts: list[Part] = []
        self._found = 0  # frames found written in the last look
        self._scanned = 0  # position up to which only zeros follow them
        self._changed = 0.0

    def look(self, now: float) -> bool:
        """Look at the header and at the sizes of the parts."""
        os.stat(self.path.parent)  # noqa: PTH116 - raises if it cannot be reached
        had_parts = bool(self._parts)
        changed = self._look_at_parts(now)
        changed = self._look_at_header(now, late=had_parts) or changed
        if changed:
            self._changed = now
        before = self.whole
        if self._picture and self._parts:
            self._count(now)
        return changed or self.whole > before

    def _look_at_header(self, now: float, *, late: bool) -> bool:
        seen = signature(self.path)
        changed = seen != self._seen_header[0]
        if changed:
            self._seen_header = seen, now
        if seen is None or seen == self._header:
            return changed
        try:
            image = images(self.path)[0]
            y, x = image.axes[-2:]
            picture = Picture(image.shape[-2:], image.dtype, y, x, image.tags)
        except (ValueError, OSError, TypeError):  # half-written; it is read again when it has changed
            return changed
        if len(picture.shape) == 2 and picture.bytes and signature(self.path) == seen:
            self._late_header = late
            self._picture, self._header = picture, seen
        return True

    def _look_at_parts(self, now: float) -> bool:
        before = list(self._parts)
        parts = before[:-1]
        for k in range(len(parts), len(before) + 1000):
            path = self.path.with_suffix(f".raw_{k}" if k else ".raw")
            following = signature(self.path.with_suffix(f".raw_{k + 1}"))  # first: then this one is final
            seen = signature(path)
            old = before[k] if k < len(before) else None
            if seen is None and old is None:
                break
            size = seen[0] if seen else old.size if old else 0
            since = old.since if old and old.signature == seen else now
            parts.append(Part(path, size, seen, since))
            if following is None:
                break
        for k, part in enumerate(parts[:-1]):  # reading shows what is missing
            if k < len(before) - 1 and (seen := signature(part.path)) != part.signature:
                parts[k] = part._replace(signature=seen, since=now)
        self._parts = parts
        return parts != before

    def _count(self, now: float) -> None:
        assert self._picture is not None  # noqa: S101 - as looked for
        size = self._picture.bytes
        there = sum(part.size for part in self._parts) // size
        before_last = sum(part.size for part in self._parts[:-1]) // size  # the next part starts after them
        found = max(self._found, self.whole, before_last)
        if found < there and self._written(there - 1):
            found = there
        step = 1
        while found < there:
            if found + step <= there and self._written(found + step - 1):
                found, step = found + step, step * 2
            elif step > 1:
                step = 1
            else:
                break
        for _ in range(SCANS):
            further = self._beyond(found * size, there * size) // size if found < there else found
            if further <= found:
                break
            found = further
        # In a file with more room, a frame may still be incomplete: count those seen in the last look.
        self.whole = max(self.whole, found if found == there else min(found, self._found))
        self._found = found
        expected = announced(self._picture.tags)
        still = now - self._changed >= COMPLETE_SECONDS
        if still and self._late_header and there >= expected:  # frames that end in black were written, too
            self.whole = max(self.whole, expected)
        self.complete = still and self.whole == expected > 0 and (self._late_header or found == there)

    def _written(self, i: int) -> bool:
        """Whether the end of frame `i` is not all zeros."""
        assert self._picture is not None  # noqa: S101
        end = (i + 1) * self._picture.bytes
        start = max(i * self._picture.bytes, end - TAIL)
        try:
            return bool(np.any(read(self._parts, start, end - start)))
        except (OSError, ValueError):
            return False

    def _beyond(self, start: int, end: int) -> int:
        """Return the position of the last non-zero byte from `start` on; `start` if none is found now."""
        at = max(start, self._scanned)
        if at >= end:
            at = start  # search again from there, because more may have been written since
        length = min(SCAN, end - at)
        self._scanned = at + length
        try:
            written = read(self._parts, at, length) != 0
        except (OSError, ValueError):
            return start
        if not written.any():
            return start
        self._scanned = 0
        return at + length - 1 - int(np.argmax(written[::-1]))

    def settle(self) -> None:
        """Count frames that end in black if the header announces them."""
        if self._picture and self._parts:
            there = sum(part.size for part in self._parts) // self._picture.bytes
            self.whole = max(self.whole, min(there, announced(self._picture.tags)))

    def recording(self) -> Recording:
        """Open the complete frames."""
        if self._picture is None or not self.whole:
            raise ValueError(f"{self.path} has no complete frame yet.")
        return RawFrames(self.path, self.whole, self._picture, tuple(self._parts))

    def still_for(self, i: int, now: float) -> float:
        """Return how long the part in which frame `i` ends has been unchanged."""
        if self._picture is None:
            return 0.0
        parts = list(self._parts)
        ends = list(accumulate(part.size for part in parts))
        first, last = i * self._picture.bytes, (i + 1) * self._picture.bytes
        starts = [0, *ends[:-1]]
        spans = zip(parts, starts, ends, strict=True)
        touched = [now - part.since for part, start, end in spans if start < last and first < end]
        return min(touched, default=now - self._changed)


class RawFrames(Recording):
    """The frames of in-situ parts, read without mapping, because the writer may still truncate the files."""

    def __init__(self, header: Path, n: int, picture: Picture, parts: tuple[Part, ...]) -> None:
        self._told = header, n, picture, parts
        self._picture, self._parts = picture, parts
        self._size = picture.bytes
        self._ahead: tuple[int, list[np.ndarray]] = 0, []  # number of the first frame, and the frames' bytes
        h, w = picture.shape
        super().__init__(
            header,
            (n, h, w),
            picture.dtype,
            y=picture.y,
            x=picture.x,
            fps=rate(picture.tags),
            tags=picture.tags,
        )

    def files(self) -> Iterator[Path]:
        """Yield the header, and .raw, .raw_1, ..."""
        yield self.path
        yield from (part.path for part in self._parts)

    def _read(self, i: int) -> np.ndarray:
        size, picture = self._size, self._picture
        first, ahead = self._ahead  # taken together: another thread may replace them
        if not first <= i < first + len(ahead):
            n = min(AHEAD // size, len(self) - i) if i == first + len(ahead) else 1
            try:
                ahead = read_each(self._parts, i * size, size, max(1, n))
            except ValueError:  # some of the following frames are missing
                ahead = [read(self._parts, i * size, size)]
            first = i
            self._ahead = (i, ahead) if len(ahead) > 1 else (i + 1, [])
        return ahead[i - first].view(picture.dtype).reshape(picture.shape)

    def __reduce__(self) -> tuple[Any, ...]:
        return RawFrames, self._told


def read(parts: tuple[Part, ...] | list[Part], start: int, length: int) -> np.ndarray:
    """Return bytes of the parts, as if they were one file; a ValueError if some are missing."""
    return read_each(parts, start, length, 1)[0]


def read_each(parts: tuple[Part, ...] | list[Part], start: int, size: int, n: int) -> list[np.ndarray]:
    """Return n pieces of this size, each in memory of its own, so that one can be kept without the others."""
    pieces = [np.empty(size, np.uint8) for _ in range(n)]
    at, end, begins = start, start + n * size, 0
    for part in parts:
        ends = begins + part.size
        if begins <= at < min(ends, end):
            with part.path.open("rb", buffering=0) as file:
                file.seek(at - begins)
                while at < (until := min(ends, end)):
                    k, done = divmod(at - start, size)
                    got = file.readinto(pieces[k].data[done : done + until - at])
                    if not got:
                        raise ValueError(f"{part.path} is {until - at} bytes shorter than it was.")
                    at += got
        begins = ends
    if at < end:
        raise ValueError(f"{parts[-1].path} ends before the frame does.")
    return pieces
