"""Readers: whoever takes frames from a link, each with its own idea of what is new."""

# ruff: noqa: SLF001 - Link and its readers are parts of one thing

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dmlink.frame import Frame
    from dmlink.link import Link

FRESH_SECONDS = 0.5  # a link that nobody has asked for a frame in this time rests
LOSSLESS_AHEAD = 8  # frames that a lossless link holds ready; the others wait in DigitalMicrograph
WAITING_BYTES = 512 << 20  # of frames that wait for a reader of every frame


class Reader:
    """One reader of a link, with its own idea of what is new.

    `received` counts the frames it was given, `dropped` the source's frames in between that it was not.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._last: Frame | None = None
        self._again = False
        self._closed = False
        self.received = 0
        self.dropped = 0

    def next(self, timeout: float | None = None) -> Frame:
        """Return the newest frame not yet returned. Raises as `Link.next` does."""
        link = self._link
        began = time.monotonic()
        changed = link._changed
        link._ask()
        with changed:
            while (frame := self._new()) is None:
                if self.closed:
                    raise ConnectionError(f"The link to {link.endpoint.address} was closed.")
                left = None if timeout is None else began + timeout - time.monotonic()
                if left is not None and left <= 0:
                    raise link._timeout(timeout)
                changed.wait(FRESH_SECONDS / 2 if left is None else min(left, FRESH_SECONDS / 2))
                link._ask()
        self._take(frame)
        return frame

    def poll(self) -> Frame | None:
        """Return the newest frame if it is a new one, without waiting; ask for the one after it."""
        link = self._link
        link._ask()
        frame = link.newest
        if frame is None or frame is self._last:
            return None
        self._take(frame)
        return frame

    def __iter__(self) -> Iterator[Frame]:
        while True:
            try:
                yield self.next()
            except ConnectionError:
                return

    @property
    def closed(self) -> bool:
        """Whether no more frames will come."""
        return self._closed or self._link.closed

    def again(self) -> None:
        """Let `next` return the newest frame at once, although it has been returned: to look at it anew."""
        with self._link._changed:
            self._again = True
            self._link._changed.notify_all()

    def close(self) -> None:
        """End this reader; who waits for its next frame gets a ConnectionError."""
        with self._link._changed:
            self._closed = True
            self._link._changed.notify_all()

    def _take(self, frame: Frame) -> None:
        if self._last is not None:
            self.dropped += max(0, frame.index - self._last.index - 1)
        if frame is not self._last:
            self.received += 1
        self._last = frame

    def _new(self) -> Frame | None:
        """Return the link's newest frame if it is new here.

        One from before a rest of the link is out of date; it is returned only if no other comes (a still).
        """
        link = self._link
        frame = link.newest
        if self._again and frame is not None:
            self._again = False
            return frame
        if frame is None or frame is self._last:
            return None
        now = time.monotonic()
        fresh = link._arrived >= link._resumed or now - link._resumed > FRESH_SECONDS
        return frame if fresh else None


class EveryReader(Reader):
    """A reader that gets every frame of a lossless link in order; a slow one delays no other.

    Frames wait here, in the memory that they came into, up to `WAITING_BYTES` of them; one more is left out.
    """

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self._waiting: collections.deque[Frame] = collections.deque()
        with link._changed:
            link._every.append(self)
            if not link._takes_all:
                link._queue.clear()  # of before, and for nobody
                link._grant(LOSSLESS_AHEAD - link._credit)

    def put(self, frame: Frame) -> None:
        """Take a frame that has come; the link's lock is held."""
        if (len(self._waiting) + 1) * frame.data.nbytes <= WAITING_BYTES:
            self._waiting.append(frame)

    def next(self, timeout: float | None = None) -> Frame:
        """Return the oldest frame not yet returned. Raises as `Link.next` does."""
        link = self._link
        with link._changed:
            came = link._changed.wait_for(
                lambda: self._waiting or self.closed or (self._again and self._last), timeout
            )
            if self.closed:
                raise ConnectionError(f"The link to {link.endpoint.address} was closed.")
            if not came:
                raise link._timeout(timeout)
            self._again = False  # a frame that waits will be looked at anew as well
            frame = self._waiting.popleft() if self._waiting else self._last
        assert frame is not None  # noqa: S101 - as waited for
        self._take(frame)
        return frame

    def close(self) -> None:
        """End this reader; the last one of a part ends that, or frames would wait in DigitalMicrograph."""
        super().close()
        link = self._link
        with link._changed:
            self._waiting.clear()
            if self not in link._every:
                return
            link._every.remove(self)
            needed = link._every or link._takes_all or not link._is_part
        if not needed:
            link.close()
