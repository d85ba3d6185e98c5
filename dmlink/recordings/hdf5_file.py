"""HDF5: EMD files of Velox and of Berkeley (NCEM), HyperSpy's .hspy, and any dataset of numbers."""

from __future__ import annotations

import contextlib
import importlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from dmlink.frame import Axis
from dmlink.recordings.array_stack import ArrayStack, choose
from dmlink.recordings.mapped import MappedFile

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item


@dataclass
class _Found:
    """A dataset that can be frames, and what the file's layout says of it."""

    name: str
    data: Any
    axes: list[Axis] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    axis: Dimensions = None
    fps: float | None = None
    tags: dict[str, Any] = field(default_factory=dict)


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> ArrayStack:
    """Return one dataset: `item` by number or name, else the first of an EMD or .hspy, else the largest."""
    with contextlib.suppress(ImportError):
        importlib.import_module("hdf5plugin")  # more ways of compression, where it is installed
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        if isinstance(error, PermissionError):
            raise
        raise ValueError(f"{path} is not a whole HDF5 file ({error}); copy it again.") from error
    try:
        found = _velox(file) or _berkeley(file) or _hyperspy(file) or _plain(path, file)
        chosen: _Found = choose(path, found, [one.name for one in found], item)
        array, mapped = _reader(path, chosen.data)
        return ArrayStack(
            path,
            array,
            axis=chosen.axis if axis is None else axis,
            axes=chosen.axes,
            names=chosen.names,
            name=path.stem if len(found) == 1 else f"{path.stem} {chosen.name}",
            fps=chosen.fps,
            tags=chosen.tags,
            file=mapped,
            files=lambda: _files(path, chosen.data),
            close=file.close,
        )
    except (KeyError, RuntimeError, json.JSONDecodeError) as error:
        file.close()
        raise ValueError(
            f"{path} is damaged, or not laid out as it says ({error}); copy it again."
        ) from error
    except BaseException:
        file.close()
        raise


class _Chunks:
    """A dataset in chunks, perhaps compressed."""

    def __init__(self, path: Path, dataset: Any) -> None:
        self._path, self._dataset = path, dataset
        self.shape, self.dtype = dataset.shape, dataset.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        try:
            return np.asarray(self._dataset[index])
        except OSError as error:
            raise ValueError(
                f"{self._path} cannot be read here ({error}); copy it again, or pip install hdf5plugin if "
                "its compression is unknown."
            ) from error


def _reader(path: Path, dataset: Any) -> tuple[Any, MappedFile | None]:
    """Return what gives the dataset's frames: mapped where it lies in one piece, else through HDF5."""
    offset = dataset.id.get_offset() if dataset.chunks is None and not dataset.external else None
    if offset is None or dataset.dtype.kind not in "iufb" or dataset.dtype.metadata:
        return _Chunks(path, dataset), None
    file = MappedFile(path)
    return file.array(dataset.shape, dataset.dtype, offset), file


def _files(path: Path, dataset: Any) -> list[Path]:
    """Return the file, and those beside it whose frames a virtual dataset shows."""
    sources = dataset.virtual_sources() if dataset.is_virtual else []
    return [path, *{path.parent / source.file_name for source in sources if source.file_name != "."}]


def _velox(file: Any) -> list[_Found]:
    """Return the images of a Velox EMD: (rows, columns, frames), and JSON that tells about the first."""
    found = []
    for key, group in _groups(file.get("Data/Image")):
        if "Data" not in group or "Metadata" not in group:
            continue
        text = bytes(group["Metadata"][:, 0]).split(b"\0", 1)[0].decode("utf-8", "replace")
        told = json.loads(text)
        result = told.get("BinaryResult", {})
        size, units = result.get("PixelSize", {}), (result.get("PixelUnitY"), result.get("PixelUnitX"))
        y, x = (
            _metres(float(size.get(side, 0)), unit)
            for side, unit in zip(("height", "width"), units, strict=True)
        )
        optics = told.get("Optics", {})
        tags = {
            "high_tension": _float(optics.get("AccelerationVoltage")),
            "magnification": _float(optics.get("NominalMagnification")),
            "camera_length": 1e3 * _float(optics.get("CameraLength")),  # from m to mm
        }
        frame_time = _float(told.get("Scan", {}).get("FrameTime"))
        found.append(
            _Found(
                str(result.get("Detector") or key),
                group["Data"],
                [y, x, Axis()],
                ["y", "x", "frame"],
                axis=2,
                fps=1 / frame_time if frame_time > 0 else None,
                tags={name: value for name, value in tags.items() if value} | told,
            )
        )
    return found


