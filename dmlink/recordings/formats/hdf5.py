"""HDF5: EMD of Velox, Berkeley and py4DSTEM, HyperSpy's .hspy, NeXus, Dectris, and any dataset of numbers."""

from __future__ import annotations

import contextlib
import importlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from dmlink.frame import Axis
from dmlink.recordings.array_stack import ArrayStack, choose
from dmlink.recordings.formats.hyperspy_layout import Found, signals
from dmlink.recordings.formats.nexus import nexus
from dmlink.recordings.mapped import MappedFile
from dmlink.recordings.steps import Uneven, axis_of
from dmlink.recordings.units import in_nanometres, spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dmlink.recordings import Dimensions, Item

#: The parts of a Dectris recording, which its master file links to.
PART = re.compile(r"data_\d{6}")

#: Types of EMD groups with an array; others are folders.
ARRAYS = ("1", "array")

#: Deeper than any layout, and more datasets than anybody can choose from.
DEEPEST, MOST = 24, 10_000

#: Something with more rows and columns than this is an image, not a table.
TABLE = 4


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> ArrayStack:
    """Return one dataset: `item` by number or name, else the main one of the file's layout."""
    with contextlib.suppress(ImportError):
        importlib.import_module("hdf5plugin")  # more compression codecs, if installed
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        if isinstance(error, PermissionError):
            raise
        advice = (
            "copy it again" if "truncated" in str(error) else "it starts like HDF5, but the rest does not"
        )
        raise ValueError(f"{path} is not a complete HDF5 file ({error}); {advice}.") from error
    try:
        found, lost = _found(path, file)
        chosen: Found = choose(path, found, [one.name for one in found], item)
        array, mapped = _reader(path, chosen.data)
        several = [f"{one.name}: {_size(one.data)}" for one in found] if len(found) > 1 else []
        return ArrayStack(
            path,
            array,
            axis=chosen.axis if axis is None else axis,
            axes=chosen.axes,
            names=chosen.names,
            name=path.stem if len(found) == 1 or item is None else f"{path.stem} {chosen.name}",
            fps=chosen.fps,
            tags=chosen.tags,
            items=several,
            notes=[*chosen.notes, *lost],
            file=mapped,
            files=lambda: _files(path, chosen.data),
            close=file.close,
        )
    except (KeyError, RuntimeError, json.JSONDecodeError) as error:
        file.close()
        raise ValueError(
            f"{path} does not have the layout that it claims ({error}); write it again."
        ) from error
    except BaseException:
        file.close()
        raise


class Parts:
    """Several datasets as one, such as the parts of a Dectris recording."""

    def __init__(self, path: Path, parts: list[Any]) -> None:
        first = parts[0]
        alike = [p for p in parts if p.shape[1:] == first.shape[1:] and p.dtype == first.dtype]
        if len(alike) != len(parts):
            raise ValueError(f"{path} has parts of different shapes or types; open them one by one.")
        self.parts = [_reader(path, part)[0] for part in parts]
        self.datasets = parts
        self._starts = np.cumsum([0, *(part.shape[0] for part in parts)])
        self.shape = (int(self._starts[-1]), *first.shape[1:])
        self.dtype, self.ndim, self.size = first.dtype, first.ndim, int(np.prod(self.shape, dtype=object))

    def __getitem__(self, index: Any) -> np.ndarray:
        first, *rest = index if isinstance(index, tuple) else (index,)
        if not isinstance(first, int):
            return np.concatenate([part[(slice(None), *rest)] for part in self.parts])[first]
        at = int(np.searchsorted(self._starts, first, "right")) - 1
        return np.asarray(self.parts[at][(first - int(self._starts[at]), *rest)])


