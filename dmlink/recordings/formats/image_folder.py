"""Image folder: files of one format; each is a frame, or a stack as long as the first."""

from __future__ import annotations

import importlib
import os
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dmlink.recordings.formats.marks import START, by_content
from dmlink.recordings.formats.natural_order import in_natural_order
from dmlink.recordings.recording import Recording
from dmlink.recordings.refusal import letting_go_if_refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np

    from dmlink.frame import Frame
    from dmlink.recordings import Dimensions, Item

#: Suffixes of files that can be frames, and who reads them if their content does not tell. If a folder has as
#: many files of two formats, the one listed first is read.
FORMATS = {
    ".jpg": "picture", ".jpeg": "picture", ".png": "picture", ".tif": "tiff", ".tiff": "tiff",
    ".bmp": "picture", ".dm4": "dm", ".dm3": "dm", ".mrc": "mrc", ".npy": "npy", ".ser": "ser",
    ".mib": "mib", ".hspy": "hdf5", ".emd": "hdf5", ".h5": "hdf5", ".hdf5": "hdf5",
}  # fmt: skip
SUFFIXES = tuple(FORMATS)

#: Suffixes of the same format.
SAME = {".tiff": ".tif", ".jpeg": ".jpg", ".hdf5": ".h5"}

#: How many names of skipped files to show.
SHOWN = 3


class ImageFolder(Recording):
    """The files of the most frequent format in a folder, in natural order: 9 before 10, -2 before -1.

    Each file is read as if it were opened alone, with the same frames, calibration and data type. Files of
    other formats are left out and listed in `notes`.

    `names` are the files, if already known; the one at `first_at` determines the shape and type of all.
    """

    def __init__(
        self,
        path: Path,
        *,
        axis: Dimensions = None,
        item: Item = None,
        names: Sequence[str] | None = None,
        first_at: int = 0,
    ) -> None:
        # Names, not paths: a folder may hold a million.
        self._folder = path
        known = names is not None
        names, left_out = (list(names), []) if names is not None else _files(path)
        if not names:
            raise ValueError(
                f"{path} has no images ({', '.join(SUFFIXES)}); choose the folder that the frames are in."
            )
        self._names = names
        self._member_options = {"axis": axis, "item": item}
        self._here = threading.local()  # each thread opens its own file, so that they can read in parallel
        first = self._open(first_at)
        self._each = len(first)
        stacks = len(names) > 1 and self._each > 1 and not known
        counts = [self._count(i) for i in range(1, len(names))] if stacks else []
        other = next((i for i, n in enumerate(counts, 1) if n != self._each), None)
        if other is not None:
            raise ValueError(
                f"{path / names[other]} has {counts[other - 1]} frames, but {names[0]} has {self._each}; "
                "open them as a list, or use a folder per length."
            )
        notes = [*first.notes]
        if left_out:
            shown = ", ".join(left_out[:SHOWN]) + (", ..." if len(left_out) > SHOWN else "")
            files = "file is" if len(left_out) == 1 else "files are"
            kind = os.path.splitext(names[0])[1]  # noqa: PTH122 - a name, not a path
            notes.append(f"{len(left_out)} {files} left out (not {kind}): {shown}.")
        super().__init__(
            path,
            (len(names) * self._each, *first.shape[1:]),
            first.dtype,
            name=path.resolve().name,
            y=first.y,
            x=first.x,
            fps=first.fps if self._each > 1 else None,
            tags=first.tags if len(names) == 1 else {},
            items=first.items,
            notes=notes,
        )
        self._here.opened = first_at, first

    def files(self) -> Iterator[Path]:
        """Yield the file of each frame."""
        yield from (self._folder / name for name in self._names)

    def _count(self, i: int) -> int:
        with self._open(i) as member:
            return len(member)

    def _open(self, i: int) -> Recording:
        path = self._folder / self._names[i]
        with path.open("rb") as file:  # by its content, like a single file
            family = by_content(file.read(START)) or FORMATS[path.suffix.lower()]
        reader: Any = importlib.import_module(f"dmlink.recordings.formats.{family}")
        with letting_go_if_refused():
            recording: Recording = reader.read(path, **self._member_options)
        return recording

    def _opened_here(self) -> tuple[int, Recording | None]:
        opened: tuple[int, Recording | None] = getattr(self._here, "opened", (-1, None))
        return opened

    def _member(self, i: int) -> Recording:
        at, recording = self._opened_here()
        if at == i and recording is not None:
            return recording
        opened = self._open(i)
        if opened.shape != (self._each, *self.shape[1:]) or opened.dtype != self.dtype:
            n, h, w = opened.shape
            frames = f"{n} frames of " if n != self._each else ""
            opened.close()
            raise ValueError(
                f"{opened.path} is {frames}{(h, w)} {opened.dtype}, but {self._names[0]} is "
                f"{self.shape[1:]} {self.dtype}; use a folder per image size and type."
            )
        if recording is not None:
            recording.close()
        self._here.opened = i, opened
        return opened

    def _read(self, i: int) -> np.ndarray:
        data = self._member(i // self._each)[i % self._each].data
        return data.copy() if self._each == 1 else data  # a mapped frame would keep its file open

    def _frame(self, data: np.ndarray, i: int) -> Frame:
        member = self._member(i // self._each)
        frame = super()._frame(data, i)
        y, x = self._calibrated(member.y), self._calibrated(member.x)
        return replace(frame, y=y, x=x, tags={**frame.tags, **member[i % self._each].tags})

    def _close(self) -> None:
        _, recording = self._opened_here()
        if recording is not None:
            recording.close()


read = ImageFolder


def _files(folder: Path) -> tuple[list[str], list[str]]:
    """Return the names of the files to read, in order, and of those to leave out."""
    # os.listdir: a Path for each of a million names takes seconds
    names = [name for name in os.listdir(folder) if not name.startswith(".")]  # noqa: PTH208
    kinds = {name: kind_of(name) for name in names}
    counts = Counter(kind for kind in kinds.values() if kind)
    if not counts:
        return [], []
    kept = max(counts, key=lambda kind: (counts[kind], -SUFFIXES.index(kind)))
    left_out = sorted(name for name, kind in kinds.items() if kind not in ("", kept))
    return in_natural_order([name for name in names if kinds[name] == kept]), left_out


def kind_of(name: str) -> str:
    """Return the suffix of a file's format; empty if it cannot be frames."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a name, not a path
    return SAME.get(suffix, suffix) if suffix in SUFFIXES else ""
