"""Allocator: makes the C library return large blocks of memory to the system when they are freed."""

from __future__ import annotations

import contextlib
import ctypes
import sys

LARGE = 1 << 20  # bytes
_M_MMAP_THRESHOLD = -3  # malloc.h of glibc


def give_back_large_pieces() -> None:
    """Return freed blocks to the system at once in this process, as Windows does; no effect without glibc.

    By default, once glibc has freed a first frame, it keeps the memory of all later ones: half a gigabyte
    after a slow disk made frames pile up in the companion.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):  # another C library
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE)