class _Chunks:
    """A dataset in chunks, possibly compressed."""

    def __init__(self, path: Path, dataset: Any) -> None:
        self._path, self._dataset = path, dataset
        self.shape, self.dtype = dataset.shape, dataset.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        try:
            return np.asarray(self._dataset[index])
        except OSError as error:
            known = "filter" in str(error) or "plugin" in str(error)
            advice = "pip install hdf5plugin for more compression codecs" if known else "copy it again"
            raise ValueError(f"{self._path} cannot be read ({error}); {advice}.") from error


def _found(path: Path, file: Any) -> tuple[list[Found], list[str]]:
    """Return the images of a file, the main one first, and notes on those that cannot be reached."""
    layouts = _velox(file) or _berkeley(file) or signals(file)
    if layouts:
        return layouts, []
    lost: list[str] = []
    datasets = dict(_datasets(path, file, lost))
    dectris = _dectris(path, datasets, _frame_rate(file))
    if dectris:
        return dectris, lost
    listed = nexus(path, file)
    if not datasets and not listed:
        missing = f" {' '.join(lost)}" if lost else ""
        raise ValueError(f"{path} has no dataset of numbers; choose another file.{missing}")
    if listed:
        named = {one.name for one in listed}
        rest = [
            Found(n, d, tags=_attributes(d)) for n, d in datasets.items() if n not in named and d.ndim > 1
        ]
        return [*listed, *rest], lost
    plain = [Found(name, data, tags=_attributes(data)) for name, data in datasets.items()]
    return sorted(plain, key=lambda one: _rank(one.data), reverse=True), lost


def _rank(data: Any) -> tuple[int, int]:
    """Return a rank for how likely a dataset is frames: images before tables and spectra, then the size."""
    picture = data.ndim >= 2 and min(data.shape[-2:]) > 1
    marked = _text(data.attrs.get("CLASS", "")) == "IMAGE"
    return 3 if marked else 2 if picture and min(data.shape[-2:]) > TABLE else int(picture), data.size


def _reader(path: Path, dataset: Any) -> tuple[Any, MappedFile | None]:
    """Return the dataset as an array: memory-mapped if it is contiguous, else read with HDF5."""
    if isinstance(dataset, Parts):
        return dataset, None
    _check_storage(path, dataset)
    here = Path(dataset.file.filename)
    if dataset.external:
        return _external(here.parent, dataset)
    offset = dataset.id.get_offset() if dataset.chunks is None else None
    if offset is None or dataset.is_virtual or dataset.dtype.kind not in "iufb" or dataset.dtype.metadata:
        return _Chunks(path, dataset), None
    file = MappedFile(here)
    return file.array(dataset.shape, dataset.dtype, offset), file


def _external(folder: Path, dataset: Any) -> tuple[Any, MappedFile | None]:
    """Return pixels stored in other files, which HDF5 would look for in the working folder; one is mapped."""
    if len(dataset.external) == 1:
        ((name, offset, _),) = dataset.external
        file = MappedFile(folder / _text(name))
        return file.array(dataset.shape, dataset.dtype, offset), file
    parts, left = [], dataset.dtype.itemsize * dataset.size
    for name, offset, size in dataset.external:
        n = min(size, left)
        if n:
            parts.append(MappedFile(folder / _text(name)).array((n,), np.dtype(np.uint8), offset))
        left -= n
    if left:
        raise ValueError(f"{dataset.file.filename} lacks {left} bytes of its pixels; write it again.")
    return np.concatenate(parts).view(dataset.dtype).reshape(dataset.shape), None


def _check_storage(path: Path, dataset: Any, depth: int = 0) -> None:
    """Refuse pixels in a file outside the recording's folder, which HDF5 would read without asking."""
    folder = Path(dataset.file.filename).resolve().parent
    for name, *_ in dataset.external or ():
        file = (folder / _text(name)).resolve()
        if not file.is_relative_to(path.resolve().parent):
            raise ValueError(
                f"{path} refers to pixels in {_text(name)}, outside its own folder, which dmlink does not "
                "read. Put that file next to this one and correct the path."
            )
    if not dataset.is_virtual:
        return
    if depth > DEEPEST:
        raise ValueError(f"{path} has datasets that refer to each other endlessly; write it again.")
    for name, place in {(s.file_name, s.dset_name) for s in dataset.virtual_sources()}:
        if name == ".":
            if place in dataset.file:
                _check_storage(path, dataset.file[place], depth + 1)
            continue
        with contextlib.suppress(OSError, KeyError), h5py.File(folder / name, "r") as file:
            _check_storage(path, file[place], depth + 1)


