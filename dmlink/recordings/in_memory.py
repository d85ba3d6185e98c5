"""In memory: frames in memory as a recording."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dmlink.recordings.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dmlink.frame import Frame


class Kept(Protocol):
    """A kept frame, possibly packed."""

    @property
    def time(self) -> float:
        """When it was taken, in seconds."""

    @property
    def frame(self) -> Frame:
        """The frame."""

    @property
    def about(self) -> Frame:
        """The frame, possibly without its pixels."""


class FramesInMemory(Recording):
    """Frames of one shape, data type and source; each keeps its number at the microscope."""

    def __init__(self, frames: Sequence[Kept]) -> None:
        first = frames[0].frame
        self._kept = tuple(frames)
        shape = (len(frames), *first.data.shape[:2])
        times = np.array([frame.time for frame in frames])
        super().__init__(
            Path(first.source or "look-back"),
            shape,
            first.data.dtype,
            name=first.source,
            y=first.y,
            x=first.x,
            times=times,
            tags=dict(first.tags),
        )

    def _read(self, i: int) -> np.ndarray:
        return self._kept[i].frame.data

    def _frame(self, data: np.ndarray, i: int) -> Frame:
        kept = self._kept[i].about
        y, x = self._calibrated(kept.y), self._calibrated(kept.x)
        return replace(kept, data=data, time=self._time(i), y=y, x=x)

    def files(self) -> Iterator[Path]:
        """Yield nothing: the frames are in memory."""
        return iter(())

    def __reduce__(self) -> Any:
        raise TypeError("These frames are in this process's memory; save the look-back and open the file.")
