"""OME-Zarr: multiscale images of version 0.1 to 0.5, full size, also as ZIP; and plain Zarr arrays."""

from __future__ import annotations

import itertools
import os
import struct
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import zarr
from numcodecs.blosc import Blosc
from zarr.codecs import BloscCodec
from zarr.storage import ZipStore

from dmlink.frame import Axis, Frame, Line, MaskedRoi, Roi
from dmlink.indm.outline import checked_outline
from dmlink.recordings.array_stack import ArrayStack, choose
from dmlink.recordings.steps import Uneven, axis_of
from dmlink.recordings.units import spelled
from dmlink.recordings.writing.ome_zarr_writer import JOURNAL, journal_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item

#: The axes of images before version 0.3, which are not named in the file.
OLD_AXES = ("t", "c", "z", "y", "x")

#: The first sixteen bytes of a compressed chunk, with its length (Blosc's README_CHUNK_FORMAT).
BLOSC_HEAD = struct.Struct("<12xI")


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> ArrayStack:
    """Return the full-size image of an OME-Zarr group (the first multiscale, or `item`)."""
    try:
        node: Any = zarr.open(store(path), mode="r")
        if isinstance(node, zarr.Array):
            return _stack(path, node, axis=axis)
        several = list(_images(node))
        if not several:
            return _first_array(path, node, axis, item)
        names = [name for name, _, _ in several]
        _, group, image = choose(path, several, names, item)
        array = group[image["datasets"][0]["path"]]
        dimensions = _dimensions(image, array)
        axes: list[Axis | Uneven] = [*_axes(image, dimensions, array.ndim)]
        tags = group.attrs.asdict().get("dmlink")
        tags = dict(tags) if isinstance(tags, dict) else {}
        if "y" in tags and "x" in tags:  # ours, with units that OME-Zarr does not have
            axes[-2:] = Axis(*tags.pop("y")), Axis(*tags.pop("x"))
        times = tags.pop("times", None)
        if times is not None and len(times) == array.shape[0]:
            axes[0] = axis_of(times, "s")
    except KeyError as error:
        raise ValueError(f"{path} is not a complete OME-Zarr (no {error}); copy it again.") from error
    except (TypeError, AttributeError, ValueError, OSError) as error:
        if isinstance(error, PermissionError) or str(path) in str(error):
            raise
        raise ValueError(
            f"{path} cannot be read as OME-Zarr ({error}): dmlink does not understand its metadata."
        ) from error
    recorded = journal_lines(path / JOURNAL) if path.is_dir() else []
    if recorded and axis is None:
        return _Recorded(path, Chunks(path, array), recorded, axes=axes, name=image.get("name"), tags=tags)
    return _stack(
        path,
        array,
        axis=axis,
        axes=axes,
        names=[str(d.get("name", "")) for d in dimensions],
        name=image.get("name") or path.name.removesuffix(".zip").removesuffix(".zarr").removesuffix(".ome"),
        tags=tags,
        items=names if len(names) > 1 else (),
    )


def store(path: Path) -> Any:
    """Return the Zarr store: the folder, or the ZIP file."""
    return path if path.is_dir() else ZipStore(path, mode="r")


