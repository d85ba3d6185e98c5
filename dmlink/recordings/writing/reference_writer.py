"""Reference writer: points to frames of a running recording instead of writing them again."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Protocol

from dmlink.recordings.writing.ome_zarr_writer import Journal, make_folder

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.frame import Frame

SUFFIX = ".clip"
REFERENCE = "reference.jsonl"  # in such a clip, instead of pixels


class RunningRecording(Protocol):
    """The interface of a recorder that a reference uses."""

    @property
    def path(self) -> Path:
        """The folder that it writes."""

    @property
    def state(self) -> str:
        """Its state: "recording" while it runs."""

    @property
    def times(self) -> tuple[float, float] | None:
        """When the first and the last frame on disk were taken, in seconds."""


class ReferenceWriter:
    """A folder that refers to a recording's frames from time `begin` on, as far as they are on disk.

    `dmlink.open(path)` returns those frames.

    Attributes
    ----------
    path : Path
        The folder.
    frames : int
        Frames written to it.
    bytes : int
        Always 0, as the frames are in the recording.

    Raises
    ------
    FileExistsError
        If there is something at `path`.
    OSError
        If nothing can be written there.
    """

    bytes = 0

    def __init__(self, path: Path, recorder: RunningRecording, begin: float) -> None:
        self.path = path
        self.frames = 0
        self._recorder = recorder
        make_folder(path)
        self._journal = Journal(path / REFERENCE)
        whole = recorder.path.absolute()
        names = [str(whole)]
        with contextlib.suppress(ValueError):  # on Windows, if it is on another drive
            names.insert(
                0, os.path.relpath(whole, path.absolute()).replace(os.sep, "/")
            )  # for when both are moved
        self._journal.write({"recording": names, "begin": begin, "end": begin})

    @property
    def reached(self) -> float:
        """When the recording's newest frame on disk was taken, in seconds."""
        return self._recorder.times[1] if self._recorder.times else float("-inf")

    @property
    def running(self) -> bool:
        """Whether the recording is running."""
        return self._recorder.state == "recording"

    def extend(self, end: float) -> int:
        """Extend it to time `end` (s); return the bytes written to disk."""
        return self._journal.write({"end": end})

    def write(self, frame: Frame) -> bool:  # noqa: ARG002 - the recording writes it
        """Count a frame."""
        self.frames += 1
        return True

    def close(self) -> None:
        """Close the file."""
        self._journal.close()
