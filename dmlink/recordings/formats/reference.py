"""Reference: the frames in a time range of another recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.recordings.recording import Part, Recording, recalibrate
from dmlink.recordings.writing.ome_zarr_writer import journal_lines
from dmlink.recordings.writing.reference_writer import REFERENCE

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item


class Reference(Part):
    """Some frames of a recording that it opened and closes itself."""

    def _close(self) -> None:
        self._whole.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self._whole, self._which, self._calibration)


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> Reference:
    """Return the frames that a reference points to; they are read from the recording itself.

    Each line of its file can override the ones before: "recording", a list of paths (relative to the
    reference, and absolute), and the time range from "begin" to "end" (s).

    Raises
    ------
    FileNotFoundError
        If the recording is missing.
    ValueError
        If the reference is damaged, or the recording has no frame in that time range.
    """
    from dmlink.recordings import open as opened  # noqa: PLC0415 - it imports us

    fields: dict[str, Any] = {}
    for line in journal_lines(path / REFERENCE):
        fields |= line
    try:
        places = [path / name for name in fields["recording"]]  # absolute names stay absolute
        begin, end = float(fields["begin"]), float(fields["end"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a complete reference ({error!r}); copy it again.") from error
    there = [place for place in places if place.exists()]
    if not there:
        raise FileNotFoundError(f"{path} refers to {places[-1]}, which is missing; put that recording back.")
    whole = opened(there[0], axis=axis, item=item)
    which = np.flatnonzero((whole.times >= begin) & (whole.times <= end))
    if not which.size:
        whole.close()
        raise ValueError(f"{there[0]} has no frame in the time range that {path} refers to.")
    return Reference(whole, range(int(which[0]), int(which[-1]) + 1))


def _again(whole: Recording, which: range, calibration: dict[str, Any]) -> Reference:
    part = Reference(whole, which)
    recalibrate(part, calibration)
    return part
