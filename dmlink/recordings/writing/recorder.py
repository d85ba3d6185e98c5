"""Recorder: writes every frame of a link to disk as OME-Zarr, while the live view and cells keep running."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Protocol, Self

from dmlink.recordings.writing.cell_results import CELLS, CellResults
from dmlink.recordings.writing.file_names import FileNames
from dmlink.recordings.writing.frame_writer import FrameWriter
from dmlink.recordings.writing.ome_zarr_writer import why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike
    from pathlib import Path

    from dmlink.frame import Frame

LOOK_SECONDS = 0.2  # how soon `stop` is noticed while no frames arrive
DRAIN_SECONDS = 30.0  # to write the frames that arrived before `stop`


_going: weakref.WeakSet[Recorder] = weakref.WeakSet()
_starting = threading.Lock()  # guards `_going`, which must not grow while it is copied


def recorder_of(link: RecordedLink) -> Recorder | None:
    """Return a running recorder of the same view and ROI as this link; None if there is none."""
    with _starting:
        recorders = list(_going)
    return next((one for one in recorders if one.state == "recording" and one.records(link)), None)


class LosslessReader(Protocol):
    """Every frame of a link in order; see `dmlink.link.readers.LosslessReader`."""

    @property
    def dropped(self) -> int:
        """Frames that it did not get."""

    def next(self, timeout: float | None = None) -> Frame:
        """Return the oldest frame not yet returned."""

    def close(self) -> None:
        """Close the reader."""


class RecordedLink(Protocol):
    """The interface of a link that a recorder uses."""

    @property
    def endpoint(self) -> Any:
        """Where the frames come from."""

    @property
    def source(self) -> str | None:
        """Name of the view; None for the companion's default."""

    @property
    def roi(self) -> str | None:
        """Name of the ROI to record; None for the whole image."""

    @property
    def reason(self) -> str:
        """Why no frames arrive; empty if everything works."""

    def age(self, frame: Frame) -> float:
        """Return how long ago the frame was copied, in seconds."""

    def another(self, roi: str | None, mode: str) -> RecordedLink:
        """Return a separate link to the same view, which closes with its last reader."""

    def reader(self, *, every: bool) -> LosslessReader:
        """Return a reader of every frame."""

    def close(self) -> None:
        """Close the link."""


