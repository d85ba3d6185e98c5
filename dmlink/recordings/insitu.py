"""Gatan in-situ data: a .dm4 beside .raw, .raw_1, ..., and trees of Hour_, Minute_ and Second_ folders."""

from __future__ import annotations

import glob
import re
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.recordings.dm_file import DmImage, images
from dmlink.recordings.image_folder import in_natural_order
from dmlink.recordings.mapped import MappedFile
from dmlink.recordings.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item

#: .raw, .raw_1, .raw_2, ...
RAW = re.compile(r"\.raw(?:_(\d+))?", re.IGNORECASE)

#: What DM calls the folders of a tree, and how many seconds one of them lasts.
PERIODS = {"hour": 3600, "minute": 60, "second": 1}
PERIOD = re.compile(r"(hour|minute|second)_(\d+)", re.IGNORECASE)

#: How much of a file before its pixels must be the same in all frames of a tree to be read at the same
#: place: the tag's name, its type and its length.
PREAMBLE = 64


class InSituRaw(Recording):
    """One picture in the header NAME.dm4, and all frames behind each other in NAME.raw, NAME.raw_1, ...

    Frames may begin in one file and end in the next. A recording that was broken off has the frames that
    are complete; `expected` says how many the header announces.
    """

    def __init__(self, header: Path) -> None:
        image = images(header)[0]
        self._parts = [MappedFile(part) for part in _parts(header)]
        self._touched = self._parts[0]
        self._starts = list(accumulate((part.size for part in self._parts), initial=0))
        self._layout = image.shape[-2:], image.dtype
        if len(image.shape) < 2:
            raise ValueError(
                f"{header} describes frames of shape {image.shape}; in-situ frames are pictures."
            )
        h, w = image.shape[-2:]
        self._bytes = h * w * image.dtype.itemsize
        whole = self._starts[-1] // self._bytes
        expected = _recorded(image.tags)
        n = min(whole, expected) if expected else whole
        if n < 1:
            raise ValueError(
                f"{self._parts[0].path} is cut short: {self._starts[-1]} bytes hold no frame of {h} x {w} "
                f"{image.dtype.name}; copy it again."
            )
        super().__init__(
            header,
            (n, h, w),
            image.dtype,
            y=image.axes[-2],
            x=image.axes[-1],
            fps=rate(image.tags),
            tags=image.tags,
            expected=expected,
        )

    def files(self) -> Iterator[Path]:
        """Yield the header, and .raw, .raw_1, ..."""
        yield self.path
        yield from (part.path for part in self._parts)

    def _read(self, i: int) -> np.ndarray:
        start = i * self._bytes
        stop = start + self._bytes
        first = bisect_right(self._starts, start) - 1
        file, offset = self._parts[first], start - self._starts[first]
        file.check()
        self._touched.release()
        self._touched = file
        if stop <= self._starts[first + 1]:
            return file.array(*self._layout, offset)
        pieces = [file.bytes[offset:]]
        for part, begins in zip(self._parts[first + 1 :], self._starts[first + 1 :], strict=False):
            if begins >= stop:
                break
            part.check()
            pieces.append(part.bytes[: stop - begins])
        return np.frombuffer(b"".join(pieces), self._layout[1]).reshape(self._layout[0])

    def _close(self) -> None:
        self._parts = []  # unmapped as soon as no frame uses them


class InSituTree(Recording):
    """One .dm4 (or .dm3) file for every frame, in a folder or in a tree of Hour_00/Minute_00/Second_00.

    A .dm4 beside Hour_00 is the recording's header: its tags are the recording's.
    """

    def __init__(self, folder: Path, header: Path | None) -> None:
        self._files = [f"{place}{name}" for place, name in _dm_files(folder, "", header)]
        if not self._files:
            raise ValueError(f"{folder} holds no frames as .dm4 files; choose the folder above Hour_00.")
        self._folder, self._header = folder, header
        first = self._image(0)
        if len(first.shape) != 2:
            raise ValueError(
                f"{first.file.path} has the shape {first.shape}; in a folder, every file is one picture."
            )
        self._first = first.shape, first.dtype, first.data.offset
        start = first.data.offset
        self._preamble = first.file.bytes[max(0, start - PREAMBLE) : start]
        tags = images(header)[0].tags if header else first.tags
        h, w = first.shape
        times = _times(self._files)
        super().__init__(
            header or folder,
            (len(self._files), h, w),
            first.dtype,
            name=header.stem if header else folder.resolve().name,
            y=first.axes[0],
            x=first.axes[1],
            fps=rate(tags),
            times=times,
            tags=tags,
            expected=_recorded(tags),
        )

    def files(self) -> Iterator[Path]:
        """Yield the header if there is one, and the file of each frame."""
        if self._header:
            yield self._header
        yield from (self._folder / name for name in self._files)

    def _image(self, i: int) -> DmImage:
        return images(self._folder / self._files[i])[0]

    def _read(self, i: int) -> np.ndarray:
        shape, dtype, start = self._first
        file = MappedFile(self._folder / self._files[i])
        # Frames of one recording have the same tags; only a frame that differs is looked through.
        if file.bytes[max(0, start - PREAMBLE) : start] == self._preamble:
            return file.array(shape, dtype, start)
        image = self._image(i)
        if image.shape != shape or image.dtype != dtype:
            raise ValueError(
                f"{file.path} is {image.shape} {image.dtype}, but {self._files[0]} is {shape} {dtype}; "
                "keep frames of one size and type in a folder."
            )
        return image.array()


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> Recording:
    """Return the in-situ recording that a header, a .raw file or a folder belongs to."""
    if axis is not None or item is not None:
        raise ValueError(
            f"{path} is one in-situ recording with the frames in order; leave axis and item out."
        )
    if not path.is_dir():
        header = header_of(path)
        if header is None:
            raise ValueError(f"{path} has no .dm4 beside it, which tells its shape; copy it, too.")
        return InSituTree(path.parent, header) if has_tree(header) else InSituRaw(header)
    headers = [file for file in path.iterdir() if file.suffix.lower() == ".dm4"]
    if len(headers) == 1 and (has_raw(headers[0]) or has_tree(headers[0])):
        return read(headers[0])
    return InSituTree(path, None)


