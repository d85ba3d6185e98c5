"""Every other format that RosettaSciIO reads: only with the extra dmlink[formats], and imported only then."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.frame import Axis
from dmlink.recordings.array_stack import ArrayStack, choose

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> ArrayStack:
    """Return a signal of the file (the first, or `item`) as a recording, read by RosettaSciIO."""
    plugin = _plugin(path)
    if plugin is None:
        raise ValueError(
            f"{path} begins like no format that dmlink knows (suffix {path.suffix!r}); convert it to TIFF or "
            "OME-Zarr, or run pip install dmlink[formats] for RosettaSciIO's formats."
        )
    try:
        reader = importlib.import_module(plugin["api"])
        try:
            signals = reader.file_reader(str(path), lazy=True)
        except (NotImplementedError, TypeError):  # some formats are only read whole
            signals = reader.file_reader(str(path))
        signal = choose(path, signals, [_title(signal) for signal in signals], item)
    except (PermissionError, MemoryError):
        raise
    except Exception as error:  # each of its readers has its own
        raise ValueError(f"{path} cannot be read as {plugin['name']} ({error}); copy it again.") from error
    axes = sorted(signal["axes"], key=lambda a: a.get("index_in_array", 0))
    return ArrayStack(
        path,
        _Computed(signal["data"]),
        axis=axis,
        axes=[_axis(a) for a in axes] if len(axes) == signal["data"].ndim else (),
        names=[str(a.get("name", "")) for a in axes],
        name=_title(signal) or None,
        tags=signal.get("original_metadata"),
    )


class _Computed:
    """A Dask array whose parts are arrays."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.asarray(self._array[index])


def _plugin(path: Path) -> Any:
    """Return RosettaSciIO's description of the format with this suffix; None without one, or without it."""
    if find_spec("rsciio") is None:
        return None
    plugins = importlib.import_module("rsciio").IO_PLUGINS
    suffix = path.suffix.lower().removeprefix(".")
    return next((p for p in plugins if suffix and suffix in (e.lower() for e in p["file_extensions"])), None)


def _title(signal: Any) -> str:
    return str(signal.get("metadata", {}).get("General", {}).get("title", ""))


def _axis(axis: Any) -> Axis:
    """Return RosettaSciIO's axis as ours; one that is not uniform has no scale."""
    if "scale" not in axis:
        return Axis()
    unit = axis.get("units")
    return Axis(float(axis.get("offset", 0)), float(axis["scale"]), unit if isinstance(unit, str) else "")
