"""Joined: several recordings as one."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.recordings.recording import Composed, Recording, recalibrate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dmlink.frame import Frame


class Joined(Composed):
    """Recordings of the same shape and data type as one, with their times one after another.

    Frames are numbered from 0 to the last one of all. A recording that does not start after the end of the
    previous one is shifted to one frame after it.
    """

    def __init__(self, parts: Sequence[Recording]) -> None:
        first = parts[0]
        for part in parts[1:]:
            _check_alike(first, part)
        self._parts = tuple(parts)
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        timed = all(part.timed for part in parts)
        untimed = [part.name for part in parts if not part.timed]
        notes = [note for part in parts for note in part.notes]
        if untimed and len(untimed) < len(parts):
            notes.append(f"{untimed[0]} has no times, so all frames are only numbered.")
        super().__init__(
            first.path,
            (int(self._starts[-1]), *first.shape[1:]),
            first.dtype,
            name=first.name,
            y=first.y,
            x=first.x,
            times=_one_after_the_other(parts) if timed else None,
            tags=first.tags,
            notes=notes,
        )

    def files(self) -> Iterator[Path]:
        """Yield the files of all recordings."""
        for part in self._parts:
            yield from part.files()

    def _frame(self, data: np.ndarray, i: int) -> Frame:
        return replace(super()._frame(data, i), index=i)

    def _where(self, i: int) -> tuple[Recording, int]:
        at = int(np.searchsorted(self._starts, i, "right")) - 1
        return self._parts[at], i - int(self._starts[at])

    @property
    def logs(self) -> dict[str, np.ndarray]:
        """Those of all recordings, NaN in one that has none of that name; see `Recording.logs`."""
        each = [part.logs for part in self._parts]
        return {
            name: np.concatenate(
                [
                    logs.get(name, np.full(len(part), np.nan))
                    for part, logs in zip(self._parts, each, strict=True)
                ]
            )
            for name in dict.fromkeys(name for logs in each for name in logs)
        }

    def _close(self) -> None:
        for part in self._parts:
            part.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _joined_again, (self._parts, self._calibration)


def _joined_again(parts: tuple[Recording, ...], calibration: dict[str, Any]) -> Recording:
    joined = Joined(parts)
    recalibrate(joined, calibration)
    return joined


def _check_alike(one: Recording, other: Recording) -> None:
    """Refuse to join recordings with another frame size, data type or pixel size."""
    compared = {
        "frame size": [f"{r.shape[1]} x {r.shape[2]}" for r in (one, other)],
        "data type": [str(r.dtype) for r in (one, other)],
        "pixel size": [f"{r.y.scale:g} {r.y.unit} x {r.x.scale:g} {r.x.unit}" for r in (one, other)],
    }
    for quantity, (here, there) in compared.items():
        if here != there:
            raise ValueError(
                f"{one.path} has {quantity} {here}, but {other.path} has {there}; recordings can be joined "
                "only if these are the same."
            )


def _one_after_the_other(parts: Sequence[Recording]) -> np.ndarray:
    """Return the recordings' times; each is shifted to after the previous one if it starts earlier."""
    joined = [parts[0].times]
    for before, part in itertools.pairwise(parts):
        end, times = float(joined[-1][-1]), part.times
        if times[0] <= end:
            step = 1 / (part.fps or before.fps or 1.0)
            times = times - times[0] + end + step
        joined.append(times)
    return np.concatenate(joined)
