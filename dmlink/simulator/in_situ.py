"""In-situ: records the camera's frames to disk at a separate rate, like Gatan's In-Situ."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np

from dmlink.indm.data_types import dtype_in_dm
from dmlink.indm.info import TAGS
from dmlink.indm.renaming import give_name
from dmlink.simulator.dm.gatan_files import in_situ_tags, tree_place, write_dm4

if TYPE_CHECKING:
    from os import PathLike

LAYOUTS = ("raw", "tree")
HEADERS = ("first", "last")

#: Bytes of every .raw but the last.
PART_BYTES = 2 << 30


class InSitu:
    """A recording that is written frame by frame until its end, or until `close`. A context manager.

    GMS's behaviour is unknown for `header` and `preallocate`, so these can be chosen.

    Parameters
    ----------
    recording : Recording
        The recording that the camera plays.
    folder : path
        Folder of NAME.dm4 and its frames; created if missing.
    fps : float
        Frames per second; `inf` for as many as the disk can take.
    layout : {"raw", "tree"}
        NAME.raw, NAME.raw_1, ..., or Hour_00/Minute_00/Second_00 with a file for each frame.
    header : {"first", "last"}
        Whether NAME.dm4 exists from the start, without a number of frames, and is rewritten at the end; or is
        only written at the end.
    preallocate : bool
        Whether every .raw has its full size from the start, and the last is cut at the end.
    part_bytes : int
        Size of every .raw but the last; frames can span two files.
    loop : bool
        Whether the recording starts again at the end.

    Attributes
    ----------
    written : int
        Frames on disk.
    ended : threading.Event
        Set when everything is written, or the disk is full.
    reason : str
        Why it ended early; empty if it did not.

    Raises
    ------
    FileExistsError
        If the folder already has such a recording.
    """

    def __init__(
        self,
        recording: Any,
        folder: str | PathLike[str],
        fps: float = 100.0,
        *,
        name: str = "insitu",
        layout: str = "raw",
        header: str = "first",
        preallocate: bool = False,
        part_bytes: int = PART_BYTES,
        loop: bool = False,
    ) -> None:
        for what, value, choices in (("layout", layout, LAYOUTS), ("header", header, HEADERS)):
            if value not in choices:
                raise ValueError(f"{what}={value!r}: it must be one of {', '.join(choices)}.")
        if not fps > 0 or part_bytes < 1:
            raise ValueError(f"fps={fps}, part_bytes={part_bytes}: give numbers above zero.")
        self._recording, self._loop = recording, loop
        self._period = max(1 / fps, 1e-6)
        self._folder = Path(folder)
        self._header = self._folder / f"{name}.dm4"
        self._layout, self._preallocate, self._part_bytes = layout, preallocate, part_bytes
        self._axes = [(-a.origin / a.scale, a.scale, a.unit) for a in (recording.y, recording.x)]
        self.written = 0
        self.reason = ""
        self.ended = threading.Event()
        self._closing = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._part: BinaryIO | None = None
        self._part_number = self._room = 0
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._header.exists():
            raise FileExistsError(f"{self._header} exists; choose another folder.")
        if header == "first":
            self._write_header(self._header, 0)
        self._thread = threading.Thread(target=self._run, name="dm-in-situ", daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """Write no more frames until `resume`."""
        self._going.clear()

    def resume(self) -> None:
        """Continue after `pause`."""
        self._going.set()

    def close(self) -> None:
        """End the recording."""
        self._closing.set()
        self._going.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        due = time.monotonic()
        try:
            while self._loop or self.written < len(self._recording):
                self._going.wait()
                if self._closing.wait(max(0.0, due - time.monotonic())):
                    break
                due = max(
                    due + self._period, time.monotonic() - 1.0
                )  # catch up after a late frame, but not after a pause
                pixels = self._pixels(self.written % len(self._recording))
                if self._layout == "raw":
                    self._write_raw(np.ascontiguousarray(pixels).tobytes())
                else:
                    self._write_file(pixels)
                self.written += 1
        except OSError as error:
            self.reason = f"{error.strerror}: {self.written} frames are written."
        finally:
            try:
                self._end()
            finally:
                self.ended.set()

    def _pixels(self, i: int) -> np.ndarray:
        """Return the pixels of a frame in a type that DigitalMicrograph has."""
        return np.asarray(self._recording[i].data, dtype_in_dm(self._recording.dtype))

    def _end(self) -> None:
        """Cut preallocated files to size, and write the header with the number of frames."""
        try:
            if self._part:
                self._part.truncate(self._part.tell())
                self._part.close()
            new = self._header.with_suffix(".new")
            self._write_header(new, self.written)
            give_name(new, self._header, overwrite=True)
        except OSError as error:
            self.reason = f"{error.strerror}: {self.written} frames are written."

    def _write_header(self, path: Path, n: int) -> None:
        write_dm4(path, self._pixels(0), axes=self._axes, tags=self._tags(n))

    def _write_raw(self, data: bytes) -> None:
        while data:
            if not self._room:
                self._next_part()
            assert self._part  # noqa: S101 - just opened
            done = self._part.write(data[: self._room])
            self._room -= done
            data = data[done:]

    def _next_part(self) -> None:
        if self._part:
            self._part.close()
        suffix = f".raw_{self._part_number}" if self._part_number else ".raw"
        self._part = self._header.with_suffix(suffix).open("xb", buffering=0)
        self._part_number += 1
        self._room = self._part_bytes
        if self._preallocate:
            self._part.truncate(self._part_bytes)

    def _write_file(self, pixels: np.ndarray) -> None:
        path = tree_place(self._header, self.written, self._period)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_dm4(path, pixels, axes=self._axes, tags=self._tags(0))

    def _tags(self, n: int) -> dict[str, Any]:
        known = getattr(self._recording, "tags", None) or {}
        of_microscope = {TAGS[name]: value for name, value in known.items() if name in TAGS}
        return {**of_microscope, **in_situ_tags(n, self._period)}
