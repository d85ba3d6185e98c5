"""History: the numbers that a cell has returned, over time."""

from __future__ import annotations

import collections
import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SERIES = 24  # names; a cell that invents a new one for each frame must not fill the memory


class History:
    """The last `length` results of a Scalar: their times in s and, by name, their values.

    It is filled by the cell's thread and read by the painter's.
    """

    def __init__(self, length: int) -> None:
        self._lock = threading.Lock()
        self._times: collections.deque[float] = collections.deque()
        self._series: dict[str, collections.deque[float]] = {}
        self.length = length

    @property
    def length(self) -> int:
        """Number of results kept; reducing it discards the oldest."""
        return self._length

    @length.setter
    def length(self, length: int) -> None:
        if length < 2:
            raise ValueError(f"A strip chart shows at least 2 results, not {length}.")
        with self._lock:
            self._length = length
            self._times = collections.deque(self._times, maxlen=length)
            self._series = {n: collections.deque(v, maxlen=length) for n, v in self._series.items()}

    def add(self, time: float, values: Mapping[str, float], *, again: bool = False) -> None:
        """Add the numbers of a frame taken at `time` (s); a clock that was set back clears the history.

        With `again`, they replace the last ones, if those are of this frame.
        """
        with self._lock:
            if self._times and time < self._times[-1]:
                self._clear()
            if again and self._times and time == self._times[-1]:
                for numbers in (self._times, *self._series.values()):
                    numbers.pop()
            for name in values:
                if name not in self._series and len(self._series) < MAX_SERIES:
                    gap = [np.nan] * len(self._times)
                    self._series[name] = collections.deque(gap, maxlen=self._length)
            self._times.append(time)
            for name, numbers in self._series.items():
                numbers.append(values.get(name, np.nan))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._clear()

    @property
    def names(self) -> list[str]:
        """Names of the series."""
        with self._lock:
            return list(self._series)

    @property
    def now(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """(times in s, shape (n,); values by name, each of shape (n,), NaN if missing)."""
        with self._lock:
            return np.array(self._times), {name: np.array(v) for name, v in self._series.items()}

    def _clear(self) -> None:
        self._times.clear()
        self._series.clear()
