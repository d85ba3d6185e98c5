"""Waterfall: the last profiles of a cell, one per row."""

from __future__ import annotations

import collections
import threading

import numpy as np

from dmlink.frame import Axis

STEP = 0.1  # relative change of the interval at which the axis is updated
WIDEST = 4096  # values per row; of longer profiles, the highest of every two, three ... values is kept


class Waterfall:
    """At most `height` profiles of the same length and axis; filled and read by different threads."""

    def __init__(self, height: int) -> None:
        self._lock = threading.Lock()
        self._rows: collections.deque[np.ndarray] = collections.deque(maxlen=height)
        self._times: collections.deque[float] = collections.deque(maxlen=height)
        self._marks: collections.deque[float] = collections.deque(maxlen=height)
        self._layout = 0, Axis()  # length of a row, and its axis
        self._interval = 0.0

    def add(self, time: float, values: np.ndarray, axis: Axis, *, again: bool = False) -> None:
        """Add a profile, shape (n,), of a frame taken at `time` (s); another axis clears the waterfall.

        With `again`, it replaces the last one, if that is of this frame.
        """
        step = max(1, len(values) // WIDEST)
        row = _highest(np.asarray(values, np.float32), step)
        middle = axis.origin + axis.scale * (step - 1) / 2  # of the first block
        layout = len(row), Axis(middle, axis.scale * step, axis.unit)
        with self._lock:
            if layout != self._layout or (self._times and time < self._times[-1]):
                self._rows.clear()
                self._times.clear()
                self._marks.clear()
                self._layout = layout
            if again and self._times and time == self._times[-1]:
                self._rows.pop()
                self._times.pop()
            self._rows.append(row)
            self._times.append(time)

    def mark(self, time: float) -> None:
        """Mark the row of the frame taken at `time` (s) while it is kept."""
        with self._lock:
            self._marks.append(time)

    @property
    def marked(self) -> list[int]:
        """The indices of the marked rows; the oldest row is 0."""
        with self._lock:
            marks = set(self._marks)
            return [i for i, time in enumerate(self._times) if time in marks]

    @property
    def axis(self) -> Axis:
        """The axis of the values kept in a row."""
        return self._layout[1]

    @property
    def rows(self) -> np.ndarray:
        """All rows, newest last: shape (m, n), float32."""
        with self._lock:
            return np.array(self._rows, dtype=np.float32).reshape(len(self._rows), -1)

    @property
    def interval(self) -> float:
        """Mean time between two rows, in s; it changes in steps, so that an axis can follow it calmly."""
        with self._lock:
            n = len(self._times)
            mean = (self._times[-1] - self._times[0]) / (n - 1) if n > 1 else 0.0
            if abs(mean - self._interval) > STEP * self._interval:
                self._interval = mean
            return self._interval


def _highest(values: np.ndarray, step: int) -> np.ndarray:
    """Return the highest of every `step` values, shape (n // step,), as a copy; NaN if none is finite."""
    if step == 1:
        return values.copy()  # a view would keep the whole result's memory
    blocks = values[: len(values) // step * step].reshape(-1, step)
    highest: np.ndarray = np.fmax.reduce(blocks, axis=1)
    return highest
