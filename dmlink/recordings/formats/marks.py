"""Marks: the first bytes of each format, and the module that reads it."""

from __future__ import annotations

#: First bytes of a file, and the module that reads it.
BEGINNINGS = {
    b"\x93NUMPY": "npy",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
    b"\x89PNG": "picture",
    b"\xff\xd8\xff": "picture",
    b"BM": "picture",
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"II\x97\x01": "ser",
    b"JK\0\x02": "ser",  # EMI
    b"MQ1,": "mib",
    b"\0\0\0\x03": "dm",
    b"\0\0\0\x04": "dm",
}

#: MRC's mark, and where it is (MRC2014, word 53). Older files have none.
MRC_MARK, MRC_AT = b"MAP ", 208
MRC_SUFFIXES = (".mrc", ".mrcs", ".st", ".ali", ".rec", ".map")

#: Bytes to look at.
START = 512


def by_content(start: bytes) -> str | None:
    """Return the name of the module that reads a file with these first bytes; None if unknown."""
    family = next((family for mark, family in BEGINNINGS.items() if start.startswith(mark)), None)
    return family or ("mrc" if start[MRC_AT:].startswith(MRC_MARK) else None)
