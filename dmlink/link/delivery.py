"""Delivery: passes arriving frames to the readers and grants the companion credits for more.

All readers use one mechanism. A reader that wants the newest frame looks at `newest`; one that wants every
frame has its own queue with its own memory limit. The companion sends a frame only against a credit, and
`Delivery` grants credits as long as some reader can use another frame. So a slow or abandoned reader loses
only its own frames.
"""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Protocol

from dmlink.link.stats import Counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.frame import Frame
    from dmlink.link.stats import LinkStats
    from dmlink.link.status import Status

FRESH_SECONDS = 0.5  # after this long without a request, the link rests: it grants no credits
QUICK_SECONDS = 0.005  # allow as many frames in flight as arrive within this time
MAX_IN_FLIGHT = 4
LOSSLESS_IN_FLIGHT = 8


class Counting(Protocol):
    """Anything that counts the frames of the source."""

    def restart_numbering(self) -> None:
        """Finish counting by the old numbers: a new companion starts again. The condition is held."""


class Queue(Protocol):
    """Anything that takes every arriving frame: a lossless reader, a look-back."""

    def put(self, frame: Frame) -> None:
        """Keep the frame, or count it as dropped. The status's condition is held, so do not block."""

    @property
    def room(self) -> int:
        """How many more frames of the last one's size fit."""


class Delivery:
    """The frames of one link.

    Parameters
    ----------
    status : Status
        The link's status; its condition guards everything here.
    lossless : bool
        Whether the companion sends every frame in order, or only the newest.

    Attributes
    ----------
    newest : Frame or None
        The frame that arrived last.
    """

    def __init__(self, status: Status, *, lossless: bool) -> None:
        self.status = status
        self.lossless = lossless
        self.newest: Frame | None = None
        self._newest_is_current = True  # False if `newest` is from an earlier companion
        self._counts = Counts()
        self._queues: list[Queue] = []
        self._readers: weakref.WeakSet[Counting] = weakref.WeakSet()
        self._send_credit: Callable[[int], None] = lambda _: None
        self._credit = 0  # frames that the companion may still send
        self._coming = 0  # frames whose header has arrived, but not yet their pixels
        self._in_flight = 1  # upper limit of `_credit`; follows the speed of the network
        self._arrived = 0.0  # when `newest` did, perf_counter
        self._asked = -FRESH_SECONDS  # when a reader last asked for the newest frame, perf_counter
        self._resumed = 0.0  # when one asked after a rest, perf_counter
        self._rested = False  # whether the frames before the next one are skipped, as nobody was reading

    # For the link

    def connected(self, send_credit: Callable[[int], None], *, another: bool) -> None:
        """Continue on a new connection; `send_credit(n)` lets the companion send n more frames.

        Set `another` if a different companion answered, whose frame numbers start again.
        """
        with self.status.changed:
            if another:
                for reader in list(self._readers):
                    reader.restart_numbering()
                self._counts.restart_numbering()
                self._newest_is_current = False
            self._send_credit = send_credit
            self._credit = self._coming = 0
            self._grant(self._wanted() if self.lossless else 1)

    def announce(self, index: int, unsure: int) -> None:
        """Count the frames up to `index` that the companion did not send and will not send.

        `unsure` is its count of events that may have been frames.
        """
        with self.status.changed:
            self._counts.announce(index, resting=self._rested or self.resting)
            self._counts.count_unsure(unsure)

    def coming(self) -> None:
        """Note that a frame's header has arrived; DM can copy the next frame during this transfer."""
        with self.status.changed:
            self._credit -= 1
            self._coming = 1
            if not self.lossless and not self.resting and self._credit <= self._in_flight // 2:
                self._grant(self._in_flight - self._credit)

    def put(self, frame: Frame, seconds: float) -> None:
        """Pass a frame to the readers; `seconds` is how long it took to arrive."""
        with self.status.changed:
            self._in_flight = max(1, min(MAX_IN_FLIGHT, int(QUICK_SECONDS / max(seconds, 1e-6))))
            self.newest, self._arrived = frame, time.perf_counter()
            self._newest_is_current = True
            self._counts.receive(frame, resting=self._rested)
            self._rested = False
            self._coming = 0
            for queue in self._queues:
                queue.put(frame)
            self._top_up()
            self.status.changed.notify_all()

    def gap_before(self, index: int) -> int:
        """Return how many frames the source had between the last one received and `index`."""
        return self._counts.gap_before(index)

    def clear(self) -> None:
        """Forget the frames; the link is closed."""
        with self.status.changed:
            self.newest = None
            self._queues.clear()

    @property
    def resting(self) -> bool:
        """Whether nobody is reading, so that missed frames count as skipped, not dropped."""
        return not self._queues and time.perf_counter() - self._asked >= FRESH_SECONDS

    def stats(self, age: float | None) -> LinkStats:
        """Return the counts so far; `age` is the newest frame's, in seconds."""
        with self.status.changed:
            return self._counts.stats(age)

    # For readers

    @property
    def announced(self) -> int | None:
        """The index of the newest frame that the source has announced."""
        return self._counts.announced

    @property
    def first(self) -> int:
        """The index after which counting starts, for the present companion."""
        return self._counts.first

    @property
    def current(self) -> Frame | None:
        """The newest frame, if the present companion sent it."""
        return self.newest if self._newest_is_current else None

    def count_for(self, reader: Counting) -> None:
        """Call the reader's `restart_numbering` when frame numbers start again; holds it weakly."""
        with self.status.changed:
            self._readers.add(reader)

    def ask(self) -> None:
        """Note that a reader wants the newest frame; grant a credit if none is out."""
        with self.status.changed:
            self._rested = self._rested or self.resting
            self._asked = time.perf_counter()
            if self.lossless:
                self._top_up()
            elif self._credit <= 0:
                self._resumed = self._asked
                self._grant(1)

    def is_fresh(self) -> bool:
        """Whether `newest` is what the source shows now.

        A frame from before the link rested is out of date, unless no other arrives: a still image.
        """
        resumed = self._resumed
        return self._arrived >= resumed or time.perf_counter() - resumed > FRESH_SECONDS

    def add(self, queue: Queue) -> None:
        """Also put every frame from now on into `queue`."""
        with self.status.changed:
            self._rested = self._rested or self.resting
            self._queues.append(queue)
            self._top_up()
            if not self.lossless and self._credit <= 0:
                self._grant(1)

    def remove(self, queue: Queue) -> bool:
        """Stop filling `queue`; return whether it was the last one."""
        with self.status.changed:
            if queue not in self._queues:
                return False
            self._queues.remove(queue)
            return not self._queues

    @property
    def has_queues(self) -> bool:
        """Whether any reader wants every frame."""
        return bool(self._queues)

    def took(self) -> None:
        """Note that a frame was taken from a queue, which now has room for another."""
        with self.status.changed:
            self._top_up()

    # Credit

    def _wanted(self) -> int:
        """Return how many frames a lossless link wants in flight."""
        if time.perf_counter() - self._asked < FRESH_SECONDS:
            return LOSSLESS_IN_FLIGHT
        return min(LOSSLESS_IN_FLIGHT, max((queue.room for queue in self._queues), default=0))

    def _top_up(self) -> None:
        if self.lossless and self._credit <= LOSSLESS_IN_FLIGHT // 2:
            self._grant(self._wanted() - self._credit - self._coming)

    def _grant(self, n: int) -> None:
        if n > 0:
            self._credit += n
            self._send_credit(n)
