"""File names: names of cells, results and views made valid for files on any system."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import unicodedata
from typing import TYPE_CHECKING, BinaryIO

from dmlink.indm.renaming import give_name
from dmlink.indm.results import free_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LONGEST = 100  # characters
MOST_FILES = 10_000  # numbers tried for a file
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


@contextlib.contextmanager
def open_new(paths: Iterable[Path]) -> Iterator[BinaryIO]:
    """Create the first of these files that does not exist, open for writing; if this fails, none remains.

    Raises
    ------
    FileExistsError
        If all of them exist.
    """
    path = None
    for path in paths:
        try:
            file = path.open("xb")
        except FileExistsError:
            continue
        try:
            with file:
                yield file
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        return
    raise FileExistsError(f"{path} exists, and so do those with lower numbers; move them elsewhere.")


def write_text(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a file as a whole; if this fails, an old one stays and no part of the new one does.

    Raises
    ------
    FileExistsError
        If it exists, unless `overwrite` is set.
    """
    if overwrite:
        write_whole(path, text.encode())
        return
    with open_new([path]) as file:
        file.write(text.encode())


def write_whole(path: Path, data: bytes) -> None:
    """Write or replace a file atomically, even if others write the same one."""
    made = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
    try:
        made.write_bytes(data)
        give_name(made, path, overwrite=True)
    except BaseException:
        with contextlib.suppress(OSError):
            made.unlink()
        raise


def _on_disk(file: str) -> str:
    """Return a key that is equal for names that clash on disk, such as `Mean` and `mean` on Windows."""
    return unicodedata.normalize("NFC", file).casefold()
