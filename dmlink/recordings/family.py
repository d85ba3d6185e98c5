"""The family of formats that a file or folder belongs to: by its first bytes, else by its name."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING

from dmlink.recordings.insitu import PERIOD, has_raw, has_tree

if TYPE_CHECKING:
    from pathlib import Path

#: How a file begins, and the module that reads it.
BEGINNINGS = {
    b"\x93NUMPY": "numpy_stack",
    b"II*\0": "tiff_stack",
    b"MM\0*": "tiff_stack",
    b"II+\0": "tiff_stack",
    b"MM\0+": "tiff_stack",
    b"\x89PNG": "image_folder",
    b"\xff\xd8\xff": "image_folder",
    b"BM": "image_folder",
    b"\x89HDF\r\n\x1a\n": "hdf5_file",
    b"II\x97\x01": "ser_file",
    b"MQ1,": "mib_file",
    b"\0\0\0\x03": "dm_file",
    b"\0\0\0\x04": "dm_file",
}

#: MRC's mark, and where it is (MRC2014, word 53). Older files have none.
MRC_MARK, MRC_AT = b"MAP ", 208
MRC_SUFFIXES = (".mrc", ".mrcs", ".st", ".ali", ".rec", ".map")

#: What marks a folder as OME-Zarr, of version 0.5 and before.
ZARR = ("zarr.json", ".zattrs", ".zgroup")


def family_of(path: Path) -> str:
    """Return the name of the module that reads `path`.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If it is of no family that dmlink knows.
    """
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"There is no recording at {path}; check the path.{_advice(path)}") from error
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise ValueError(f"{path} is a symbolic link that leads back to itself; give the file.") from error
    if not (stat.S_ISDIR(kind) or stat.S_ISREG(kind)):
        raise ValueError(f"{path} is neither a file nor a folder; give the recording itself.")
    return _folder(path) if stat.S_ISDIR(kind) else _file(path)


def _advice(path: Path) -> str:
    """Return what is wrong with a path that was meant for Windows; nothing if nothing is."""
    if any(character < " " for character in str(path)):
        return ' A backslash in it has become another character: write r"..." or use / instead.'
    if PureWindowsPath(path).drive and os.name != "nt":
        return " It is a path of Windows, and this is another system."
    return ""


def _folder(path: Path) -> str:
    """Return the family of a folder, by the names in it alone."""
    if any((path / mark).exists() for mark in ZARR):
        return "zarr_image"
    with os.scandir(path) as entries:  # as far as the first name that tells
        for entry in entries:
            if PERIOD.fullmatch(entry.name) or entry.name.lower().endswith((".dm4", ".dm3")):
                return "insitu"
            if entry.name.lower().endswith((".png", ".jpg", ".jpeg", ".tif", ".tiff")):
                break
    return "image_folder"


def _file(path: Path) -> str:
    """Return the family of a file."""
    with path.open("rb") as file:
        start = file.read(MRC_AT + len(MRC_MARK))
    suffix = path.suffix.lower()
    if suffix == ".raw" or suffix.startswith(".raw_"):
        return "insitu"
    if not start:
        raise ValueError(f"{path} is empty; copy or record it again.")
    if start[MRC_AT:] == MRC_MARK:
        return "mrc_file"
    family = next((f for mark, f in BEGINNINGS.items() if start.startswith(mark)), None)
    if family == "dm_file":
        return "insitu" if suffix == ".dm4" and (has_raw(path) or has_tree(path)) else family
    if family is not None:
        return family
    if suffix in MRC_SUFFIXES:
        return "mrc_file"
    return "other_formats"
