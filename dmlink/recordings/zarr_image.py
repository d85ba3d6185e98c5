"""OME-Zarr: multiscale images of version 0.4 and 0.5, full size; and plain Zarr arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from dmlink.frame import Axis
from dmlink.recordings.array_stack import ArrayStack
from dmlink.recordings.dm_file import choose

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
