"""Recordings: read back as soon as they have ended, and then removed."""

from __future__ import annotations

import itertools
import json
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import dmlink
from dmlink.recordings.writing.ome_zarr_writer import JOURNAL, journal_lines

from .microscope import Source

EACH = 5  # one in so many frames is compared with what the camera wrote


class Reading(NamedTuple):
    """What was found in one recording.

    Frames: `promised` as written by the recorder, `found` on reading; `dropped` as counted by the recorder,
    `missing` from the frames' numbers. `foreign` are rows that the camera never wrote.
    """

    name: str
    promised: int
    found: int
    dropped: int
    missing: int
    foreign: int
    fault: str = ""

    @property
    def whole(self) -> bool:
        """Whether it contains what was promised."""
        return not self.fault and self.found >= self.promised and not self.foreign


class Recordings:
    """Follows a notebook's recorder; a thread reads the finished recordings.

    Parameters
    ----------
    folder : Path
        Where they are written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._n = 0
        self._known: set[str] = set()
        self._now: dict[str, Any] | None = None
        self._source = Source()
        self._reader = ThreadPoolExecutor(1, "soak-reader")
        self._readings: list[Future[Reading]] = []

    def next_path(self) -> Path:
        """Return the path for the next one."""
        self._n += 1
        return self._folder / f"recording-{self._n}.ome.zarr"

    def follow(self, recorder: dict[str, Any] | None) -> None:
        """Process the recorder's report; a recording that has ended, or whose kernel is gone, is read."""
        before = self._now
        over = recorder is None or (before and before["path"] != recorder["path"])
        if before and over:
            self.read(before)
        self._now = recorder
        if recorder and recorder["state"] != "recording":
            self.read(recorder)
            self._now = None

    def read(self, recorder: dict[str, Any]) -> None:
        """Read a finished recording, once."""
        path = Path(recorder["path"])
        if path.name in self._known:
            return
        self._known.add(path.name)
        self._readings.append(self._reader.submit(self._read, path, recorder["frames"], recorder["dropped"]))

    @property
    def all_read(self) -> bool:
        """Whether nothing is being read."""
        return all(reading.done() for reading in self._readings)

    def readings(self) -> list[Reading]:
        """Return all findings, waiting for recordings still being read."""
        return [reading.result() for reading in self._readings]

    def close(self) -> None:
        """End the thread."""
        self._reader.shutdown(cancel_futures=True)

    def _read(self, path: Path, promised: int, dropped: int) -> Reading:
        found = missing = foreign = 0
        fault = ""
        try:
            with dmlink.open(path) as recording:
                for i in range(len(recording)):
                    frame = recording[i]
                    if i % EACH == 0:
                        foreign += self._foreign_rows(frame)
                    found += 1
            numbers = [line["index"] for line in journal_lines(path / JOURNAL)][:found]
            missing = sum(max(0, b - a - 1) for a, b in itertools.pairwise(numbers))
        except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
            fault = "" if not promised and not found else f"{type(error).__name__}: {error}"
        shutil.rmtree(path, ignore_errors=True)
        return Reading(path.name, promised, found, dropped, missing, foreign, fault)

    def _foreign_rows(self, frame: dmlink.Frame) -> int:
        """Count rows that are in none of the camera's frames.

        DigitalMicrograph may write a frame while the previous one is being copied: two can meet within a row.
        """
        if frame.tags.get("binning", 1) != 1:
            return 0
        top, left, bottom, right = frame.roi or (0, 0, *frame.data.shape)
        same = self._source.stack[:, top:bottom, left:right] == frame.data
        odd = np.flatnonzero(~same.all(axis=2).any(axis=0))
        return sum(_length(same[:, i]) + _length(same[:, i, ::-1]) < same.shape[2] for i in odd)


def _length(same: np.ndarray) -> int:
    """Return how many pixels, from the left, come from one frame; `same` is (frames, w)."""
    return int(np.where(same.all(axis=1), same.shape[1], (~same).argmax(axis=1)).max())
