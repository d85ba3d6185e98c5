"""Logs: numbers of other instruments over time, joined to frames."""

from __future__ import annotations

import bisect
import math
import threading
from array import array
from typing import TYPE_CHECKING

import numpy as np

from dmlink.session.track import BLOCK, DETAIL, extremes_of

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_VALUES = 2_000_000  # per log; a full log loses its oldest half


class Log:
    """The values of one quantity over time.

    Attributes
    ----------
    name, unit : str
        The quantity and its unit.
    offset : float
        Seconds that were added to the instrument's own times.
    """

    def __init__(self, name: str, unit: str = "") -> None:
        self.name, self.unit = name, unit
        self.offset = 0.0
        self._times, self._values = array("d"), array("d")
        self._extremes = array("q")  # places of the lowest and the highest value of each full block so far
        self._lock = threading.Lock()

    def add(self, time: float, value: float) -> None:
        """Add a value; times need not be in order."""
        self.extend([(time, value)])

    def extend(self, pairs: Iterable[tuple[float, float]]) -> None:
        """Add (time, value) pairs."""
        new = np.array(list(pairs), float).reshape(-1, 2)
        if not len(new):
            return
        with self._lock:
            place = bisect.bisect_right(self._times, float(new[:, 0].min()))
            new = np.concatenate([np.array([self._times[place:], self._values[place:]]).T, new])
            new = new[np.argsort(new[:, 0], kind="stable")]  # a clock may have been set back
            for numbers, column in ((self._times, new[:, 0]), (self._values, new[:, 1])):
                del numbers[place:]
                numbers.frombytes(column.tobytes())
            del self._extremes[2 * (place // BLOCK) :]
            if len(self._times) > MAX_VALUES:
                half = len(self._times) // 2
                del self._times[:half], self._values[:half], self._extremes[:]

    def at(self, time: float) -> float | None:
        """Return the newest value at that time, or None before the first."""
        with self._lock:
            i = bisect.bisect_right(self._times, time)
            return self._values[i - 1] if i else None

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (times, values), each of shape (n,), sorted by time."""
        with self._lock:
            return np.array(self._times), np.array(self._values)

    def envelope(self, begin: float, end: float, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (times, values) of at most `n` points that keep every peak from `begin` to `end` (s).

        The first one may be older: it is the value at `begin`.
        """
        with self._lock:
            first = max(0, bisect.bisect_right(self._times, begin) - 1)
            last = bisect.bisect_right(self._times, end)
            places = np.arange(first, last)
            if last - first > DETAIL * n:
                i, j = -(-first // BLOCK), last // BLOCK  # the full blocks
                inside = self._extremes_of_blocks()[2 * i : 2 * j]
                places = np.concatenate([places[: i * BLOCK - first], inside, places[j * BLOCK - first :]])
            times, values = (np.frombuffer(numbers)[places] for numbers in (self._times, self._values))
        places = extremes_of(values, n)
        return times[places], values[places]

    def _extremes_of_blocks(self) -> np.ndarray:
        done, end = len(self._extremes) // 2 * BLOCK, len(self._values) // BLOCK * BLOCK
        if end > done:
            new = extremes_of(np.array(self._values[done:end]), 2 * (end - done) // BLOCK) + done
            self._extremes.frombytes(new.astype(np.int64).tobytes())
        return np.array(self._extremes)

    def clear(self) -> None:
        """Forget all values."""
        with self._lock:
            del self._times[:], self._values[:], self._extremes[:]

    def __len__(self) -> int:
        return len(self._times)


class Logs:
    """All logs of a link, by name."""

    def __init__(self) -> None:
        self._logs: dict[str, Log] = {}
        self._lock = threading.Lock()

    def log(self, name: str, unit: str = "") -> Log:
        """Return the log with this name; create it if there is none.

        Raises
        ------
        ValueError
            If the name is not a non-empty string, or the unit differs from the log's.
        """
        if not isinstance(name, str) or not name:
            raise ValueError(f"name={name!r}: a log needs a name, such as 'temperature'.")
        with self._lock:
            log = self._logs.setdefault(name, Log(name, unit))
        if unit and unit != log.unit:
            if log.unit:
                raise ValueError(f"The log {name!r} is in {log.unit!r}, not {unit!r}; give it another name.")
            log.unit = unit
        return log

    def at(self, time: float) -> dict[str, float]:
        """Return each log's newest value at that time, by name, without logs that start later."""
        if not self._logs:
            return {}
        with self._lock:
            logs = list(self._logs.values())
        values = {log.name: log.at(time) for log in logs}
        return {name: value for name, value in values.items() if value is not None}

    def all(self) -> dict[str, Log]:
        """Return the logs by name."""
        with self._lock:
            return dict(self._logs)


def number(value: object, name: str) -> float:
    """Return a value as a float for a log; NaN is allowed and means that nothing was measured.

    Raises
    ------
    ValueError
        If it is not a number, or infinite.
    """
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is not a number; the log {name!r} needs one.") from None
    if math.isinf(found):
        raise ValueError(f"{value!r} is not finite; the log {name!r} needs a finite number, or NaN.")
    return found