def _berkeley(file: Any) -> list[_Found]:
    """Return the EMD groups of a Berkeley EMD: `data`, and dim1, dim2, ... with names and units."""
    found: list[_Found] = []

    def look(name: str, group: Any) -> None:
        if isinstance(group, h5py.Group) and "emd_group_type" in group.attrs and "data" in group:
            data = group["data"]
            dims = [group.get(f"dim{i + 1}") for i in range(data.ndim)]
            axes = [_from_values(dim) for dim in dims]
            names = ["" if dim is None else _text(dim.attrs.get("name", "")) for dim in dims]
            found.append(_Found(name, data, axes, names))

    file.visititems(look)
    return found


def _hyperspy(file: Any) -> list[_Found]:
    """Return the signals of a .hspy: `data`, and axis-0, axis-1, ... with scale, offset and units."""
    found = []
    for key, group in _groups(file.get("Experiments")):
        if "data" not in group:
            continue
        told = [dict(group[f"axis-{i}"].attrs) for i in range(group["data"].ndim) if f"axis-{i}" in group]
        axes = [
            Axis(float(a.get("offset", 0)), float(a.get("scale", 1)), _unit(_text(a.get("units", ""))))
            for a in told
        ]
        names = [_text(a.get("name", "")) for a in told]
        whole = len(axes) == group["data"].ndim
        found.append(_Found(key, group["data"], axes if whole else [], names if whole else []))
    return found


def _plain(path: Path, file: Any) -> list[_Found]:
    """Return all datasets of numbers, the largest first."""
    found: list[_Found] = []

    def look(name: str, data: Any) -> None:
        if isinstance(data, h5py.Dataset) and data.ndim and data.size and data.dtype.kind in "biufc":
            tags = {key: value for key, value in data.attrs.items() if isinstance(value, str | int | float)}
            found.append(_Found(name, data, tags=tags))

    file.visititems(look)
    if not found:
        raise ValueError(f"{path} holds no dataset of numbers; choose another file.")
    return sorted(found, key=lambda one: -one.data.size)


def _groups(parent: Any) -> list[tuple[str, Any]]:
    if not isinstance(parent, h5py.Group):
        return []
    return [(key, group) for key, group in parent.items() if isinstance(group, h5py.Group)]


def _from_values(dim: Any) -> Axis:
    """Return the axis whose values are in a dataset."""
    if dim is None or dim.ndim != 1 or dim.dtype.kind not in "iuf":
        return Axis()
    unit = _unit(_text(dim.attrs.get("units", "")))
    first = float(dim[0])
    step = float(dim[1]) - first if dim.size > 1 else 1.0
    return Axis(first, step or 1.0, unit)


def _metres(size: float, unit: Any) -> Axis:
    """Return an axis of pixels of `size`; metres become nanometres."""
    if not size > 0 or not unit:
        return Axis()
    if str(unit) in ("m", "1/m"):
        reciprocal = str(unit) == "1/m"
        return Axis(0.0, size * (1e-9 if reciprocal else 1e9), "1/nm" if reciprocal else "nm")
    return Axis(0.0, size, str(unit))


def _unit(text: str) -> str:
    """Return a unit as we write it: EMD has brackets around it and underscores in it."""
    text = text.strip("[] ").replace("_", "").replace("\u03bc", "\u00b5")
    return {"um": "\u00b5m", "px": "", "pixels": "", "n/a": "", "<undefined>": ""}.get(text, text)


def _text(value: Any) -> str:
    value = value.flat[0] if isinstance(value, np.ndarray) and value.size else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
