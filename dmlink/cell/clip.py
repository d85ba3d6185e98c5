"""Clip: the frames around an event, or a reference to them, with the cell's results and events."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from dmlink.cell.outcomes import memory_of
from dmlink.recordings.writing import reference_writer
from dmlink.recordings.writing.cell_results import CELLS, CellResults
from dmlink.recordings.writing.file_names import FileNames, file_name
from dmlink.recordings.writing.frame_writer import SUFFIX, FrameWriter, kind
from dmlink.recordings.writing.ome_zarr_writer import Journal
from dmlink.recordings.writing.reference_writer import ReferenceWriter, RunningRecording

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.cell.happening import Happening
    from dmlink.frame import Frame

EVENTS = "events.jsonl"


class FrameResult(NamedTuple):
    """A result of the cell, its frame, and the source of the program that computed it."""

    frame: Frame
    result: Any
    program: str


class Clip:
    """A clip that is being written; each frame is complete on disk before the next one is written.

    Parameters
    ----------
    folder : Path
        Folder of the clip.
    name : str
        Name of the clip; a `'` is appended if it is taken.
    begin : float
        Start of the clip: its first frame is taken at this time or later, in seconds.
    recorder : RunningRecording, optional
        A recorder that has all frames of the clip, so that they are not written again.

    Attributes
    ----------
    path : Path
        The recording.
    end : float
        End of the clip: its last frame is taken at this time or earlier, in seconds.
    last : int or None
        Number of its newest frame.
    oldest, newest : float
        When its first and its newest frame were taken, in seconds.
    events : list of Happening
        The events in it.
    view : str
        Name, shape and data type of its frames; empty before the first.
    """

    def __init__(
        self, folder: Path, name: str, begin: float, recorder: RunningRecording | None = None
    ) -> None:
        names = FileNames(path.name for path in folder.iterdir())
        self._reference: ReferenceWriter | None = None
        writer: FrameWriter | ReferenceWriter | None = None
        while writer is None:
            free = folder / names.take(name, [SUFFIX, reference_writer.SUFFIX])
            with contextlib.suppress(FileExistsError):  # another cell has just taken this name
                writer = _writer_at(free, recorder, begin)
        self._writer = writer
        if isinstance(writer, ReferenceWriter):
            self._reference = writer
        self.path = writer.path
        self.begin, self.end = begin, -math.inf
        self.last: int | None = None
        self.oldest, self.newest = math.inf, -math.inf
        self.events: list[Happening] = []
        self.view = ""
        self._reference_end = -math.inf
        self._journal = Journal(self.path / EVENTS)
        self._results: CellResults | None = None

    @property
    def frames(self) -> int:
        """Number of its frames."""
        return self._writer.frames

    @property
    def reached(self) -> float:
        """Time up to which all of its frames are on disk, in seconds."""
        return self._reference.reached if self._reference else self.newest

    @property
    def cut(self) -> bool:
        """Whether the recording with its frames ended before the clip."""
        return bool(self._reference and not self._reference.running and self._reference.reached < self.end)

    def add(self, event: Happening, end: float) -> int:
        """Write an event and extend the clip to `end`; return the bytes written to disk."""
        self.end = max(self.end, end)
        self.events.append(event)
        return self._journal.write(event._asdict())

    def extend(self) -> int:
        """Extend a reference to the present end of the clip; return the bytes written to disk."""
        if self._reference is None or self._reference_end == self.end:
            return 0
        self._reference_end = self.end
        return self._reference.extend(self.end)

    def write(self, frame: Frame) -> int:
        """Write a frame; return its size on disk in bytes."""
        self.view = self.view or view_of(frame)
        before = self._writer.bytes
        self._writer.write(frame)
        self.last, self.newest = frame.index, frame.time
        self.oldest = min(self.oldest, frame.time)
        return self._writer.bytes - before

    def write_result(self, name: str, result: FrameResult) -> int:
        """Write a result of the cell, with its program; return its approximate size in bytes."""
        if self._results is None:
            self._results = CellResults(self.path / CELLS / file_name(name), result.program)
        self._results.write(*result)
        return memory_of(result.result)

    def close(self) -> None:
        """Finish the recording."""
        with contextlib.ExitStack() as closing:
            closing.callback(self._writer.close)
            closing.callback(self._journal.close)
            if self._results:
                closing.callback(self._results.close)


def view_of(frame: Frame) -> str:
    """Return name, shape and data type, which all frames of a clip share."""
    return f"{frame.source} ({kind(frame)})"


def _writer_at(path: Path, recorder: RunningRecording | None, begin: float) -> FrameWriter | ReferenceWriter:
    """Return what writes a clip at this path, to which an ending is added."""
    if recorder:
        return ReferenceWriter(path.with_name(path.name + reference_writer.SUFFIX), recorder, begin)
    return FrameWriter(path.with_name(path.name + SUFFIX))
