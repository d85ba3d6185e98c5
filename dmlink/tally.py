"""Tally: what has come through a link."""

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dmlink.frame import Frame

RECENT_SECONDS = 3.0  # that a rate is the mean of


class LinkStats(NamedTuple):
    """What has come through a link.

    `received` and `dropped` count frames (dropped: seen by the companion, never sent), `bytes` their pixels;
    `rate` is in frames/s, `age` that of the newest frame in seconds (None before the first).
    """

    received: int
    dropped: int
    bytes: int
    rate: float
    age: float | None


class Tally:
    """Counts frames as they come."""

    def __init__(self) -> None:
        self._received = self._dropped = self._bytes = 0
        self._arrivals: collections.deque[float] = collections.deque(maxlen=60)  # of the newest, monotonic

    def count(self, frame: Frame, arrived: float) -> None:
        """Count a frame that has arrived at a monotonic time."""
        self._received += 1
        self._dropped += frame.dropped
        self._bytes += frame.data.nbytes
        self._arrivals.append(arrived)

    def stats(self, age: float | None) -> LinkStats:
        """Return what has come until now; `age` is that of the newest frame."""
        now = time.monotonic()
        recent = [t for t in list(self._arrivals) if now - t < RECENT_SECONDS]
        seconds = recent[-1] - recent[0] if len(recent) > 2 else 0.0  # 0 also within a tick of Windows' clock
        rate = (len(recent) - 1) / seconds if seconds else 0.0
        return LinkStats(self._received, self._dropped, self._bytes, rate, age)
