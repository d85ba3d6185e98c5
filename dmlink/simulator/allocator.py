"""Allocator: large pieces of memory go back to the system as soon as they are free, as in Windows."""

from __future__ import annotations

import contextlib
import ctypes
import sys

LARGE = 1 << 20  # bytes
_M_MMAP_THRESHOLD = -3  # malloc.h of glibc


def give_back_large_pieces() -> None:
    """Have glibc do so in this process; elsewhere no effect.

    By itself it learns from the first frame that is freed to keep what the next ones leave: half a gigabyte,
    once a slow disk has let frames wait in the companion.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):  # another C library
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE)
