"""Rate: how fast a counter increases."""

from __future__ import annotations

import collections
import math


class Rate:
    """Counts per second, averaged over a counter's latest readings.

    Parameters
    ----------
    length : int
        Number of readings kept.
    least : int
        Readings needed for a rate.
    """

    def __init__(self, length: int, least: int = 2) -> None:
        self._readings: collections.deque[tuple[float, int]] = collections.deque(maxlen=length)
        self._least = least

    def add(self, time: float, count: int) -> None:
        """Add a reading at `time`, in seconds of any clock."""
        self._readings.append((time, count))

    def clear(self) -> None:
        """Forget all readings."""
        self._readings.clear()

    def per_second(self, since: float = -math.inf) -> float:
        """Return the mean rate over the readings taken after `since` (s); 0.0 if there are too few."""
        readings = [(t, n) for t, n in list(self._readings) if t > since]  # another thread may add to it
        if len(readings) < self._least:
            return 0.0
        (t0, n0), (t1, n1) = readings[0], readings[-1]
        return (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0  # equal within one tick of a coarse clock
