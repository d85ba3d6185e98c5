"""Strips: the part of a session that a timeline shows, in a number of points that does not grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dmlink.session.session import CELL, CLIP, EVENT, NO_FRAMES, NO_LINK, PARAMETER, Mark

if TYPE_CHECKING:
    from collections.abc import Collection

    from dmlink.link.logs import Logs
    from dmlink.session.session import Session

MOST_STRIPS = 24
GAPS = {NO_FRAMES, NO_LINK}
ORDER = [NO_LINK, NO_FRAMES, CLIP, EVENT, CELL, PARAMETER]  # in which they are drawn, one over the other


class Strip(NamedTuple):
    """A curve: what it says about itself, times (s) and values of shape (n,), and the limits of its axis."""

    label: str
    times: np.ndarray
    values: np.ndarray
    low: float
    high: float

    @property
    def levels(self) -> np.ndarray:
        """The values scaled to 0 at `low` and 1 at `high`."""
        return (self.values - self.low) / ((self.high - self.low) or 1.0)


def strips(session: Session, logs: Logs, begin: float, end: float, points: int) -> list[Strip]:
    """Return the numbers of all cells and logs, each in about `points` points that keep every peak.

    A cell's curve is broken, by NaN, where no frames came; a log holds its last number until the next one.
    """
    gaps = marks(session, begin, end, points // 2, GAPS)
    middles = np.array(sorted((gap.begin + gap.end) / 2 for gap in gaps))
    found = [
        _strip(_label(track.name, track.unit), *_broken(*track.envelope(begin, end, points), middles))
        for track in session.tracks
    ]
    for log in logs.all().values():
        times, values = log.envelope(begin, end, points)
        times = np.maximum(times, begin)  # an older number is valid until the next one
        now = min(end, session.newest if session.newest is not None else end)
        if len(times) and times[-1] < now:
            times, values = np.append(times, now), np.append(values, values[-1])
        label = _label(log.name, log.unit) + (f", clock {log.offset:+g} s" if log.offset else "")
        found.append(_strip(label, times, values))
    return found[:MOST_STRIPS]


def marks(
    session: Session, begin: float, end: float, columns: int, kinds: Collection[str] = ORDER
) -> list[Mark]:
    """Return the marks of these kinds in between, at most one of each kind in each column."""
    width = max((end - begin) / columns, 1e-9)
    found: dict[tuple[str, int], Mark] = {}
    for mark in session.marks:
        if mark.kind in kinds and mark.begin <= end and mark.end >= begin:
            place = mark.kind, int((mark.begin - begin) / width)
            there = found.get(place)
            if there is None or mark.end - mark.begin > there.end - there.begin:
                found[place] = mark
    return sorted(found.values(), key=lambda mark: (ORDER.index(mark.kind), mark.begin))


def _broken(times: np.ndarray, values: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put NaN at the times `at` (s, in order), so that no line is drawn across them."""
    places = np.searchsorted(times, at)
    return np.insert(times, places, at), np.insert(values, places, np.nan)


def _label(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def _strip(label: str, times: np.ndarray, values: np.ndarray) -> Strip:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return Strip(label, times, values, low, high)
