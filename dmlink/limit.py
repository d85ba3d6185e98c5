"""Limit: how much memory this process may use. Kept by the operating system on Linux; elsewhere no effect."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

if sys.platform != "win32":
    import resource

_STATUS = Path("/proc/self/statm")


def mapped() -> int:
    """Return the bytes of addresses that this process uses now, 0 where that is not known."""
    if sys.platform == "win32" or not _STATUS.exists():
        return 0
    return int(_STATUS.read_text("ascii").split()[0]) * resource.getpagesize()


def set_limit(size: int) -> None:
    """Let this process use so many bytes of addresses; beyond that it gets a MemoryError."""
    if sys.platform != "win32" and _STATUS.exists():
        _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        with contextlib.suppress(ValueError, OSError):  # the system allows less
            resource.setrlimit(resource.RLIMIT_AS, (size, hard))
