"""OME-Zarr: multiscale images of version 0.4 and 0.5, full size; and plain Zarr arrays."""

from __future__ import annotations

import itertools
import os
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numcodecs.blosc import Blosc
from zarr.codecs import BloscCodec

from dmlink.frame import Axis, Frame, Line, Roi
from dmlink.recordings.array_stack import ArrayStack, choose
from dmlink.recordings.writing import JOURNAL, journal_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item

#: OME-Zarr's words for units (UDUNITS-2), and what we write.
UNITS = {"angstrom": "\u00c5", "picometer": "pm", "nanometer": "nm", "micrometer": "\u00b5m"}
UNITS |= {"millimeter": "mm", "meter": "m", "second": "s", "millisecond": "ms", "microsecond": "\u00b5s"}

#: The bytes that a packed chunk has, in its first sixteen (Blosc's README_CHUNK_FORMAT).
BLOSC_HEAD = struct.Struct("<12xI")


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> ArrayStack:
    """Return the full-size image of an OME-Zarr group (the first multiscale, or `item`)."""
    try:
        node: Any = zarr.open(path, mode="r")
        if isinstance(node, zarr.Array):
            return _stack(path, node, axis=axis)
        told: Any = node.attrs.asdict()
        ome = told.get("ome", told)
        several = [s for s in ome.get("multiscales", []) if s.get("datasets")]
        if not several:
            return _first_array(path, node, axis, item)
        names = [str(s.get("name", "")) for s in several]
        image = choose(path, several, names, item)
        array = node[image["datasets"][0]["path"]]
        dimensions = [a if isinstance(a, dict) else {"name": a} for a in image.get("axes", [])]
        axes = _axes(image, dimensions, array.ndim)
        tags = told.get("dmlink")
        tags = tags if isinstance(tags, dict) else {}
        if "y" in tags and "x" in tags:  # ours, with units for which OME-Zarr has no word
            axes[-2:] = Axis(*tags["y"]), Axis(*tags["x"])
    except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        if isinstance(error, PermissionError) or str(path) in str(error):
            raise
        raise ValueError(f"{path} is not a whole OME-Zarr ({error}); copy it again.") from error
    recorded = journal_lines(path / JOURNAL)
    if recorded and axis is None:
        return _Recorded(path, _Chunks(path, array), recorded, axes=axes, name=image.get("name"), tags=tags)
    return _stack(
        path,
        array,
        axis=axis,
        axes=axes,
        names=[str(d.get("name", "")) for d in dimensions],
        name=image.get("name") or path.name.removesuffix(".zarr").removesuffix(".ome"),
        tags=tags,
    )


def _stack(path: Path, array: Any, **more: Any) -> ArrayStack:
    chunks = _Chunks(path, array)
    return ArrayStack(path, chunks, files=chunks.files, **more)


