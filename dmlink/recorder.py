"""Recorder: writes every frame of a link to disk, as OME-Zarr, while live view and cells go on."""

from __future__ import annotations

import contextlib
import queue
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dmlink.recordings.file_names import FileNames
from dmlink.recordings.results import ResultWriter, finish
from dmlink.recordings.writing import JOURNAL, ImageWriter, Journal, journal_lines, make_folder, why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from dmlink.cell import LiveCell
    from dmlink.frame import Frame
    from dmlink.link import Link

LOOK_SECONDS = 0.2  # how soon `stop` is noticed while no frames come
DRAIN_SECONDS = 30.0  # that frames which came before `stop` may still take
RESERVE = 4 << 20  # bytes that stay free on the disk, to end in order
SUFFIX = ".ome.zarr"


class Recorder:
    """A recording that goes on; made by `link.record(path)`. A context manager, which stops it.

    It has a lossless connection of its own. Each frame is written as a whole, then a line that tells its
    number, time, exposure, ROI and tags, then it is counted in `frames`: whatever happens afterwards, also to
    this process, `dmlink.open(path)` has it.

    Attributes
    ----------
    path : pathlib.Path
        The OME-Zarr folder; `.ome.zarr` is appended to a name that does not end in `.zarr`.
    frames : int
        Frames that are on disk.
    dropped : int
        Frames that the microscope gave and the recording does not have.
    bytes : int
        What the frames take on disk.
    state : str
        "recording", "stopped" or "failed"; `reason` says why in a sentence.

    Raises
    ------
    FileExistsError
        If there is something at `path`, unless it is a recording of dmlink's and `overwrite` is set.
    OSError
        If nothing can be written there.
    ConnectionError
        If the companion is not there.
    """

    def __init__(
        self,
        link: Link,
        path: str | PathLike[str],
        *,
        cells: Sequence[LiveCell] = (),
        overwrite: bool = False,
        max_frames: int | None = None,
        max_seconds: float | None = None,
    ) -> None:
        path = Path(path).expanduser()
        self.path = path if path.suffix == ".zarr" else path.with_name(path.name + SUFFIX)
        self.frames = self.dropped = self.bytes = 0
        self.state, self.reason = "recording", ""
        self._max_frames, self._max_seconds = max_frames, max_seconds
        self._began = time.monotonic()
        self._ended: float | None = None
        self._stopped: float | None = None  # when `stop` was called
        self._image: ImageWriter | None = None
        self._last: Frame | None = None
        self._first_time = 0.0
        self._told: dict[str, Any] = {}  # what the last line has said
        # a connection of its own, so that a slow disk holds up nobody else
        self._link = link.another(link.roi, "lossless")
        try:
            make_folder(self.path, overwrite=overwrite)
            self._journal = Journal(self.path / JOURNAL)
            names = FileNames()
            self._cells = [_CellResults(cell, self.path / "cells" / names.take(cell.name)) for cell in cells]
        except BaseException:
            self._link.close()
            raise
        self._thread = threading.Thread(target=self._run, name="dmlink-recorder", daemon=True)
        self._thread.start()

    @property
    def seconds(self) -> float:
        """How long it has been recording."""
        return (self._ended or time.monotonic()) - self._began

    @property
    def disk_left(self) -> int:
        """Bytes that are free on the disk."""
        return shutil.disk_usage(self.path).free

    @property
    def seconds_left(self) -> float | None:
        """How long the disk lasts at the rate until now; None while that is not known."""
        rate = self.bytes / self.seconds
        return self.disk_left / rate if rate else None

    def stop(self) -> None:
        """End it: the frames that came until now are still written."""
        self._stopped = self._stopped or time.monotonic()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended by itself; False if it goes on after `timeout` seconds."""
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
            for finish_part in (*(cell.finish for cell in self._cells), self._finish):
                try:
                    finish_part()
                except Exception as error:  # noqa: BLE001 - finish the other part too
                    state, reason = "failed", reason or self._why(error)
            self._ended = time.monotonic()
            self.state, self.reason = state, reason

    def _record(self) -> str:
        """Record until there is a reason to end, and return it."""
        left_out = ""
        while True:
            if self._stopped is None and self._max_seconds and self.seconds > self._max_seconds:
                self._stopped = time.monotonic()
            try:
                frame = self._link.next(LOOK_SECONDS)
            except TimeoutError:
                if self._stopped is not None:
                    return left_out
                self._write_results()
                self.reason = self._link.reason
                continue
            self.reason = ""
            if self._stopped is not None:
                passed = time.monotonic() - self._stopped
                if self._link.age(frame) < passed:
                    return left_out  # it came afterwards
                if passed > DRAIN_SECONDS:
                    self.dropped += 1 + frame.dropped
                    left_out = f"Frames were left out that still waited {DRAIN_SECONDS:g} s after the end."
                    continue
            self._write(frame)
            self._write_results()
            if self._max_frames and self.frames >= self._max_frames:
                return ""

    def _write(self, frame: Frame) -> None:
        if self._last and frame.index == self._last.index:
            return  # a still, sent once more
        if self.disk_left < RESERVE + frame.data.nbytes:
            raise ValueError(f"The disk is nearly full ({self.disk_left / 1e6:.0f} MB are free);")
        if self._image is None:
            self._image = self._begin(frame)
        elif self._last and _kind(frame) != _kind(self._last):
            raise ValueError(f"The frames changed from {_kind(self._last)} to {_kind(frame)}; record anew;")
        size = self._image.write(self.frames, frame.data)
        size += self._journal.write(self._line(frame))
        self._last = frame
        self.bytes += size
        self.dropped += frame.dropped
        self.frames += 1  # from here on it is promised

    def _begin(self, frame: Frame) -> ImageWriter:
        self._first_time = frame.time
        about = {
            "recording": 1,
            "source": frame.source,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "cells": [cell.name for cell in self._cells],
        }
        data = frame.data
        return ImageWriter(
            self.path, data.shape, data.dtype, y=frame.y, x=frame.x, name=frame.source, about=about
        )

    def _line(self, frame: Frame) -> dict[str, Any]:
        """Return what is to be told of a frame; what has not changed is not told again."""
        changing = {"roi": frame.roi, "line": frame.line, "y": frame.y, "x": frame.x, "tags": frame.tags}
        line = {"index": frame.index, "time": frame.time, "exposure": frame.tags.get("exposure")}
        line |= {key: value for key, value in changing.items() if self._told.get(key, ()) != value}
        self._told = changing
        return line

    def _write_results(self) -> None:
        for cell in self._cells:
            cell.write()

    def _finish(self) -> None:
        self._journal.close()
        if self._image and self._last:
            self._image.close(self.frames, self._interval())

    def _interval(self) -> float:
        passed = self._last.time - self._first_time if self._last else 0.0
        return passed / (self.frames - 1) if passed > 0 and self.frames > 1 else 1.0

    def _why(self, error: Exception) -> str:
        """Return why it has failed, as a sentence that says what is kept."""
        match error:
            case ConnectionError() | ValueError():
                return f"{error} {self._kept}."
            case OSError():
                return why_not(error, self._kept)
            case _:
                return f"It has failed ({error!r}); {self._kept}."

    @property
    def _kept(self) -> str:
        return f"{self.frames} frames are kept in {self.path}"


def _kind(frame: Frame) -> str:
    """Return what all frames of a recording have in common."""
    return f"{' x '.join(str(n) for n in frame.data.shape)} {frame.data.dtype}"


class _CellResults:
    """What a live cell gives meanwhile, and the program that it is."""

    def __init__(self, cell: LiveCell, folder: Path) -> None:
        self.name = cell.name
        self._folder = folder
        self._folder.mkdir(parents=True)
        (self._folder / "program.py").write_text(cell.source, encoding="utf-8")
        self._results = ResultWriter(self._folder)
        self._journal = Journal(self._folder / "results.jsonl")
        self._came: queue.SimpleQueue[tuple[Frame, Any]] = queue.SimpleQueue()
        self._n = 0
        self._unwatch = _watch(cell, self._came.put)

    def write(self) -> None:
        """Write what has come."""
        while True:
            try:
                frame, result = self._came.get_nowait()
            except queue.Empty:
                return
            self._journal.write(self._results.line(self._n, frame.index, frame.time, result))
            self._n += 1

    def finish(self) -> None:
        """Write what has come, and make tables of it."""
        self._unwatch()
        with contextlib.closing(self._journal):
            self.write()
        self._results.close(self._n, 1.0)
        path = self._folder / "results.jsonl"
        finish(self._folder, lambda: journal_lines(path))


def _watch(cell: LiveCell, take: Callable[[tuple[Frame, Any]], None]) -> Callable[[], None]:
    """Have every new result of a cell taken, from the cell's thread; return how to end that."""
    last: list[Any] = [cell.latest]

    def look() -> None:
        if cell.latest is not last[0] and cell.latest and cell.frame:
            last[0] = cell.latest
            take((cell.frame, cell.latest[1]))

    return cell.watch(look)
