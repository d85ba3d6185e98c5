"""A file mapped into memory: arrays that read only what is touched, and notice when the file shrinks."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

#: Not on Windows, which takes a process's mapped pages back by itself.
DONT_NEED = getattr(mmap, "MADV_DONTNEED", None)


class MappedFile:
    """A file, mapped read-only.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    size : int
        Its length in bytes when it was opened.
    bytes : mmap.mmap
        What it holds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self.size = os.fstat(file.fileno()).st_size
            if not self.size:
                raise ValueError(f"{path} is empty; copy or record it again.")
            self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def array(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        offset: int,
        strides: tuple[int, ...] | None = None,
    ) -> np.ndarray:
        """Return an array of `shape` that begins at byte `offset`; a ValueError if the file ends before."""
        # In Python's integers: a damaged header may announce more than 64 bits can count.
        steps = strides or tuple(
            dtype.itemsize * int(np.prod(shape[i + 1 :], dtype=object)) for i in range(len(shape))
        )
        if min(shape) < 1:
            raise ValueError(f"{self.path} holds no pixels: its shape is {shape}; choose another recording.")
        end = offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True)) + dtype.itemsize
        if end > self.size:
            raise ValueError(
                f"{self.path} is cut short: {self.size} bytes of {end} are there; copy it again."
            )
        return np.ndarray(shape, dtype, self.bytes, offset, steps)

    def release(self) -> None:
        """Let go of the memory of what was touched, which would grow to the size of the file.

        Arrays stay valid: what is touched again comes from the system's cache.
        """
        if DONT_NEED is not None:
            self.bytes.madvise(DONT_NEED)

    def check(self) -> None:
        """Refuse to touch a file that became shorter: the system would end this process for it."""
        if self.bytes.size() < self.size:
            raise ValueError(
                f"{self.path} became shorter while it was open ({self.bytes.size()} bytes of {self.size}); "
                "wait until its writer has finished, and open it again."
            )