def header_of(path: Path) -> Path | None:
    """Return the .dm4 that a file of an in-situ recording belongs to."""
    if path.suffix.lower() == ".dm4":
        return path
    stem = path.with_suffix("")
    return next((h for h in (stem.with_suffix(".dm4"), stem.with_suffix(".DM4")) if h.exists()), None)


def has_raw(header: Path) -> bool:
    """Whether the frames of a .dm4 are in a .raw beside it."""
    return header.with_suffix(".raw").exists()


def has_tree(header: Path) -> bool:
    """Whether the frames of a .dm4 are in a tree of folders beside it: it says so, and Hour_00 is there."""
    return (header.parent / "Hour_00").is_dir() and bool(_recorded(images(header)[0].tags))


def rate(tags: dict[str, Any]) -> float | None:
    """Return frames per second: in-situ cameras read out while they expose, so one over the exposure."""
    exposure = tags.get("exposure", 0)
    return 1 / exposure if exposure > 0 else None


def _recorded(tags: dict[str, Any]) -> int:
    """Return how many frames the tags announce; 0 where they do not say."""
    insitu = tags.get("In-situ", {})
    recorded = insitu.get("Recorded", {}) if isinstance(insitu, dict) else {}
    n = recorded.get("# Frames", 0) if isinstance(recorded, dict) else 0
    return int(n) if isinstance(n, int | float) and n > 0 else 0


def _parts(header: Path) -> list[Path]:
    """Return .raw, .raw_1, ... of a header; a ValueError if one between them is missing."""
    numbered = {}
    for file in header.parent.glob(f"{glob.escape(header.stem)}.*"):
        if file.stem == header.stem and (match := RAW.fullmatch(file.suffix)):
            numbered[int(match[1] or 0)] = file
    missing = next((i for i in range(max(numbered, default=0) + 1) if i not in numbered), None)
    if missing is not None:
        part = header.with_suffix(f".raw_{missing}" if missing else ".raw")
        raise ValueError(f"{part} is missing, with the frames after it; copy it beside {header.name}.")
    return [numbered[i] for i in range(len(numbered))]


def _dm_files(folder: Path, below: str, header: Path | None) -> Iterator[tuple[str, str]]:
    """Yield every .dm4 and .dm3 in a tree as (folders, name), without looking at the files themselves."""
    names = [entry.name for entry in folder.iterdir()]
    for name in in_natural_order([n for n in names if PERIOD.fullmatch(n)]):
        yield from _dm_files(folder / name, f"{below}{name}/", None)
    if header is None:
        frames = [n for n in names if n.lower().endswith((".dm4", ".dm3")) and not n.startswith(".")]
        yield from ((below, name) for name in in_natural_order(frames))


def _times(files: list[str]) -> np.ndarray | None:
    """Return when each frame of a tree was taken, from its folders, in seconds; None outside of a tree."""
    folders = [file.rpartition("/")[0] for file in files]
    if not folders[0]:
        return None
    seconds = {f: sum(PERIODS[p.lower()] * int(n) for p, n in PERIOD.findall(f)) for f in set(folders)}
    counts = dict.fromkeys(seconds, 0)
    within = []
    for folder in folders:
        within.append(counts[folder])
        counts[folder] += 1
    # A second that was not recorded from its beginning, or to its end, has fewer frames than the others.
    most = max(counts.values())
    return np.array([seconds[folder] + k / most for folder, k in zip(folders, within, strict=True)])
