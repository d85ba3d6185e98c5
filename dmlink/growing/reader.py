"""FrameReader: takes each frame of a growing recording once, and reopens the recording as it grows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dmlink.growing.growth import SHORTEST

if TYPE_CHECKING:
    from dmlink.frame import Frame
    from dmlink.growing.growth import Growth
    from dmlink.recordings.recording import Recording

#: Largest fraction of the time spent on reopening.
OPENING = 0.1


class FrameReader:
    """Takes each frame of a growing recording once: in order, or the newest first and then earlier ones."""

    def __init__(self, source: Growth, *, counted: bool = True) -> None:
        self._source = source
        self._next = 0  # in order: all earlier frames were taken
        self._ahead: set[int] = set()  # taken before their turn
        self._recording: Recording | None = None
        self._opened = self._cost = 0.0  # when it was opened, and for how long
        self._closed = False
        if counted:
            source.add(self)

    @property
    def seen(self) -> int:
        """Frames that were taken or are bad."""
        return self._next + len(self._ahead)

    @property
    def closed(self) -> bool:
        """Whether there will be no more frames."""
        return self._closed or self._source.closed

    def next(self, timeout: float | None = None) -> Frame:
        """Return the next frame. Raises the same exceptions as `Following.next`."""
        due = None if timeout is None else time.monotonic() + timeout
        while True:
            frame = self.take()
            if frame is not None:
                return frame
            source = self._source
            with source.changed:
                if self.closed:
                    raise ConnectionError(f"Following {source.path} was closed.")
                waiting = source.written > self.seen
                if source.finished and not waiting:
                    raise EOFError(f"{source.path} is finished: all {source.written} frames were returned.")
                left = float("inf") if due is None else due - time.monotonic()
                if left <= 0:
                    raise TimeoutError(
                        f"No new frame in {source.path} within {timeout or 0:g} s ({source.state})."
                    )
                source.changed.wait(min(left, SHORTEST if waiting else 0.5))

    def take(self) -> Frame | None:
        """Return the next frame without waiting; None if it is not there yet."""
        while not self.closed and (i := self._wanted()) is not None:
            frame = self.read(i)
            if frame is None and i not in self._source.bad:
                return None
            self._count(i)
            if frame is not None:
                return frame
            self._source.tell()  # after a bad last frame, no other change would wake those who wait
        return None

    def _wanted(self) -> int | None:
        """Return the number of the frame to take now."""
        source = self._source
        written = source.written
        if source.newest_first and written - 1 > self._next and written - 1 not in self._ahead:
            return written - 1
        return self._next if self._next < written else None

    def _count(self, i: int) -> None:
        if i == self._next and not self._ahead:
            self._next += 1
            return
        with self._source.changed:
            self._ahead.add(i)
            while self._next in self._ahead:
                self._ahead.remove(self._next)
                self._next += 1

    def read(self, i: int) -> Frame | None:
        """Return frame `i`; None if it cannot be read now, or was given up (see `Growth.bad`)."""
        source = self._source
        if i in source.bad:
            return None
        try:
            recording = self._open(i)
            if recording is None:
                return None
            frame = recording[i]
        except Exception as error:
            if self._closed:  # meanwhile, and the recording with it
                return None
            if not isinstance(error, OSError | ValueError):
                raise
            self._recording = None  # its information may be outdated
            source.failed(i, error)
            return None
        source.succeeded(i)
        return frame

    def _open(self, i: int) -> Recording | None:
        """Return a recording that contains frame `i`; None if it is too early to reopen it."""
        known = self._recording
        if known is not None and i < len(known):
            return known
        began = time.perf_counter()
        if began - self._opened < self._cost / OPENING:
            return None
        if known is not None:
            known.close()
        recording = self._source.recording()
        self._opened = time.perf_counter()
        self._cost = self._opened - began
        if len(recording) <= i:
            raise ValueError(f"{self._source.path} has {len(recording)} frames now.")
        self._recording = recording
        return recording

    def close(self) -> None:
        """End this reader."""
        self._closed = True
        self._source.remove(self)
        if self._recording is not None:
            self._recording.close()
            self._recording = None
