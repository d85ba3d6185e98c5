"""Past: the nearest frame to a given time that is still in memory, in a clip or in a recording."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import dmlink
from dmlink.link.link import Link
from dmlink_widgets.controls.lookback_button import kept_near

if TYPE_CHECKING:
    from dmlink.frame import Frame
    from dmlink.growing.link import FollowedLink

NUMBER = "source_index"  # the tag with a recorded frame's number at the microscope


class Past:
    """Finds frames of a link; it caches the times of files that no longer grow."""

    def __init__(self, link: Link | FollowedLink) -> None:
        self._link = link
        self._times: dict[Path, np.ndarray] = {}

    def nearest(self, time: float) -> tuple[Frame, str] | None:
        """Return the frame and where it comes from; None if no frame is left."""
        best: tuple[float, Frame, str] | None = None
        if isinstance(self._link, Link) and (frame := kept_near(self._link, time)):
            best = abs(frame.time - time), frame, "memory"
        session = self._link.session
        growing = set(session.recordings[-1:])  # it may still be being written
        for path in (*session.clips, *session.recordings):
            with contextlib.suppress(OSError, ValueError, IndexError):  # it was moved, or has no frame yet
                times = self._times_of(Path(path), grows=path in growing)
                i = int(np.abs(times - time).argmin())
                if best is None or abs(times[i] - time) < best[0]:
                    with dmlink.open(path) as recording:
                        best = abs(times[i] - time), _numbered(recording[i]), Path(path).name
        return best[1:] if best else None

    def _times_of(self, path: Path, *, grows: bool) -> np.ndarray:
        if path not in self._times or grows:
            with dmlink.open(path) as recording:
                self._times[path] = np.array(recording.times)
        return self._times[path]


def _numbered(frame: Frame) -> Frame:
    """Return a recorded frame with its number at the microscope."""
    number = frame.tags.get(NUMBER)
    return replace(frame, index=int(number)) if number is not None else frame
