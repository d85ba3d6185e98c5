"""File names: names of cells, results and views made valid for files on any system."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from typing import TYPE_CHECKING, BinaryIO

from dmlink.indm.results import free_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LONGEST = 100  # characters
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # reserved on Windows


def file_name(name: str) -> str:
    """Return a name made valid for a file."""
    plain = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name)[:LONGEST].strip(". ") or "result"
    return f"{plain}_" if DEVICES.fullmatch(plain) else plain


class FileNames:
    """Gives unique names to the files in one folder; `taken` are names already in use."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {_on_disk(file) for file in taken}

    def take(self, name: str, endings: Iterable[str] = ("",)) -> str:
        """Return a name that is free with all of these endings, adding as many `'` as needed."""
        endings = tuple(endings)
        free = free_name(
            file_name(name), lambda free: any(_on_disk(free + ending) in self._taken for ending in endings)
        )
        self._taken |= {_on_disk(free + ending) for ending in endings}
        return free


def open_new(paths: Iterable[Path]) -> BinaryIO:
    """Create the first of these files that does not exist, and open it for writing.

    Raises
    ------
    FileExistsError
        If all of them exist.
    """
    path = None
    for path in paths:
        with contextlib.suppress(FileExistsError):
            return path.open("xb")
    raise FileExistsError(f"{path} exists, and so do those with lower numbers; move them elsewhere.")


def _on_disk(file: str) -> str:
    """Return a key that is equal for names that clash on disk, such as `Mean` and `mean` on Windows."""
    return unicodedata.normalize("NFC", file).casefold()