def _images(group: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the images of a group, or of the groups in it: name, group and metadata."""
    attributes = group.attrs.asdict()
    ome = attributes.get("ome", attributes)
    found = [image for image in ome.get("multiscales", []) if image.get("datasets")]
    for image in found:
        yield str(image.get("name", "")), group, image
    if found:
        return
    layout = "bioformats2raw.layout" in ome or "bioformats2raw.layout" in attributes
    children = sorted(group.groups(), key=lambda pair: (len(pair[0]), pair[0]))  # they are numbered
    for name, child in children if layout or not list(group.arrays()) else ():
        below = child.attrs.asdict()
        for image in below.get("ome", below).get("multiscales", []):
            if image.get("datasets"):
                yield f"{name} {image.get('name', '')}".strip(), child, image


def _dimensions(image: Any, array: Any) -> list[dict[str, Any]]:
    """Return the axes of an image in the form of version 0.4."""
    listed = image.get("axes")
    if listed is None:
        listed = OLD_AXES[-array.ndim :]
    return [a if isinstance(a, dict) else {"name": a} for a in listed]


def _stack(path: Path, array: Any, **more: Any) -> ArrayStack:
    chunks = Chunks(path, array)
    return ArrayStack(path, chunks, files=chunks.files, **more)


class Chunks:
    """A Zarr array, whose chunks are read and decompressed on demand."""

    def __init__(self, path: Path, array: Any) -> None:
        self._path, self._array = path, array
        self.shape, self.dtype = array.shape, array.dtype
        self._sizes = array.shards or array.chunks  # of the part in one file
        last = array.compressors[-1] if array.compressors and not array.shards else None
        self._packed = path.is_dir() and isinstance(last, BloscCodec | Blosc)

    def files(self, index: tuple[Any, ...] = ()) -> Iterator[Path]:
        """Return the files of the chunks at `index`, or of all; unwritten chunks have no file."""
        if not self._path.is_dir():
            return iter((self._path,))
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
        except (OSError, EOFError, RuntimeError, ValueError, BadZipFile, zlib.error) as error:  # by codec
            raise ValueError(f"A chunk of {self._path} cannot be read ({error}); copy it again.") from error


def _check(file: Path) -> None:
    """Refuse a chunk that is cut short, because Blosc would read beyond its end in memory."""
    try:
        with file.open("rb") as chunk:
            head, size = chunk.read(BLOSC_HEAD.size), os.fstat(chunk.fileno()).st_size
    except FileNotFoundError:
        return
    if len(head) == BLOSC_HEAD.size and BLOSC_HEAD.unpack(head)[0] > size:
        raise ValueError(f"{file} is cut short: it has {size} of {BLOSC_HEAD.unpack(head)[0]} bytes")


class _Recorded(ArrayStack):
    """A recording by dmlink: the frames in its journal, each with its metadata.

    The array may be longer if the recording was interrupted. The tag "source_index" is the frame's number at
    the microscope.
    """

    def __init__(self, path: Path, chunks: Chunks, lines: list[dict[str, Any]], **more: Any) -> None:
        chunks.shape = (min(len(lines), chunks.shape[0]), *chunks.shape[1:])
        self._lines: list[dict[str, Any]] = []
        values: dict[str, Any] = {}
        for line in lines:  # a line has only the values that changed
            values = values | line
            self._lines.append(values)
        times = np.array([line["time"] for line in lines[: chunks.shape[0]]], float)
        self._chunks = chunks
        super().__init__(path, chunks, times=times, files=chunks.files, **more)

    @property
    def logs(self) -> dict[str, np.ndarray]:
        """Each log's number at each frame; see `Recording.logs`."""
        logs = [line.get("log") or {} for line in self._lines[: len(self)]]
        names = dict.fromkeys(name for log in logs for name in log)
        return {name: np.array([log.get(name, np.nan) for log in logs], float) for name in names}

    def _read(self, i: int) -> np.ndarray:
        for file in self._chunks.files((i,)):
            if not file.exists():  # all were written, even black ones; Zarr would read it as black
                raise ValueError(f"Frame {i} of {self.path} is lost: {file} is missing; copy it again.")
        return super()._read(i)

    def _frame(self, data: np.ndarray, i: int) -> Frame:
        values = self._lines[i]
        frame = super()._frame(data, i)
        axes: dict[str, Any] = {k: self._calibrated(Axis(*values[k])) for k in ("y", "x") if values.get(k)}
        roi = _roi(values["roi"], values.get("outline")) if values.get("roi") else None
        line = Line(*values["line"]) if values.get("line") else None
        tags = {**(values.get("tags") or {}), "source_index": values["index"]}
        outlines = values.get("outlines") or {}
        rois = {name: _roi(place, outlines.get(name)) for name, place in (values.get("rois") or {}).items()}
        log = {name: np.nan if value is None else value for name, value in (values.get("log") or {}).items()}
        unit = values.get("value_unit") or ""
        return replace(frame, **axes, roi=roi, line=line, tags=tags, log=log, rois=rois, value_unit=unit)


def _roi(place: list[int], outline: list[Any] | None) -> Roi:
    return MaskedRoi(*place, outline=checked_outline(*outline)) if outline else Roi(*place)


def _first_array(path: Path, group: Any, axis: Dimensions, item: Item) -> ArrayStack:
    """Return an array of a group that is not an OME-Zarr image: the first, or `item`."""
    arrays = sorted(group.arrays(), key=lambda pair: str(pair[0]))
    if not arrays:
        raise ValueError(f"{path} has no image in its OME-Zarr metadata; choose a folder inside it.")
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
    return [Axis(float(o), float(s), spelled(u)) for o, s, u in zip(origin, scale, units, strict=True)]
