"""NumPy stacks: one .npy file, mapped into memory, and what NAME.json beside it tells about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.recordings.array_stack import ArrayStack
from dmlink.recordings.mapped import MappedFile

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> ArrayStack:
    """Return a .npy file as a recording.

    NAME.json beside NAME.npy may hold an object with "scale" (of a pixel, in "unit"), "unit", "fps" and
    "name"; everything else in it becomes the recording's tags.
    """
    if item is not None:
        raise ValueError(f"{path} holds one array; leave item out.")
    file = MappedFile(path)
    try:
        # NumPy reads the header and checks the length; the frames come through our own view of the file,
        # which notices when it is cut short later.
        stack: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy lets Python read the header
        raise ValueError(
            f"{path} is not a whole .npy file of numbers ({error}); write or copy it again."
        ) from error
    sidecar = path.with_suffix(".json")
    told = _sidecar(sidecar)
    name, unit, scale, fps = (told.pop(key, None) for key in ("name", "unit", "scale", "fps"))
    # A plain view: what is computed from a frame should not be a memmap without a file.
    array = np.ndarray(stack.shape, stack.dtype, file.bytes, stack.offset, stack.strides)
    recording = ArrayStack(
        path, array, axis=axis, name=name, fps=fps, tags=told, file=file, files=lambda: (path, sidecar)
    )
    recording.calibrate(scale=scale, unit=unit)
    return recording


def _sidecar(path: Path) -> dict[str, Any]:
    """Return what a sidecar says; nothing if there is none."""
    if not path.exists():
        return {}
    try:
        told = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}); correct or remove it.") from error
    if not isinstance(told, dict):
        raise ValueError(  # noqa: TRY004 - the file is wrong, not the caller
            f'{path} holds a {type(told).__name__}; write an object such as {{"scale": 0.05, "unit": "nm"}}.'
        )
    return told
