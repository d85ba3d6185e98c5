"""Track: the numbers of one quantity over hours, which can be drawn at a cost that does not grow."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np

CHUNK = 4096  # numbers in each piece
BLOCK = 64  # numbers of which only the lowest and the highest are kept for drawing
DETAIL = 32  # times as many numbers as points that are looked at one by one


class Piece:
    """Up to CHUNK numbers in order of time; a full piece also has the extremes of each BLOCK."""

    def __init__(self, size: int = CHUNK) -> None:
        self.times = np.empty(size)
        self.values = np.empty(size)
        self.frames = np.empty(size, np.int64)
        self.n = 0
        self.extremes: tuple[np.ndarray, np.ndarray] | None = None  # times and values
        self.coarse = False

    @property
    def bytes(self) -> int:
        """Memory used."""
        more = sum(array.nbytes for array in self.extremes or ())
        return self.times.nbytes + self.values.nbytes + self.frames.nbytes + more

    def finish(self) -> None:
        """Compute the extremes, because no more numbers will be added."""
        places = extremes_of(self.values[: self.n], 2 * (self.n // BLOCK or 1))
        self.extremes = self.times[places], self.values[places]

    def thin(self) -> None:
        """Keep only the extremes."""
        places = extremes_of(self.values[: self.n], 2 * (self.n // BLOCK or 1))
        self.times, self.values = self.times[places].copy(), self.values[places].copy()
        self.frames, self.n = self.frames[places].copy(), len(places)
        self.extremes, self.coarse = None, True


class Moment(NamedTuple):
    """The number at some time: its time (s), frame number and value."""

    time: float
    frame: int
    value: float


class Track:
    """Numbers over time. One thread adds; any thread may read.

    Parameters
    ----------
    name, unit : str
        Name and unit of the quantity.
    """

    def __init__(self, name: str, unit: str = "") -> None:
        self.name, self.unit = name, unit
        self._pieces: list[Piece] = []
        self._lock = threading.Lock()

    def add(self, time: float, frame: int, value: float) -> None:
        """Add the number of a frame; times do not go back."""
        with self._lock:
            if not self._pieces or self._pieces[-1].n == CHUNK:
                if self._pieces:
                    self._pieces[-1].finish()
                self._pieces.append(Piece())
            piece = self._pieces[-1]
            piece.times[piece.n], piece.values[piece.n], piece.frames[piece.n] = time, value, frame
            piece.n += 1

    def __len__(self) -> int:
        with self._lock:
            return sum(piece.n for piece in self._pieces)

    @property
    def bytes(self) -> int:
        """Memory used by the numbers."""
        with self._lock:
            return sum(piece.bytes for piece in self._pieces)

    @property
    def span(self) -> tuple[float, float] | None:
        """Times of the first and the newest number; None without any."""
        with self._lock:
            if not self._pieces:
                return None
            last = self._pieces[-1]
            return float(self._pieces[0].times[0]), float(last.times[last.n - 1])

    @property
    def oldest_whole(self) -> float | None:
        """Start time of the oldest full piece whose numbers are all kept; None if there is none."""
        with self._lock:
            whole = next((p for p in self._pieces if not p.coarse and p.n == CHUNK), None)
            return float(whole.times[0]) if whole else None

    def thin(self) -> bool:
        """Reduce the oldest piece whose numbers are all kept to its extremes; False if there is none."""
        with self._lock:
            for piece in self._pieces:
                if not piece.coarse and piece.n == CHUNK:
                    piece.thin()
                    return True
        return False

    def envelope(self, begin: float, end: float, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (times, values) of at most `n` points from `begin` to `end` (s) that keep every peak.

        They are the lowest and the highest number of each of n/2 stretches.
        """
        with self._lock:
            pieces = [p for p in self._pieces if p.times[0] <= end and p.times[p.n - 1] >= begin]
            detailed = sum(piece.n for piece in pieces) <= DETAIL * n
            found = [
                (piece.times[: piece.n], piece.values[: piece.n])
                if detailed or piece.extremes is None
                else piece.extremes
                for piece in pieces
            ]
            times, values = (
                np.concatenate([pair[i] for pair in found]) if found else np.empty(0) for i in (0, 1)
            )
        first, last = np.searchsorted(times, begin, "left"), np.searchsorted(times, end, "right")
        times, values = times[first:last], values[first:last]
        places = extremes_of(values, n)
        return times[places], values[places]

    def at(self, time: float) -> Moment | None:
        """Return the newest number at that time; None before the first."""
        with self._lock:
            piece = next((p for p in reversed(self._pieces) if p.times[0] <= time), None)
            if piece is None:
                return None
            i = int(np.searchsorted(piece.times[: piece.n], time, "right")) - 1
            return Moment(float(piece.times[i]), int(piece.frames[i]), float(piece.values[i]))


def extremes_of(values: np.ndarray, n: int) -> np.ndarray:
    """Return the indices, in order, of at most `n` of the values, shape (m,), including every peak.

    NaN is ignored, unless a whole stretch is NaN.
    """
    if len(values) <= n:
        return np.arange(len(values))
    step = -(-len(values) // max(1, n // 2))
    padded = np.full(-(-len(values) // step) * step, np.nan)
    padded[: len(values)] = values
    blocks = padded.reshape(-1, step)
    lowest = np.where(np.isnan(blocks), np.inf, blocks).argmin(axis=1)
    highest = np.where(np.isnan(blocks), -np.inf, blocks).argmax(axis=1)
    both = np.sort(np.stack([lowest, highest], axis=1), axis=1) + np.arange(len(blocks))[:, None] * step
    return np.minimum(both.ravel(), len(values) - 1)
