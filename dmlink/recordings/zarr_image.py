"""OME-Zarr: multiscale images of version 0.4 and 0.5, full size; and plain Zarr arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from dmlink.frame import Axis, Frame, Line, Roi
from dmlink.recordings.array_stack import ArrayStack
from dmlink.recordings.dm_file import choose
from dmlink.recordings.writing import JOURNAL, journal_lines

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item

#: OME-Zarr's words for units (UDUNITS-2), and what we write.
UNITS = {"angstrom": "\u00c5", "picometer": "pm", "nanometer": "nm", "micrometer": "\u00b5m"}
UNITS |= {"millimeter": "mm", "meter": "m", "second": "s", "millisecond": "ms", "microsecond": "\u00b5s"}


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> ArrayStack:
    """Return the full-size image of an OME-Zarr group (the first multiscale, or `item`)."""
    try:
        node: Any = zarr.open(path, mode="r")
        if isinstance(node, zarr.Array):
            return ArrayStack(path, _Chunks(path, node), axis=axis)
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
    except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        if isinstance(error, PermissionError) or str(path) in str(error):
            raise
        raise ValueError(f"{path} is not a whole OME-Zarr ({error}); copy it again.") from error
    tags = told.get("dmlink", {})
    recorded = journal_lines(path / JOURNAL)
    if recorded and axis is None:
        return _Recorded(path, _Chunks(path, array), recorded, axes=axes, name=image.get("name"), tags=tags)
    return ArrayStack(
        path,
        _Chunks(path, array),
        axis=axis,
        axes=axes,
        names=[str(d.get("name", "")) for d in dimensions],
        name=image.get("name") or path.name.removesuffix(".zarr").removesuffix(".ome"),
        tags=tags if isinstance(tags, dict) else {},
    )


class _Chunks:
    """A Zarr array, whose parts are read and unpacked when they are asked for."""

    def __init__(self, path: Path, array: Any) -> None:
        self._path, self._array = path, array
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        try:
            return np.asarray(self._array[index])
        except (OSError, RuntimeError, ValueError) as error:  # each codec has its own
            raise ValueError(f"A chunk of {self._path} cannot be read ({error}); copy it again.") from error


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
        super().__init__(path, chunks, times=times, **more)

    def _frame(self, data: np.ndarray, i: int) -> Frame:
        told = self._lines[i]
        frame = super()._frame(data, i)
        axes: dict[str, Any] = {key: Axis(*told[key]) for key in ("y", "x") if told.get(key)}
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
    return ArrayStack(path, _Chunks(path, array), axis=axis)


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
