"""File names: what cells, results and views are called, as names that files can have on any system."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 100  # letters
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no files for Windows


def file_name(name: str) -> str:
    """Return a name as one that a file can have."""
    plain = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name)[:LONGEST].strip(". ") or "result"
    return f"{plain}_" if DEVICES.fullmatch(plain) else plain


class FileNames:
    """Gives names to files of one folder, each only once. `taken` are files that are there already."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {_on_disk(file) for file in taken}

    def take(self, name: str, endings: Iterable[str] = ("",)) -> str:
        """Return a name that is free with all of these endings, with as many `'` as that needs."""
        free, endings = file_name(name), tuple(endings)
        while any(_on_disk(free + ending) in self._taken for ending in endings):
            free += "'"
        self._taken |= {_on_disk(free + ending) for ending in endings}
        return free


def _on_disk(file: str) -> str:
    """Return what two names share that cannot both be files: Windows does not tell `Mean` from `mean`."""
    return unicodedata.normalize("NFC", file).casefold()
