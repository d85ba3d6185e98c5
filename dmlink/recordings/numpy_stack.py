"""NumPy stacks: one .npy file, mapped into memory, and what NAME.json beside it tells about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.recordings.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path


class NumpyStack(Recording):
    """A .npy file of shape (n, h, w), or (h, w) for a single frame.

    NAME.json beside NAME.npy may hold an object with "scale" (of a pixel, in "unit"), "unit", "fps" and
    "name"; everything else in it becomes the recording's tags.
    """

    def __init__(self, path: Path) -> None:
        try:
            stack: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(
                f"{path} is not a whole .npy file of numbers ({error}); write or copy it again."
            ) from error
        if stack.ndim not in (2, 3):
            raise ValueError(f"{path} has the shape {stack.shape}; a recording is (n, h, w) or (h, w).")
        # A plain view: what is computed from a frame should not be a memmap without a file.
        self._stack: np.ndarray | None = np.asarray(stack if stack.ndim == 3 else stack[np.newaxis])
        n, h, w = self._stack.shape
        told = _sidecar(path.with_suffix(".json"))
        name, unit, scale, fps = (told.pop(key, None) for key in ("name", "unit", "scale", "fps"))
        super().__init__(path, (n, h, w), stack.dtype, name=name, fps=fps, tags=told)
        self.calibrate(scale=scale, unit=unit)

    def _read(self, i: int) -> np.ndarray:
        assert self._stack is not None  # noqa: S101 - closed recordings do not read
        return np.asarray(self._stack[i])

    def _close(self) -> None:
        self._stack = None  # unmapped as soon as no frame uses it


read = NumpyStack


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
