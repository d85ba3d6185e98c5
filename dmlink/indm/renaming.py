"""Renaming: gives a finished file its final name, even if another program has it open on Windows."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# On Windows, a file that a reader, the indexer or a virus scanner has open cannot be renamed.
HELD_SECONDS = 5.0 if sys.platform == "win32" else 0.0
AGAIN_SECONDS = 0.05


def give_name(made: Path, name: Path, *, overwrite: bool = False) -> None:
    """Rename a file or folder; on Windows, keep trying for 5 s while another program has it open.

    Raises
    ------
    OSError
        If that fails. On Windows also if a file with that name exists, without `overwrite`.
    """
    end = time.perf_counter() + HELD_SECONDS
    while True:
        try:
            if overwrite:
                made.replace(name)
            else:
                made.rename(name)
        except PermissionError:  # noqa: PERF203 - each attempt for itself
            if time.perf_counter() >= end:
                raise
            time.sleep(AGAIN_SECONDS)
        else:
            return
