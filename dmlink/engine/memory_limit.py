"""Memory limit of this process; Linux enforces it, and it has no effect on other systems."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

if sys.platform != "win32":
    import resource

_STATUS = Path("/proc/self/statm")


def mapped() -> int:
    """Return how many bytes of address space this process uses; 0 if unknown."""
    if sys.platform == "win32" or not _STATUS.exists():
        return 0
    return int(_STATUS.read_text("ascii").split()[0]) * resource.getpagesize()


def set_limit(size: int | None) -> None:
    """Limit the address space to `size` bytes (None: only the system's limit); beyond it is a MemoryError."""
    if sys.platform != "win32" and _STATUS.exists():
        _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        with contextlib.suppress(ValueError, OSError):  # `size` is above the hard limit
            resource.setrlimit(resource.RLIMIT_AS, (hard if size is None else size, hard))
