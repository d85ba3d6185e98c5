"""RosettaSciIO: every other format that it reads; needs the extra dmlink[formats], and imports it on use."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.frame import Axis
from dmlink.recordings.array_stack import ArrayStack, choose
from dmlink.recordings.steps import Uneven, axis_of
from dmlink.recordings.units import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item

#: No microscope format decompresses to more than this many times its size.
DENSEST = 1100


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> ArrayStack:
    """Return a signal of the file (the first, or `item`) as a recording, read by RosettaSciIO.

    If several formats have the same suffix, each is tried in turn.
    """
    plugins = _plugins(path)
    if not plugins:
        raise ValueError(
            f"dmlink does not know the format of {path} (suffix {path.suffix!r}); convert it to TIFF or "
            "OME-Zarr, or run pip install dmlink[formats] for RosettaSciIO's formats."
        )
    refused = []
    for plugin in plugins:
        try:
            signals = _signals(plugin, path)
        except PermissionError:
            raise
        except FileNotFoundError as error:  # a header whose pixels are in another file
            refused.append(f"{plugin['name']}: {error.filename or error} is missing; put it next to the file")
        except Exception as error:  # noqa: BLE001 - depending on its reader
            refused.append(f"{plugin['name']}: {_line(error)}")
        else:
            if signals:
                return _recording(path, signals, plugin["name"], axis, item)
            refused.append(f"{plugin['name']}: it found no data")
    raise ValueError(f"{path} cannot be read by RosettaSciIO ({'; '.join(refused)}).")


def _signals(plugin: Any, path: Path) -> list[Any]:
    reader = importlib.import_module(plugin["api"])
    # Its readers' warnings are meant for HyperSpy's users, and refusals are reported below.
    logger = logging.getLogger("rsciio")
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), _silent(logger):
        warnings.simplefilter("ignore")
        try:
            signals: list[Any] = reader.file_reader(str(path), lazy=True)
        except (NotImplementedError, TypeError):  # some formats cannot be read lazily
            signals = reader.file_reader(str(path))
        for signal in signals[:1]:  # the header may be fine although the pixels are missing
            data = signal["data"]
            np.asarray(data[(0,) * max(0, data.ndim - 2)])
    return signals


@contextlib.contextmanager
def _silent(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _recording(path: Path, signals: list[Any], reader: str, axis: Dimensions, item: Item) -> ArrayStack:
    names = [_title(signal) for signal in signals]
    signal = choose(path, signals, names, item)
    data = signal["data"]
    if data.nbytes > DENSEST * _bytes(path):
        raise ValueError(
            f"{path} claims {data.nbytes} bytes of pixels, more than its {_bytes(path)} bytes can contain "
            f"({reader}); it is damaged."
        )
    axes = sorted(signal["axes"], key=lambda a: a.get("index_in_array", 0))
    whole = len(axes) == data.ndim
    return ArrayStack(
        path,
        _Computed(data),
        axis=axis,
        axes=[_axis(a) for a in axes] if whole else (),
        names=["" if a.get("name") is None else str(a["name"]) for a in axes] if whole else (),
        name=_title(signal) or None,
        tags=signal.get("original_metadata"),
        items=[f"{n}: {' x '.join(map(str, s['data'].shape))}" for n, s in zip(names, signals, strict=True)]
        if len(signals) > 1
        else (),
    )


class _Computed:
    """A Dask array whose parts are arrays."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.asarray(self._array[index])


def _plugins(path: Path) -> list[Any]:
    """Return RosettaSciIO's descriptions of the formats with this suffix; empty if it is not installed."""
    if find_spec("rsciio") is None:
        return []
    plugins = importlib.import_module("rsciio").IO_PLUGINS
    suffix = path.suffix.lower().removeprefix(".")
    return [p for p in plugins if suffix and suffix in (e.lower() for e in p["file_extensions"])]


def _bytes(path: Path) -> int:
    """Return the size of a file and its neighbours with the same name, which may contain the pixels."""
    beside = [p for p in path.parent.iterdir() if p.is_file() and p.name.startswith(path.stem[:8])]
    return sum(p.stat().st_size for p in {path, *beside})


def _line(error: Exception) -> str:
    """Return an error as one line, or its type if it has no text."""
    return " ".join(str(error).split())[:120] or type(error).__name__


def _title(signal: Any) -> str:
    return str(signal.get("metadata", {}).get("General", {}).get("title", ""))


def _axis(axis: Any) -> Axis | Uneven:
    """Return RosettaSciIO's axis as ours."""
    unit = axis.get("units")
    unit = spelled(unit) if isinstance(unit, str) else ""
    if "scale" in axis:
        return Axis(float(axis.get("offset", 0)), float(axis["scale"]), unit)
    return axis_of(np.asarray(axis["axis"], float), unit) if "axis" in axis else Axis()
