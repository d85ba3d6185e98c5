"""Stats: counts every frame that the source announced as received, dropped, skipped or unsure."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from dmlink.rate import Rate

if TYPE_CHECKING:
    from dmlink.frame import Frame

RECENT_SECONDS = 3.0  # over which a rate is averaged


class LinkStats(NamedTuple):
    """A link's frame counts.

    Every frame that DigitalMicrograph has announced since the first one received is in exactly one of
    `received`, `dropped`, `skipped` and `unsure`.

    Attributes
    ----------
    received : int
        Frames that arrived. A still image sent again because its ROI moved counts once.
    dropped : int
        Frames left out although somebody was reading.
    bytes : int
        Size of all pixels received.
    rate : float
        Frames per second over the last few seconds.
    age : float or None
        Age of the newest frame in seconds; None before the first.
    skipped : int
        Frames that the source had while nobody was reading.
    unsure : int
        Events that may have been a frame or only a part of one.
    """

    received: int
    dropped: int
    bytes: int
    rate: float
    age: float | None
    skipped: int = 0
    unsure: int = 0


class Counts:
    """Counts frames as they arrive, and those that the companion announces without sending."""

    def __init__(self) -> None:
        self.announced: int | None = None  # number of the newest known frame
        self._received = self._dropped = self._skipped = self._bytes = 0
        self._unsure = 0
        self.first = -1  # frames up to this number are not counted; set with `announced`
        self._last: int | None = None  # number of the last frame received
        self._unsure_before: int | None = None  # the companion's previous count
        self._rate = Rate(60, least=3)  # of received frames; the first two often arrive at once

    def receive(self, frame: Frame, *, resting: bool = False) -> None:
        """Count a frame that has just arrived."""
        if frame.index != self._last:  # equal for a still image sent again
            if self.announced is None or frame.index > self.announced:
                self.announce(frame.index - 1, resting=resting)
                self.announced = frame.index
            elif frame.index > self.first:
                self._take_back()
            self._received += 1
            self._last = frame.index
        self._bytes += frame.data.nbytes
        self._rate.add(time.perf_counter(), self._received)

    def announce(self, index: int, *, resting: bool) -> None:
        """Count frames up to `index` that did not arrive: as skipped if the link rests, else dropped."""
        if self.announced is None:
            self.first = self.announced = index
        left_out = max(0, index - self.announced)
        self.announced += left_out
        if resting:
            self._skipped += left_out
        else:
            self._dropped += left_out

    def restart_numbering(self) -> None:
        """Expect frame numbers to start again, because a new companion counts them."""
        self.announced = self._last = self._unsure_before = None

    def _take_back(self) -> None:
        """Undo one missed frame that arrived after all: a still image, sent on request."""
        if self._skipped:
            self._skipped -= 1
        elif self._dropped:
            self._dropped -= 1

    def count_unsure(self, total: int) -> None:
        """Adopt the companion's count of events that may have been frames."""
        if self._unsure_before is not None:
            self._unsure = max(
                0, self._unsure + total - self._unsure_before
            )  # it falls when an event turns out not to be a frame
        self._unsure_before = total

    def gap_before(self, index: int) -> int:
        """Return how many frames the source had between the last one received and `index`."""
        last = self.announced if self._last is None else self._last
        return 0 if last is None else max(0, index - last - 1)

    def stats(self, age: float | None) -> LinkStats:
        """Return the counts so far; `age` is the newest frame's, in seconds."""
        rate = self._rate.per_second(since=time.perf_counter() - RECENT_SECONDS)
        return LinkStats(self._received, self._dropped, self._bytes, rate, age, self._skipped, self._unsure)
