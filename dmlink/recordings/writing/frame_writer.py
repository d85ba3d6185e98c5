"""Frame writer: an OME-Zarr recording that grows frame by frame and can be read at any moment."""

from __future__ import annotations

import errno
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmlink.recordings.writing.ome_zarr_writer import JOURNAL, ImageWriter, Journal, make_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from dmlink.frame import Frame

RESERVE = 4 << 20  # bytes kept free on the disk, to finish the recording properly
SUFFIX = ".ome.zarr"

_writing: set[Path] = set()  # the recordings that this process is writing


def check_disk(folder: Path, frame: Frame) -> None:
    """Raise ValueError if there is no room in the folder for the frame."""
    free = shutil.disk_usage(folder).free
    if free < RESERVE + frame.data.nbytes:
        raise ValueError(f"The disk is nearly full ({free / 1e6:.0f} MB are free);")


class FrameWriter:
    """Writes frames of one shape and data type, and counts each once it is on disk.

    First the whole frame is written, then a line with its number, time, exposure, ROI and tags; only then is
    it counted in `frames`. Whatever happens afterwards, even to this process, `dmlink.open(path)` has it.
    OME-Zarr's time axis has the mean interval; the line has the frame's own time.

    Parameters
    ----------
    path : str or PathLike
        `.ome.zarr` is appended to a name that does not end in `.zarr`.
    overwrite : bool
        Whether to delete an existing dmlink recording at `path`.
    cells : sequence of str
        Names of the live cells whose results are stored with the frames.

    Attributes
    ----------
    path : pathlib.Path
        The OME-Zarr folder.
    frames : int
        Frames on disk.
    bytes : int
        Their size on disk.

    Raises
    ------
    FileExistsError
        If there is something at `path`, unless it is a dmlink recording and `overwrite` is set.
    OSError
        If nothing can be written there.
    """

    def __init__(
        self, path: str | PathLike[str], *, overwrite: bool = False, cells: Sequence[str] = ()
    ) -> None:
        path = Path(path).expanduser()
        self.path = path if path.suffix == ".zarr" else path.with_name(path.name + SUFFIX)
        self.frames = self.bytes = 0
        self._cells = list(cells)
        self._image: ImageWriter | None = None
        self._last: Frame | None = None
        self._times: tuple[float, float] | None = None
        self._current: dict[str, Any] = {}  # values that stay the same until a line changes them
        self._place = self.path.resolve()
        if self._place in _writing:
            advice = "It is still being recorded; stop that recording first, or choose another name"
            raise FileExistsError(errno.EEXIST, advice, str(self.path))
        make_folder(self.path, overwrite=overwrite)
        self._journal = Journal(self.path / JOURNAL)
        _writing.add(self._place)

    @property
    def times(self) -> tuple[float, float] | None:
        """When the first and the last frame on disk were taken, in seconds; None before the first."""
        return self._times

    @property
    def disk_left(self) -> int:
        """Free bytes on the disk."""
        return shutil.disk_usage(self.path).free

    def write(self, frame: Frame) -> bool:
        """Write a frame; return False for a still image sent again, which is not written.

        Raises
        ------
        ValueError
            If the disk is nearly full, or the frame's shape or data type differs from the previous ones'.
        OSError
            If it cannot be written.
        """
        if self._last and frame.index == self._last.index:
            return False
        check_disk(self.path, frame)
        if self._image is None:
            self._image = self._begin(frame)
        elif self._last and kind(frame) != kind(self._last):
            raise ValueError(
                f"The frames changed from {kind(self._last)} to {kind(frame)}; start a new recording;"
            )
        size = self._image.write(self.frames, frame.data)
        size += self._journal.write(self._line(frame))
        self._last = frame
        self._times = (self._times[0] if self._times else frame.time), frame.time
        self.bytes += size
        self.frames += 1  # from here on, it must never be lost
        return True

    def close(self) -> None:
        """Finish the recording."""
        _writing.discard(self._place)
        self._journal.close()
        if self._image and self._last:
            self._image.close(self.frames, interval=self._interval())

    def _begin(self, frame: Frame) -> ImageWriter:
        about = {
            "recording": 1,
            "source": frame.source,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "cells": self._cells,
        }
        data = frame.data
        return ImageWriter(
            self.path, data.shape, data.dtype, y=frame.y, x=frame.x, name=frame.source, about=about
        )

    def _line(self, frame: Frame) -> dict[str, Any]:
        """Return a frame's line, without values that have not changed."""
        changing = {
            "roi": frame.roi,
            "outline": frame.roi.outline if frame.roi else None,
            "line": frame.line,
            "rois": frame.rois,
            "outlines": {name: roi.outline for name, roi in frame.rois.items() if roi.outline},
            "y": frame.y,
            "x": frame.x,
            "tags": frame.tags,
            "log": frame.log,
            "value_unit": frame.value_unit,
        }
        line = {"index": frame.index, "time": frame.time, "exposure": frame.tags.get("exposure")}
        line |= {key: value for key, value in changing.items() if self._current.get(key, ()) != value}
        self._current = changing
        return line

    def _interval(self) -> float:
        first, last = self._times or (0.0, 0.0)
        passed = last - first
        return passed / (self.frames - 1) if passed > 0 and self.frames > 1 else 1.0


def kind(frame: Frame) -> str:
    """Return shape and data type, which all frames of a recording share."""
    return f"{' x '.join(str(n) for n in frame.data.shape)} {frame.data.dtype}"