class RecordedCell(Protocol):
    """The interface of a live cell that a recorder uses."""

    @property
    def name(self) -> str:
        """The cell's name."""

    @property
    def source(self) -> str:
        """The source of its program."""

    @property
    def computed(self) -> tuple[Frame, Any, str] | None:
        """Its last frame with a result, the result, and the source of the program that computed it."""

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` on every change; return a function to stop it."""


class Recorder:
    """A running recording; returned by `link.record(path)`. A context manager, which stops it.

    It has its own lossless connection. A frame counted in `frames` is on disk with all its metadata:
    whatever happens afterwards, even to this process, `dmlink.open(path)` has it.

    Attributes
    ----------
    path : pathlib.Path
        The OME-Zarr folder; `.ome.zarr` is appended to a name that does not end in `.zarr`.
    frames : int
        Frames on disk.
    dropped : int
        Frames of the microscope that are missing in the recording.
    bytes : int
        Size of the frames on disk.
    state : str
        "recording", "stopped" or "failed"; `reason` says why in one sentence.

    Raises
    ------
    FileExistsError
        If there is something at `path`, unless it is a dmlink recording and `overwrite` is set.
    OSError
        If nothing can be written there.
    ConnectionError
        If the companion cannot be reached.
    """

    def __init__(
        self,
        link: RecordedLink,
        path: str | PathLike[str],
        *,
        cells: Sequence[RecordedCell] = (),
        overwrite: bool = False,
        max_frames: int | None = None,
        max_seconds: float | None = None,
    ) -> None:
        self.dropped = 0
        self._left_out = 0  # frames that arrived but were not written
        self.state, self.reason = "recording", ""
        for name, value in (("max_frames", max_frames), ("max_seconds", max_seconds)):
            if value is not None and not value > 0:
                raise ValueError(f"{name}={value!r}: give a number above 0, or leave it out.")
        self._max_frames, self._max_seconds = max_frames, max_seconds
        self._began = time.perf_counter()
        self._ended: float | None = None
        self._stopped: float | None = None  # when `stop` was called
        # A separate connection, so that a slow disk slows down nothing else.
        self._link = link.another(link.roi, "lossless")
        self._reader = self._link.reader(every=True)
        with contextlib.ExitStack() as undo:
            undo.callback(self._link.close)
            self._writer = FrameWriter(path, overwrite=overwrite, cells=[cell.name for cell in cells])
            undo.callback(self._writer.close)
            names = FileNames()
            folder = self.path / CELLS
            self._cells = [_RecordedResults(cell, folder / names.take(cell.name)) for cell in cells]
            undo.pop_all()  # started
        self._thread = threading.Thread(target=self._run, name="dmlink-recorder", daemon=True)
        self._thread.start()
        with _starting:
            _going.add(self)

    def records(self, link: RecordedLink) -> bool:
        """Whether it records the same view and ROI as this link."""
        ours, theirs = ((one.endpoint.address, one.source, one.roi) for one in (self._link, link))
        return ours == theirs

    @property
    def path(self) -> Path:  # noqa: D102 - among the attributes
        return self._writer.path

    @property
    def frames(self) -> int:  # noqa: D102
        return self._writer.frames

    @property
    def bytes(self) -> int:  # noqa: D102
        return self._writer.bytes

    @property
    def times(self) -> tuple[float, float] | None:
        """When the first and the last frame on disk were taken, in seconds; None before the first."""
        return self._writer.times

    @property
    def seconds(self) -> float:
        """How long it has recorded, in seconds."""
        return (self._ended or time.perf_counter()) - self._began

    @property
    def disk_left(self) -> int:
        """Free bytes on the disk."""
        return self._writer.disk_left

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the disk is full at the present rate; None while that is unknown."""
        rate = self.bytes / self.seconds
        return self.disk_left / rate if rate else None

    def stop(self) -> None:
        """Stop; frames that have already arrived are still written."""
        self._stopped = self._stopped or time.perf_counter()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it ends by itself; return False if it still runs after `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return (
            f"<Recorder {self.path.name!r}, {self.state}{reason}, {self.frames} frames, "
            f"{self.bytes / 1e6:.0f} MB, {self.dropped} dropped>"
        )

    # The recorder's thread

    def _run(self) -> None:
        state, reason = "failed", ""
        try:
            reason = self._record()
            state = "stopped"
        except (OSError, ValueError) as error:
            reason = self._why(error)
        except Exception as error:
            reason = self._why(error)
            raise
        finally:
            self._link.close()
            for finish_part in (*(cell.finish for cell in self._cells), self._writer.close):
                try:
                    finish_part()
                except Exception as error:  # noqa: BLE001 - finish the other part too
                    state, reason = "failed", reason or self._why(error)
            self._ended = time.perf_counter()
            self.state, self.reason = state, reason

    def _record(self) -> str:
        """Record until there is a reason to stop, and return the reason."""
        left_out = ""
        while True:
            if self._stopped is None and self._max_seconds is not None and self.seconds > self._max_seconds:
                self._stopped = time.perf_counter()
            try:
                frame = self._reader.next(LOOK_SECONDS)
            except TimeoutError:
                self._count_dropped()
                if self._stopped is not None:
                    return left_out
                self._write_results()
                self.reason = self._link.reason
                continue
            self.reason = ""
            if self._stopped is not None:
                passed = time.perf_counter() - self._stopped
                if self._link.age(frame) < passed:
                    return left_out  # this frame is from after `stop`
                if passed > DRAIN_SECONDS:
                    self._left_out += 1
                    self._count_dropped()
                    left_out = f"Frames not written within {DRAIN_SECONDS:g} s after the stop were dropped."
                    continue
            if self._writer.write(frame):
                self._count_dropped()
            self._write_results()
            if self._max_frames is not None and self.frames >= self._max_frames:
                return ""

    def _count_dropped(self) -> None:
        self.dropped = self._reader.dropped + self._left_out

    def _write_results(self) -> None:
        for cell in self._cells:
            cell.write()

    def _why(self, error: Exception) -> str:
        """Return why it failed, as a sentence that says what is kept."""
        match error:
            case ConnectionError() | ValueError():
                return f"{error} {self._kept}."
            case OSError():
                return why_not(error, self._kept)
            case _:
                return f"The recording failed ({error!r}); {self._kept}."

    @property
    def _kept(self) -> str:
        return f"{self.frames} frames are kept in {self.path}"


class _RecordedResults:
    """A live cell's results: received in the cell's thread, and written in the recorder's."""

    def __init__(self, cell: RecordedCell, folder: Path) -> None:
        self._results = CellResults(folder, cell.source)
        self._came: queue.SimpleQueue[tuple[Frame, Any, str]] = queue.SimpleQueue()
        self._unwatch = _watch(cell, self._came.put)

    def write(self) -> None:
        """Write the results received so far."""
        while True:
            try:
                came = self._came.get_nowait()
            except queue.Empty:
                return
            self._results.write(*came)

    def finish(self) -> None:
        """Write the remaining results and make the tables."""
        self._unwatch()
        with contextlib.closing(self._results):
            self.write()


def _watch(cell: RecordedCell, take: Callable[[tuple[Frame, Any, str]], None]) -> Callable[[], None]:
    """Call `take` with each new frame, result and program; return a function to stop it."""
    last = [cell.computed]
    one_at_a_time = threading.Lock()  # the cell's thread calls, and the notebook's

    def look() -> None:
        with one_at_a_time:
            computed = cell.computed
            if computed is not None and computed is not last[0]:
                last[0] = computed
                take(computed)

    return cell.watch(look)
