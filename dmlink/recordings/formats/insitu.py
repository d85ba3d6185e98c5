"""Gatan in-situ data: a .dm4 with .raw, .raw_1, ..., and trees of Hour_, Minute_ and Second_ folders."""

from __future__ import annotations

import glob
import importlib
import re
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.indm.recorded import PERIOD, tree_times
from dmlink.recordings.formats.dm import COLOURS, PACKED, PACKED_OLD, DmImage, images
from dmlink.recordings.formats.natural_order import in_natural_order
from dmlink.recordings.mapped import MappedFile
from dmlink.recordings.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item

#: .raw, .raw_1, .raw_2, ...
RAW = re.compile(r"\.raw(?:_(\d+))?", re.IGNORECASE)

#: Bytes before the pixels (the tag's name, type and length): if they are the same as in a tree's first file,
#: the pixels are at the same offset.
PREAMBLE = 64


class InSituRaw(Recording):
    """One image in the header NAME.dm4, and all frames one after another in NAME.raw, NAME.raw_1, ...

    A frame may start in one file and end in the next. An interrupted recording has its complete frames;
    `expected` is the number in the header.
    """

    def __init__(self, header: Path) -> None:
        image = images(header)[0]
        self._parts = [MappedFile(part) for part in _parts(header)]
        self._touched = self._parts[0]
        self._starts = list(accumulate((part.size for part in self._parts), initial=0))
        self._layout = image.shape[-2:], image.dtype
        if len(image.shape) < 2:
            raise ValueError(f"{header} has frames of shape {image.shape}; in-situ frames must be images.")
        h, w = image.shape[-2:]
        self._bytes = h * w * image.dtype.itemsize
        whole = self._starts[-1] // self._bytes
        expected = announced(image.tags)
        n = min(whole, expected) if expected else whole
        if n < 1:
            raise ValueError(
                f"{self._parts[0].path} is cut short: {self._starts[-1]} bytes are less than a frame of "
                f"{h} x {w} {image.dtype.name}; copy it again."
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
        del self._touched


class InSituTree(Recording):
    """One .dm4 (or .dm3) file for every frame, in a folder or in a tree of Hour_00/Minute_00/Second_00.

    A .dm4 next to Hour_00 is the recording's header and provides its tags.

    `names`, with / between folders, are the files, if already known; the one at `first_at` determines the
    shape and type of all.
    """

    def __init__(
        self, folder: Path, header: Path | None, names: Sequence[str] | None = None, first_at: int = 0
    ) -> None:
        found = [f"{p}{name}" for p, name in _dm_files(folder, "")] if names is None else names
        self._files = list(found)
        if not self._files:
            raise ValueError(f"{folder} has no .dm4 frames; choose the folder that contains Hour_00.")
        self._folder, self._header = folder, header
        first = self._image(first_at)
        if len(first.shape) != 2:
            raise ValueError(
                f"{first.file.path} has shape {first.shape}; in such a folder, every file must be one image."
            )
        self._plain = first.kind not in (*COLOURS, *PACKED, PACKED_OLD)  # pixels that need no conversion
        self._first = first.shape, first.dtype, first.data.offset
        start = first.data.offset
        self._preamble = first.file.bytes[max(0, start - PREAMBLE) : start]
        tags = images(header)[0].tags if header else first.tags
        h, w = first.shape
        times = _times(self._files, rate(tags))
        super().__init__(
            header or folder,
            (len(self._files), h, w),
            first.open().dtype,
            name=header.stem if header else folder.resolve().name,
            y=first.axes[0],
            x=first.axes[1],
            fps=rate(tags),
            times=times,
            tags=tags,
            expected=announced(tags),
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
        # Frames of one recording have the same tags; only the tags of one that differs are read.
        if self._plain and file.bytes[max(0, start - PREAMBLE) : start] == self._preamble:
            return file.array(shape, dtype, start).copy()  # a mapped frame would keep its file open
        image = self._image(i)
        if image.shape != shape or image.dtype != dtype:
            raise ValueError(
                f"{file.path} is {image.shape} {image.dtype}, but {self._files[0]} is {shape} {dtype}; "
                "use a folder per frame size and type."
            )
        return np.array(image.open()[0].data)


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> Recording:
    """Return the in-situ recording that a header, a .raw file or a folder belongs to."""
    if axis is not None or item is not None:
        raise ValueError(
            f"{path} is an in-situ recording, whose frames are in order; leave axis and item out."
        )
    if not path.is_dir():
        header = header_of(path)
        if header is None:
            return _by_another_header(path)
        return InSituTree(path.parent, header) if has_tree(header) else InSituRaw(header)
    headers = sorted(file for file in path.iterdir() if file.suffix.lower() == ".dm4")
    headers = [file for file in headers if has_raw(file) or has_tree(file)]
    if len(headers) > 1:
        raise ValueError(
            f"{path} holds several recordings, {headers[0].name} and {headers[1].name} among them; open the "
            ".dm4 of one."
        )
    return read(headers[0]) if headers else InSituTree(path, None)


def _by_another_header(path: Path) -> Recording:
    """Return the recording of a .raw that has another header than DigitalMicrograph's: EMPAD or Ripple."""
    for header in (path.with_suffix(".rpl"), *sorted(path.parent.glob("*.xml"))):
        if header.is_file() and (header.suffix == ".rpl" or path.name.encode() in header.read_bytes()):
            module: Any = importlib.import_module("dmlink.recordings.formats.rosettasciio")
            recording: Recording = module.read(header)
            return recording
    raise ValueError(
        f"{path} has no header: a .dm4 (or EMPAD's .xml, or Ripple's .rpl) next to it with its shape; copy "
        "that file, too."
    )


def header_of(path: Path) -> Path | None:
    """Return the .dm4 that a file of an in-situ recording belongs to."""
    if path.suffix.lower() == ".dm4":
        return path
    return next((h for h in (path.with_suffix(".dm4"), path.with_suffix(".DM4")) if h.exists()), None)


def has_raw(header: Path) -> bool:
    """Whether the frames of a .dm4 are in a .raw next to it."""
    return header.with_suffix(".raw").exists()


def has_tree(header: Path) -> bool:
    """Whether a .dm4's frames are in a tree of folders next to it: it is in-situ data and Hour_00 exists."""
    return (header.parent / "Hour_00").is_dir() and "In-situ" in images(header)[0].tags


def rate(tags: dict[str, Any]) -> float | None:
    """Return frames per second, 1 / exposure, because in-situ cameras read out while they expose."""
    exposure = tags.get("exposure", 0)
    return 1 / exposure if exposure > 0 else None


def announced(tags: dict[str, Any]) -> int:
    """Return the number of frames according to the tags; 0 if unknown."""
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
        raise ValueError(f"{part} is missing, so later frames cannot be read; copy it next to {header.name}.")
    parts = [numbered[i] for i in range(len(numbered))]
    while len(parts) > 1 and not parts[-1].stat().st_size:  # created just before the recording ended
        parts.pop()
    return parts


def _dm_files(folder: Path, below: str) -> Iterator[tuple[str, str]]:
    """Yield the .dm4 and .dm3 of a tree, not those next to it, as (folders, name), without opening them."""
    names = [entry.name for entry in folder.iterdir()]
    periods = [name for name in names if PERIOD.fullmatch(name)]
    for name in in_natural_order(periods):
        yield from _dm_files(folder / name, f"{below}{name}/")
    if below or not periods:
        frames = [n for n in names if n.lower().endswith((".dm4", ".dm3")) and not n.startswith(".")]
        yield from ((below, name) for name in in_natural_order(frames))


def _times(files: list[str], rate: float | None) -> np.ndarray | None:
    """Return when each frame of a tree was taken, from its folders, in seconds; None outside of a tree.

    `rate` is from the exposure; the camera may sum frames, so the folders' whole seconds are more reliable.
    """
    folders = [file.rpartition("/")[0] for file in files]
    return tree_times(folders, rate) if folders[0] else None
