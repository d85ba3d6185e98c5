"""Mapped: a file mapped into memory, whose arrays read only what is used and notice if the file shrinks."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

#: Not on Windows, which reclaims a process's mapped pages by itself.
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
        Its content.
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
        """Return an array of `shape` at byte `offset`; ValueError if the file ends before the array does."""
        # With Python's integers, because a damaged header may claim more than 64 bits can count.
        steps = strides or tuple(
            dtype.itemsize * int(np.prod(shape[i + 1 :], dtype=object)) for i in range(len(shape))
        )
        if min(shape, default=0) < 1:
            raise ValueError(f"{self.path} has no pixels: its shape is {shape}; choose another recording.")
        end = offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True)) + dtype.itemsize
        if end > self.size:
            raise ValueError(f"{self.path} is cut short: it has {self.size} of {end} bytes; copy it again.")
        return np.ndarray(shape, dtype, self.bytes, offset, steps)

    def release(self) -> None:
        """Release the memory of what was read, which would grow to the size of the file.

        Arrays stay valid; what is used again comes from the system's cache.
        """
        if DONT_NEED is not None:
            self.bytes.madvise(DONT_NEED)

    def check(self) -> None:
        """Raise a ValueError if the file became shorter: reading beyond its end would kill this process."""
        if self.bytes.size() < self.size:
            raise ValueError(
                f"{self.path} became shorter while it was open ({self.bytes.size()} of {self.size} bytes); "
                "wait until it is completely written, and open it again."
            )
