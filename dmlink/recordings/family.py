"""Family: the format family of a file or folder, found by its first bytes, else by its name."""

from __future__ import annotations

import errno
import os
import stat
import zipfile
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING

from dmlink.indm.recorded import PERIOD
from dmlink.recordings.formats.insitu import has_raw, has_tree, header_of
from dmlink.recordings.formats.marks import MRC_SUFFIXES, START, by_content
from dmlink.recordings.writing.reference_writer import REFERENCE

if TYPE_CHECKING:
    from pathlib import Path

#: Suffixes of formats whose files start with a signature; a file without it is something else.
MARKED = {".ser": "ser", ".mib": "mib", ".dm3": "dm", ".dm4": "dm", ".npy": "npy", ".tif": "tiff"}
MARKED |= {".tiff": "tiff", ".png": "picture", ".jpg": "picture", ".jpeg": "picture", ".bmp": "picture"}
MARKED |= {".hspy": "hdf5", ".emi": "ser", ".h5": "hdf5", ".hdf5": "hdf5", ".nxs": "hdf5", ".emd": "hdf5"}

#: Files that mark a folder as Zarr: version 3, and earlier.
ZARR = ("zarr.json", ".zattrs", ".zgroup", ".zarray")

#: First bytes of files that are not recordings.
MOVIES = {b"\x1aE\xdf\xa3": "Matroska or WebM", b"FLV": "Flash video", b"\x30\x26\xb2\x75": "Windows Media"}
ARCHIVES = {b"PK\x03\x04": "ZIP", b"\x1f\x8b": "gzip", b"7z\xbc\xaf\x27\x1c": "7-Zip", b"BZh": "bzip2"}
ARCHIVES |= {b"\xfd7zXZ": "xz", b"Rar!": "RAR", b"\x28\xb5\x2f\xfd": "Zstandard"}

#: Suffixes of RosettaSciIO's formats that are archives themselves.
ZIPPED = (".zspy", ".prz", ".elid")


def family_of(path: Path) -> str:
    """Return the name of the module that reads `path`.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If dmlink does not know its format.
    """
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"There is no recording at {path}; check the path.{_advice(path)}") from error
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise ValueError(f"{path} is a symbolic link to itself; give the path of the file.") from error
    if not (stat.S_ISDIR(kind) or stat.S_ISREG(kind)):
        raise ValueError(f"{path} is neither a file nor a folder; give the path of the recording.")
    return _folder(path) if stat.S_ISDIR(kind) else _file(path)


def _advice(path: Path) -> str:
    """Return what is wrong with a Windows path; empty if nothing is."""
    if any(character < " " for character in str(path)):
        return ' A backslash in it became another character: write r"..." or use / instead.'
    if PureWindowsPath(path).drive and os.name != "nt":
        return " It is a Windows path, but this is not Windows."
    return ""


def _folder(path: Path) -> str:
    """Return the family of a folder, only by the names in it and independent of their order."""
    if any((path / mark).exists() for mark in ZARR):
        return "zspy" if path.suffix.lower() == ".zspy" else "ome_zarr"
    if (path / REFERENCE).exists():
        return "reference"
    raws = []
    with os.scandir(path) as entries:
        for entry in entries:
            if PERIOD.fullmatch(entry.name):
                return "insitu"
            if entry.name.lower().endswith(".raw"):
                raws.append(path / entry.name)
    return "insitu" if any(header_of(raw) for raw in raws) else "image_folder"


def _file(path: Path) -> str:
    """Return the family of a file."""
    with path.open("rb") as file:
        start = file.read(START)
    suffix = path.suffix.lower()
    if suffix == ".raw" or suffix.startswith(".raw_"):
        return "insitu"
    if not start:
        raise ValueError(f"{path} is empty; copy or record it again.")
    family = by_content(start)
    if family == "dm":
        return "insitu" if suffix == ".dm4" and (has_raw(path) or has_tree(path)) else family
    if family is not None:
        return family
    if start.startswith(b"PK\x03\x04") and (suffix == ".zspy" or _holds_zarr(path)):
        return "zspy" if suffix == ".zspy" else "ome_zarr"
    if other := _other(path, start, suffix):
        raise ValueError(other)
    if suffix in MRC_SUFFIXES:
        return "mrc"
    return "rosettasciio"


def _holds_zarr(path: Path) -> bool:
    """Whether a ZIP file is a Zarr store."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(mark in archive.namelist() for mark in ZARR)
    except zipfile.BadZipFile:
        return False


def _other(path: Path, start: bytes, suffix: str) -> str:
    """Return why a file is not a recording, such as a movie or an archive; empty if unknown."""
    movie = next((name for mark, name in MOVIES.items() if start.startswith(mark)), "")
    if start.startswith(b"RIFF") and start[8:12] in (b"AVI ", b""):
        movie = "AVI"
    if start[4:8] == b"ftyp":
        movie = "MP4 or QuickTime"
    if movie:
        return (
            f"{path} is a movie ({movie}), whose images are compressed with losses. Use the recording that "
            "it was made from, or extract its frames (ffmpeg -i MOVIE frame_%05d.png) and open the folder."
        )
    archive = next((name for mark, name in ARCHIVES.items() if start.startswith(mark)), "")
    if start[257:262] == b"ustar":
        archive = "tar"
    if archive and suffix not in ZIPPED:
        return f"{path} is an archive ({archive}): unpack it and open its contents."
    if suffix in MARKED:
        return (
            f"{path} has the suffix {suffix} but starts with {start[:8]!r}, which no such file does. Correct "
            "the suffix, or copy the file again if it was damaged."
        )
    return ""
