"""Readers: they take frames from a link, each at its own pace and with its own counts."""

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING

from dmlink.link.delivery import FRESH_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dmlink.frame import Frame
    from dmlink.link.delivery import Delivery

WAITING_BYTES = 512 << 20  # limit for the frames waiting for one lossless reader
WAITING_FRAMES = 4096


class Reader:
    """Takes the newest frame that it has not returned yet.

    Attributes
    ----------
    received : int
        Frames returned.
    """

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._status = delivery.status
        self._changed = delivery.status.changed
        self._last: Frame | None = None
        self._again = False
        self._closed = False
        self.received = 0
        self._counted: int | None = None  # number of the newest frame counted
        self._first = -1  # frames up to this number are not counted
        self._taken: int | None = None  # number of the last frame taken
        self._open: int | None = None  # number of a counted frame that can still be taken
        self._late: Frame | None = None  # an earlier companion's frame that can still be taken
        self._dropped = self._skipped = 0
        self._asked = time.perf_counter()
        delivery.count_for(self)
        with self._changed:
            self._begin()

    def restart_numbering(self) -> None:
        """Finish counting by the old numbers: a new companion starts again."""
        self._count_passed()
        if self._open is not None:
            self._late = self._delivery.newest
            self._leave_out(1)
        self._counted = self._taken = self._open = None

    @property
    def dropped(self) -> int:
        """Frames that this reader wanted but did not get."""
        with self._changed:
            self._count_passed()
            return self._dropped

    @property
    def skipped(self) -> int:
        """Frames that the source had while nobody asked this reader for one."""
        with self._changed:
            self._count_passed()
            return self._skipped

    def accounted(self, before: Frame | None = None) -> int:
        """Return how many frames were received, dropped or skipped, optionally only those `before` one."""
        with self._changed:
            self._count_passed()
            total = self.received + self._dropped + self._skipped
            if before is None or self._counted is None:
                return total
            return total - 1 - max(0, self._counted - before.index - self._pending())

    def _pending(self) -> int:
        """Return how many counted frames can still be taken."""
        return int(self._open is not None)

    def next(self, timeout: float | None = None) -> Frame:
        """Return the newest frame not yet returned; raises the same errors as `Link.next`."""
        began = time.perf_counter()
        self._ask()
        with self._changed:
            while (frame := self._new()) is None:
                if self.closed:
                    raise self._status.closed_error()
                left = None if timeout is None else began + timeout - time.perf_counter()
                if left is not None and left <= 0:
                    raise self._status.timeout_error(timeout)
                self._changed.wait(FRESH_SECONDS / 2 if left is None else min(left, FRESH_SECONDS / 2))
                self._ask()
            self._take(frame)
        return frame

    def poll(self) -> Frame | None:
        """Return the newest frame without waiting, or None if it is not new; request the next one."""
        self._ask()
        with self._changed:
            frame = self._delivery.newest
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
        return self._closed or self._status.closed

    def again(self) -> None:
        """Make `next` return the newest frame again at once, because a parameter has changed."""
        with self._changed:
            self._again = True
            self._changed.notify_all()

    def close(self) -> None:
        """Close this reader; anyone waiting for its next frame gets a ConnectionError."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _ask(self) -> None:
        with self._changed:
            self._count_passed()
            self._asked = time.perf_counter()
            self._delivery.ask()

    def _begin(self) -> None:
        """Start counting at the newest frame, which can still be taken."""
        if self._delivery.announced is not None:
            newest = self._delivery.current
            self._counted = self._first = newest.index - 1 if newest else self._delivery.announced
            self._count_passed()

    def _count_passed(self) -> None:
        """Count missed frames; the newest one that has arrived can still be taken."""
        newest, announced = self._delivery.current, self._delivery.announced
        if announced is None:
            return
        if self._counted is None:
            self._counted = self._first = self._delivery.first
        left_out = announced - self._counted
        if self._open is not None and (newest is None or newest.index != self._open):
            left_out += 1
            self._open = None
        if newest and newest is not self._last and newest.index > self._counted:
            left_out -= 1
            self._open = newest.index
        self._counted = announced
        self._leave_out(left_out)

    def _leave_out(self, n: int) -> None:
        if time.perf_counter() - self._asked < FRESH_SECONDS:
            self._dropped += n
        else:
            self._skipped += n

    def _take(self, frame: Frame) -> None:
        if frame is self._last:
            return
        self._count_passed()
        if frame is self._late:
            self._take_back()
            self.received += 1
        elif frame.index != self._taken:  # equal for a still image sent again
            if frame.index == self._open:
                self._open = None
            elif frame.index > self._first:
                self._take_back()
            self.received += 1
            self._taken = frame.index
        self._last = frame

    def _take_back(self) -> None:
        """Undo one missed frame that arrived after all, as a still image."""
        if self._skipped:
            self._skipped -= 1
        elif self._dropped:
            self._dropped -= 1

    def _new(self) -> Frame | None:
        """Return the frame that `next` should return now, or None."""
        frame = self._delivery.newest
        if frame is None:
            return None
        if self._again:
            self._again = False
            return frame
        return frame if frame is not self._last and self._delivery.is_fresh() else None


class LosslessReader(Reader):
    """Takes every frame of a lossless link from now on, in order.

    Frames wait in the memory that they arrived in, up to `max_bytes` and `max_frames`. A frame that does not
    fit is dropped and counted at once.

    Parameters
    ----------
    on_last_close : callable, optional
        Called when the last lossless reader of the link has been closed.
    """

    def __init__(
        self,
        delivery: Delivery,
        on_last_close: Callable[[], None] | None = None,
        max_bytes: int | None = None,
        max_frames: int | None = None,
    ) -> None:
        super().__init__(delivery)
        self._on_last_close = on_last_close
        self._max_bytes = WAITING_BYTES if max_bytes is None else max_bytes
        self._max_frames = WAITING_FRAMES if max_frames is None else max_frames
        self._waiting: collections.deque[tuple[Frame, bool]] = collections.deque()  # frame, is new
        self._bytes = 0  # of the waiting frames
        self._size = 0  # of the last frame that arrived
        self._left_out = 0  # frames that arrived when there was no room
        with self._changed:  # no frame comes between the first that counts and the first that is put
            self._begin()
            delivery.add(self)

    def put(self, frame: Frame) -> None:
        """Keep a frame that has arrived, or count it as dropped."""
        self._size = frame.data.nbytes
        new = frame.index != self._taken  # False for a still image sent again
        self._taken = frame.index
        self._count_up_to(frame.index)
        if self.room:
            self._dropped -= new and frame.index > self._first
            self._waiting.append((frame, new))
            self._bytes += self._size
        else:
            self._left_out += 1
            self._status.reason = (
                f"{self._left_out} frames were dropped: {len(self._waiting)} are waiting and no more fit. "
                "Process faster, or use a smaller ROI."
            )

    @property
    def room(self) -> int:
        """How many more frames of the last one's size fit."""
        room = (self._max_bytes - self._bytes) // max(self._size, 1)
        return max(0, min(room, self._max_frames - len(self._waiting)))

    def _begin(self) -> None:
        """Start counting at the next frame."""
        if self._delivery.announced is not None:
            self._counted = self._first = self._delivery.announced

    def _count_passed(self) -> None:
        """Count the frames that the companion has announced but not sent."""
        if self._delivery.announced is not None:
            self._count_up_to(self._delivery.announced)

    def _count_up_to(self, index: int) -> None:
        if self._counted is None:
            self._counted = self._first = self._delivery.first
        self._dropped += max(0, index - self._counted)
        self._counted = max(index, self._counted)

    @property
    def waiting(self) -> int:
        """Number of frames that have arrived and not been taken."""
        return len(self._waiting)

    def _pending(self) -> int:
        return len(self._waiting)

    def next(self, timeout: float | None = None) -> Frame:
        """Return the oldest frame not yet returned; raises the same errors as `Link.next`."""
        with self._changed:
            came = self._changed.wait_for(
                lambda: self._waiting or self.closed or (self._again and self._last), timeout
            )
            if self.closed:
                raise self._status.closed_error()
            if not came:
                raise self._status.timeout_error(timeout)
            self._again = False  # a waiting frame shows the changed parameter too
            if not self._waiting:
                assert self._last is not None  # noqa: S101 - as waited for
                return self._last
            frame, new = self._waiting.popleft()
            self._bytes -= frame.data.nbytes
            self.received += new
            self._last = frame
            self._delivery.took()
        return frame

    def poll(self) -> Frame | None:
        """Return the oldest frame not yet returned without waiting, or None."""
        with self._changed:
            return self.next(0.0) if self._waiting else None

    def close(self) -> None:
        """Close this reader."""
        super().close()
        last = self._delivery.remove(self)
        with self._changed:
            self._waiting.clear()
            self._bytes = 0
        if last and self._on_last_close:
            self._on_last_close()