def _files(path: Path, dataset: Any) -> list[Path]:
    """Return the file, and other files that its frames are in."""
    files = [path]
    for one in dataset.datasets if isinstance(dataset, Parts) else [dataset]:
        here = Path(one.file.filename)
        sources = one.virtual_sources() if one.is_virtual else []
        files += [here, *(here.parent / s.file_name for s in sources if s.file_name != ".")]
        files += [here.parent / _text(name) for name, *_ in one.external or ()]
    return list(dict.fromkeys(files))


def _datasets(path: Path, file: Any, lost: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield all datasets of numbers, including linked ones; broken links go into `lost`."""
    stack: list[tuple[str, Any, int]] = [("", file, 0)]
    seen, n = set(), 0
    while stack:
        place, group, depth = stack.pop()
        info = h5py.h5o.get_info(group.id)
        if (info.fileno, info.addr) in seen or depth > DEEPEST:
            continue
        seen.add((info.fileno, info.addr))
        below = []
        for key in group:
            name = f"{place}/{key}".lstrip("/")
            try:
                member = group[key]
            except (KeyError, OSError):
                lost.append(_lost(path, name, group.get(key, getlink=True)))
                continue
            if isinstance(member, h5py.Group):
                below.append((name, member, depth + 1))
            elif (
                isinstance(member, h5py.Dataset)
                and member.ndim
                and member.size
                and member.dtype.kind in "biufc"
            ):
                n += 1
                if n > MOST:
                    return
                yield name, member
        stack += reversed(below)


def _lost(path: Path, name: str, link: Any) -> str:
    file = getattr(link, "filename", "")
    if file:
        return f"{name} is in {file}, which cannot be opened; put it next to {path.name}."
    return f"{name} links to {getattr(link, 'path', 'nothing')}, which does not exist."


def _dectris(path: Path, datasets: dict[str, Any], fps: float | None) -> list[Found]:
    """Return the parts of a Dectris recording as one."""
    parts: dict[str, list[tuple[str, Any]]] = {}
    for name, data in datasets.items():
        place, _, last = name.rpartition("/")
        if PART.fullmatch(last) and data.ndim == 3:
            parts.setdefault(place, []).append((last, data))
    found = []
    for place, named in parts.items():
        data = Parts(path, [one for _, one in sorted(named, key=lambda pair: pair[0])])
        found.append(Found(place, data, fps=fps))
    if found:
        rest = {n: d for n, d in datasets.items() if not PART.fullmatch(n.rpartition("/")[2]) and d.ndim >= 2}
        found += [Found(name, data) for name, data in rest.items()]
    return found


def _frame_rate(file: Any) -> float | None:
    time = file.get("entry/instrument/detector/frame_time")
    seconds = _float(time[()]) if isinstance(time, h5py.Dataset) and time.size == 1 else 0.0
    return 1 / seconds if seconds > 0 else None


def _velox(file: Any) -> list[Found]:
    """Return the images of a Velox EMD: (rows, columns, frames), with JSON metadata of the first frame."""
    found = []
    for key, group in _groups(file.get("Data/Image")):
        if "Data" not in group or "Metadata" not in group or group["Data"].dtype.kind not in "biufc":
            continue  # an FFT has halves of complex numbers
        text = bytes(group["Metadata"][:, 0]).split(b"\0", 1)[0].decode("utf-8", "replace")
        metadata = json.loads(text)
        result = metadata.get("BinaryResult", {})
        size, units = result.get("PixelSize", {}), (result.get("PixelUnitY"), result.get("PixelUnitX"))
        y, x = (
            _pixel(_float(size.get(side, 0)), unit)
            for side, unit in zip(("height", "width"), units, strict=True)
        )
        optics = metadata.get("Optics", {})
        tags = {
            "high_tension": _float(optics.get("AccelerationVoltage")),
            "magnification": _float(optics.get("NominalMagnification")),
            "camera_length": 1e3 * _float(optics.get("CameraLength")),  # from m to mm
        }
        frame_time = _float(metadata.get("Scan", {}).get("FrameTime"))
        found.append(
            Found(
                str(result.get("Detector") or key),
                group["Data"],
                [y, x, Axis()],
                ["y", "x", "frame"],
                axis=2,
                fps=1 / frame_time if frame_time > 0 else None,
                tags={name: value for name, value in tags.items() if value} | metadata,
            )
        )
    return found


def _berkeley(file: Any) -> list[Found]:
    """Return the arrays of an EMD file: groups with a dataset and its dimensions, numbered from 0 or 1."""
    found: list[Found] = []

    def look(name: str, group: Any) -> None:
        if not isinstance(group, h5py.Group) or _text(group.attrs.get("emd_group_type", "")) not in ARRAYS:
            return
        numbers = [
            key for key in group
            if isinstance(group.get(key), h5py.Dataset) and group[key].dtype.kind in "biufc"
            and not re.fullmatch(r"dim\d+|_?dim_.*", key)
        ]  # fmt: skip
        key = "data" if "data" in numbers else numbers[0] if len(numbers) == 1 else ""
        if not key or not group[key].ndim:
            return
        data = group[key]
        start = 0 if "dim0" in group else 1  # EMD 1.0 numbers them from 0
        dims = [group.get(f"dim{i + start}") for i in range(data.ndim)]
        axes = [_from_values(dim, n) for dim, n in zip(dims, data.shape, strict=True)]
        names = ["" if dim is None else _text(dim.attrs.get("name", "")) for dim in dims]
        found.append(Found(name, data, axes, names, axis=_last_counts(axes)))

    file.visititems(look)
    return sorted(found, key=lambda one: -_rank(one.data)[0])


def _last_counts(axes: list[Axis | Uneven]) -> Dimensions:
    """Return the last of three dimensions if only its unit differs, because then it counts the images."""
    if len(axes) != 3:
        return None
    rows, columns, last = (axis.unit for axis in axes)
    return 2 if rows and rows == columns and last != columns else None


def _attributes(data: Any) -> dict[str, Any]:
    return {key: value for key, value in data.attrs.items() if isinstance(value, str | int | float)}


def _groups(parent: Any) -> list[tuple[str, Any]]:
    if not isinstance(parent, h5py.Group):
        return []
    return [(key, group) for key, group in parent.items() if isinstance(group, h5py.Group)]


def _from_values(dim: Any, n: int) -> Axis | Uneven:
    """Return the axis whose values, all or the first two, are in a dataset."""
    if dim is None or dim.ndim != 1 or dim.dtype.kind not in "iuf" or not dim.size:
        return Axis()
    unit = spelled(_text(dim.attrs.get("units", "")))
    values = np.asarray(dim[...], float)
    if len(values) == 2 < n:
        return Axis(float(values[0]), float(values[1] - values[0]) or 1.0, unit)
    return axis_of(values, unit) if len(values) == n else Axis()


def _pixel(size: float, unit: Any) -> Axis:
    return in_nanometres(size, unit) if size > 0 and unit else Axis()


def _size(data: Any) -> str:
    return f"{' x '.join(map(str, data.shape))} {data.dtype}"


def _text(value: Any) -> str:
    value = value.flat[0] if isinstance(value, np.ndarray) and value.size else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
