"""NumPy stacks: one .npy file, mapped into memory, with metadata in NAME.json."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.recordings.array_stack import ArrayStack
from dmlink.recordings.axes_json import axes_from_json
from dmlink.recordings.mapped import MappedFile

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.frame import Axis
    from dmlink.recordings import Dimensions, Item
    from dmlink.recordings.steps import Uneven


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> ArrayStack:
    """Return a .npy file as a recording.

    NAME.json next to NAME.npy may contain an object with "scale" (of a pixel, in "unit"), "unit", "fps" and
    "name". "axes" is more detailed: a list with an object for each dimension, which has "name", "unit", and
    either "origin" and "scale" or "values". Everything else becomes the recording's tags.
    """
    if item is not None:
        raise ValueError(f"{path} has only one array; leave item out.")
    file = MappedFile(path)
    try:
        # NumPy reads the header and checks the length; the frames are read with our own mapping of the file,
        # which notices if it is cut short later.
        stack: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy parses the header as Python, which can fail in many ways
        raise ValueError(
            f"{path} is not a complete .npy file of numbers ({error}); write or copy it again."
        ) from error
    sidecar = path.with_suffix(".json")
    fields = _sidecar(sidecar)
    name, unit, scale, fps = (fields.pop(key, None) for key in ("name", "unit", "scale", "fps"))
    axes: list[Axis | Uneven] = []
    names: list[str] = []
    if "axes" in fields:
        try:
            axes, names = axes_from_json(fields.pop("axes"), stack.shape)
        except ValueError as error:
            raise ValueError(f"{sidecar} does not fit {path.name}: {error}; correct or remove it.") from error
    # A plain array: a result computed from a frame should not be a memmap without a file.
    array = np.ndarray(stack.shape, stack.dtype, file.bytes, stack.offset, stack.strides)
    recording = ArrayStack(
        path,
        array,
        axis=axis,
        axes=axes,
        names=names,
        name=name,
        tags=fields,
        file=file,
        files=lambda: (path, sidecar),
    )
    recording.calibrate(scale=scale, unit=unit, fps=fps)
    return recording


def _sidecar(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file; empty if there is none."""
    if not path.exists():
        return {}
    try:
        fields = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}); correct or remove it.") from error
    if not isinstance(fields, dict):
        raise ValueError(  # noqa: TRY004 - the file is wrong, not the caller
            f'{path} has a {type(fields).__name__}; write an object such as {{"scale": 0.05, "unit": "nm"}}.'
        )
    return fields