class _Chunks:
    """A Zarr array, whose parts are read and unpacked when they are asked for."""

    def __init__(self, path: Path, array: Any) -> None:
        self._path, self._array = path, array
        self.shape, self.dtype = array.shape, array.dtype
        self._sizes = array.shards or array.chunks  # of what is in one file
        last = array.compressors[-1] if array.compressors and not array.shards else None
        self._packed = isinstance(last, BloscCodec | Blosc)

    def files(self, index: tuple[Any, ...] = ()) -> Iterator[Path]:
        """Yield the files of what is at `index`, or of all; where nothing was ever written, there is none."""
        at = (*index, *(slice(None) for _ in self.shape[len(index) :]))
        chunks = (
            (i // size,) if isinstance(i, int) else range(-(-n // size))
            for i, n, size in zip(at, self.shape, self._sizes, strict=True)
        )
        return (self._file(chunk) for chunk in itertools.product(*chunks))

    def _file(self, chunk: tuple[int, ...]) -> Path:
        return self._path / str(self._array.path) / str(self._array.metadata.encode_chunk_key(chunk))

    def __getitem__(self, index: Any) -> np.ndarray:
        try:
            if self._packed:
                for file in self.files(index if isinstance(index, tuple) else (index,)):
                    _check(file)
            return np.asarray(self._array[index])
        except (OSError, RuntimeError, ValueError) as error:  # each codec has its own
            raise ValueError(f"A chunk of {self._path} cannot be read ({error}); copy it again.") from error


def _check(file: Path) -> None:
    """Refuse a chunk that is cut short: Blosc would go on with whatever lies behind it in memory."""
    try:
        with file.open("rb") as chunk:
            head, size = chunk.read(BLOSC_HEAD.size), os.fstat(chunk.fileno()).st_size
    except FileNotFoundError:
        return
    if len(head) == BLOSC_HEAD.size and BLOSC_HEAD.unpack(head)[0] > size:
        raise ValueError(f"{file} is cut short: {size} bytes of {BLOSC_HEAD.unpack(head)[0]} are there")


class _Recorded(ArrayStack):
    """What dmlink has recorded: the frames that its journal tells of, with all that was known of each.

    The array may be longer, where the recording was broken off. The frame's number at the microscope is its
    tag "source_index".
    """

    def __init__(self, path: Path, chunks: _Chunks, lines: list[dict[str, Any]], **more: Any) -> None:
        chunks.shape = (min(len(lines), chunks.shape[0]), *chunks.shape[1:])
        self._lines: list[dict[str, Any]] = []
        told: dict[str, Any] = {}
        for line in lines:  # what has not changed is not told again
            told = told | line
            self._lines.append(told)
        times = np.array([line["time"] for line in lines[: chunks.shape[0]]], float)
        self._chunks = chunks
        super().__init__(path, chunks, times=times, files=chunks.files, **more)

    def _read(self, i: int) -> np.ndarray:
        for file in self._chunks.files((i,)):
            if not file.exists():  # each was written, if it was black, too; Zarr would take it for black
                raise ValueError(f"Frame {i} of {self.path} is lost: {file} is gone; copy it again.")
        return super()._read(i)

    def _frame(self, data: np.ndarray, i: int) -> Frame:
        told = self._lines[i]
        frame = super()._frame(data, i)
        axes: dict[str, Any] = {k: self._calibrated(Axis(*told[k])) for k in ("y", "x") if told.get(k)}
        roi = Roi(*told["roi"]) if told.get("roi") else None
        line = Line(*told["line"]) if told.get("line") else None
        tags = {**(told.get("tags") or {}), "source_index": told["index"]}
        return replace(frame, **axes, roi=roi, line=line, tags=tags)


def _first_array(path: Path, group: Any, axis: Dimensions, item: Item) -> ArrayStack:
    """Return an array of a group that is no OME-Zarr image: the first, or `item`."""
    arrays = sorted(group.arrays(), key=lambda pair: str(pair[0]))
    if not arrays:
        raise ValueError(f"{path} holds no image that OME-Zarr's metadata names; choose a folder within.")
    names = [name for name, _ in arrays]
    _, array = choose(path, arrays, names, item)
    return _stack(path, array, axis=axis)


def _axes(image: Any, dimensions: list[Any], ndim: int) -> list[Axis]:
    """Return the calibration of every dimension: the dataset's transformations, then the image's."""
    scale, origin = np.ones(ndim), np.zeros(ndim)
    steps = [
        *image["datasets"][0].get("coordinateTransformations", []),
        *image.get("coordinateTransformations", []),
    ]
    for step in steps:
        if step.get("type") == "scale":
            scale, origin = scale * step["scale"], origin * step["scale"]
        elif step.get("type") == "translation":
            origin = origin + step["translation"]
    units = [str(d.get("unit") or "") for d in dimensions]
    return [Axis(float(o), float(s), UNITS.get(u, u)) for o, s, u in zip(origin, scale, units, strict=True)]
