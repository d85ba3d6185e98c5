"""Moments: the frame of a past event, from memory or from a clip."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import dmlink
from dmlink.link.link import Link
from dmlink_widgets.controls.lookback_button import kept_frame

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.cell.happening import Happening
    from dmlink.cell.live_cell import LiveCell
    from dmlink.frame import Frame

NUMBER = "source_index"  # the tag with a recorded frame's number at the microscope


def frame_of_event(cell: LiveCell, event: Happening) -> tuple[Frame, str] | None:
    """Return the frame of an event and where it comes from; None if neither a look-back nor a clip has it."""
    if isinstance(cell.link, Link) and (frame := kept_frame(cell.link, event.frame, event.time)):
        return frame, "memory"
    writing = [cell.clip_writing[0]] if cell.clip_writing else []
    for path in (*writing, *reversed(cell.clips)):
        with contextlib.suppress(OSError, ValueError):  # the clip was moved, or has no frame yet
            if frame := _in_clip(path, event):
                return frame, path.name
    return None


def _in_clip(path: Path, event: Happening) -> Frame | None:
    with dmlink.open(path) as clip:
        for i, time in enumerate(clip.times):
            if time == event.time and (frame := clip[i]).tags.get(NUMBER) == event.frame:
                return frame
    return None
