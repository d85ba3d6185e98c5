"""Waterfall: the last profiles of a cell, one row for each."""

from __future__ import annotations

import collections
import threading

import numpy as np

from dmlink.indm.info import Axis

STEP = 0.1  # change of the time between two rows that is worth another axis
WIDEST = 4096  # values of a row; of longer profiles every second, third ... is kept


class Waterfall:
    """At most `height` profiles of the same length and axis; filled and read by different threads."""

    def __init__(self, height: int) -> None:
        self._lock = threading.Lock()
        self._rows: collections.deque[np.ndarray] = collections.deque(maxlen=height)
        self._times: collections.deque[float] = collections.deque(maxlen=height)
        self._like = 0, Axis()  # length of a row, and its axis
        self._interval = 0.0

    def add(self, time: float, values: np.ndarray, axis: Axis) -> None:
        """Add a profile, shape (n,), of a frame taken at `time` (s); another axis begins anew."""
        step = max(1, len(values) // WIDEST)
        row = np.asarray(values[::step], dtype=np.float32)
        like = len(row), axis._replace(scale=axis.scale * step)
        with self._lock:
            if like != self._like or (self._times and time < self._times[-1]):
                self._rows.clear()
                self._times.clear()
                self._like = like
            self._rows.append(row)
            self._times.append(time)

    @property
    def axis(self) -> Axis:
        """The axis of a row, of the values that are kept."""
        return self._like[1]

    @property
    def rows(self) -> np.ndarray:
        """All rows, the newest last: shape (m, n), float32."""
        with self._lock:
            return np.array(self._rows, dtype=np.float32).reshape(len(self._rows), -1)

    @property
    def interval(self) -> float:
        """Time between two rows, in s: the mean, which is followed in steps, so that an axis stands."""
        with self._lock:
            n = len(self._times)
            mean = (self._times[-1] - self._times[0]) / (n - 1) if n > 1 else 0.0
            if abs(mean - self._interval) > STEP * self._interval:
                self._interval = mean
            return self._interval
