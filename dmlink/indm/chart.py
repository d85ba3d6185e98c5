"""Chart: the numbers of the frames so far, as columns of a strip chart."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from dmlink.indm.info import Axis

LONGEST = 2048  # frames; beyond that, the oldest is dropped


class Chart:
    """The newest numbers, one row for each of `height` names.

    Only measured values are drawn: the frames so far share all of the columns, and each has its number in
    all of its columns. So the newest is always at the right edge.
    """

    def __init__(self, height: int, length: int = LONGEST) -> None:
        self._values = np.full((height, length), np.nan, np.float32)
        self._first = 0  # the frame in the first column
        self.n = 0  # frames kept; more than were added if some had no number

    def __len__(self) -> int:
        """Return how many numbers each frame has."""
        return len(self._values)

    def add(self, values: Sequence[float]) -> None:
        """Add the numbers of a frame."""
        length = self._values.shape[1]
        if self.n == length:
            self._values[:, :-1] = self._values[:, 1:]
            self._first, self.n = self._first + 1, self.n - 1
        self._values[:, self.n] = values
        self.n += 1

    @property
    def columns(self) -> np.ndarray:
        """The numbers as drawn, shape (numbers, columns)."""
        length = self._values.shape[1]
        # on Windows, NumPy 1 counts in 32 bits, which the product of two long recordings exceeds
        return self._values[:, np.arange(length, dtype=np.int64) * self.n // length]

    @property
    def axis(self) -> Axis:
        """The axis of the columns, in frames."""
        return Axis(float(self._first), self.n / self._values.shape[1], "frames")
