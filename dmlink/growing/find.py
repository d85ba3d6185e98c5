"""Detecting the layout of a growing recording, as soon as enough of it is on disk."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from dmlink.growing.files import ImageFiles, TreeFiles
from dmlink.growing.one_file import MibFile, OneFile
from dmlink.growing.raw_parts import RawParts
from dmlink.growing.zarr_journal import ZarrJournal
from dmlink.indm.recorded import PERIOD
from dmlink.recordings.formats.dm import images
from dmlink.recordings.formats.image_folder import kind_of
from dmlink.recordings.formats.insitu import RAW
from dmlink.recordings.writing.ome_zarr_writer import JOURNAL

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.growing.layout import Layout


def find_layout(path: Path) -> Layout | None:
    """Return the layout of the recording at `path`; None while it cannot be determined yet.

    Raises
    ------
    OSError
        If there is nothing at `path`, or it cannot be reached.
    ValueError
        If there are several recordings.
    """
    suffix = path.suffix.lower()
    if RAW.fullmatch(suffix):
        return RawParts(path.with_suffix(".dm4"))
    if suffix == ".dm4":
        return _of_header(path)
    if not stat.S_ISDIR(path.stat().st_mode):
        return MibFile(path) if suffix == ".mib" else OneFile(path)
    names = os.listdir(path)  # noqa: PTH208 - names are all that is wanted
    if (path / JOURNAL).exists():
        return ZarrJournal(path)
    if suffix == ".zarr":
        return OneFile(path) if "zarr.json" in names else None
    return _of_folder(path, names)


def _of_header(path: Path) -> Layout | None:
    """Return the layout of NAME.dm4, which may not exist yet."""
    if path.with_suffix(".raw").exists():
        return RawParts(path)
    if any(PERIOD.fullmatch(name) for name in os.listdir(path.parent)):  # noqa: PTH208
        return TreeFiles(path.parent, path)
    path.stat()
    return None if _is_in_situ(path) else OneFile(path)


def _of_folder(path: Path, names: list[str]) -> Layout | None:
    """Return the layout of a folder that contains these names."""
    if any(PERIOD.fullmatch(name) for name in names):
        return TreeFiles(path, None)
    raws = sorted(name for name in names if name.lower().endswith(".raw"))
    if len(raws) > 1:
        raise ValueError(
            f"{path} holds several recordings, {raws[0]} and {raws[1]} among them; give the .dm4 of one."
        )
    if raws:
        return RawParts((path / raws[0]).with_suffix(".dm4"))
    frames = [name for name in names if kind_of(name) and name[0] != "."]
    if len(frames) == 1 and kind_of(frames[0]) == ".mib":
        return MibFile(path / frames[0])
    if len(frames) == 1 and kind_of(frames[0]) == ".dm4" and _is_in_situ(path / frames[0]):
        return None  # its frames will be next to it
    return ImageFiles(path) if frames else None


def _is_in_situ(path: Path) -> bool:
    """Return whether a .dm4 is, or may still become, the header of an in-situ recording."""
    try:
        return "In-situ" in images(path)[0].tags
    except (OSError, ValueError):
        return True
