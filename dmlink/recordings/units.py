"""Units: one spelling of each unit, whatever the format's own."""

from __future__ import annotations

import re

from dmlink.frame import Axis

#: dmlink's spelling of a unit, by other programs' spellings in lower case.
SPELLED = dict.fromkeys(["um", "\u00b5m", "micron", "microns", "micrometer", "micrometre"], "\u00b5m")
SPELLED["\u00c2\u00b5m"] = "\u00b5m"  # UTF-8 read as Latin-1
SPELLED |= dict.fromkeys(["a", "angstrom", "angstroms", "ang", "\u00e5", "\u212b"], "\u00c5")
SPELLED |= {"picometer": "pm", "nanometer": "nm", "nanometers": "nm", "millimeter": "mm", "meter": "m"}
SPELLED |= {"meters": "m", "centimeter": "cm", "second": "s", "seconds": "s", "sec": "s"}
SPELLED |= {
    "millisecond": "ms",
    "milliseconds": "ms",
    "msec": "ms",
    "microsecond": "\u00b5s",
    "us": "\u00b5s",
}
SPELLED |= {"nanosecond": "ns", "minute": "min", "minutes": "min", "hour": "h", "hours": "h", "ev": "eV"}
SPELLED |= dict.fromkeys(
    ["", "px", "pixel", "pixels", "n/a", "none", "_none_", "<undefined>", "undefined", "reference frame"], ""
)

#: Metres in units of length.
METRES = {"pm": 1e-12, "\u00c5": 1e-10, "nm": 1e-9, "\u00b5m": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0}


def spelled(unit: object) -> str:
    """Return a unit in dmlink's spelling (nm, 1/nm, \u00b5m, s), or unchanged if unknown."""
    text = unit.decode("utf-8", "replace") if isinstance(unit, bytes) else str(unit or "")
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)  # as ImageJ writes it
    text = text.strip("[] \0\n").replace("\u03bc", "\u00b5").replace("_", "") or text.strip("[] \0\n")
    if text.casefold() == "a" and text != "A":
        return text  # a year or a lattice constant, not an angstrom
    if text in {"M", "S", "MS", "MM", "PM", "NM"}:
        return text  # capitals mean something else
    known = SPELLED.get(text.casefold().replace("\u03bc", "\u00b5"))
    if known is not None:
        return known
    below = re.fullmatch(r"1\s*/\s*(.+)|(\S+?)\s*(?:\^|\*\*)\s*\(?-1\)?", text)
    if below:
        return f"1/{spelled(below[1] or below[2])}"
    return text


def in_nanometres(size: float, unit: str) -> Axis:
    """Return the axis for a pixel size: m and 1/m become nm and 1/nm, other units stay."""
    unit = spelled(unit)
    if unit == "m":
        return Axis(0.0, size * 1e9, "nm")
    if unit == "1/m":
        return Axis(0.0, size * 1e-9, "1/nm")
    return Axis(0.0, size, unit)
