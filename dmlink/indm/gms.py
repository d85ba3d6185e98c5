"""What one has to know of DigitalMicrograph (GMS) to use its images: version, axes, rectangles, changes."""

from __future__ import annotations

import zlib
from typing import Any, Sequence

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.info import Axis

CRASHING = {(3, 50), (3, 51)}  # GMS 3.5.0 and 3.5.1 crash with scripts that listen to a live view


def version() -> tuple[int, ...]:
    """Return (major, minor, build) of GMS, such as (3, 61, 4719); only DM-script knows it."""
    DM.ExecuteScriptString(
        "number a, b, c\n"
        "GetApplicationVersion(a, b, c)\n"
        'GetPersistentTagGroup().TagGroupSetTagAsLong("dmlink:version:major", a)\n'
        'GetPersistentTagGroup().TagGroupSetTagAsLong("dmlink:version:minor", b)\n'
        'GetPersistentTagGroup().TagGroupSetTagAsLong("dmlink:version:build", c)\n'
    )
    numbers = []
    for part in ("major", "minor", "build"):
        found, value = DM.GetPersistentTagGroup().GetTagAsLong("dmlink:version:" + part)
        numbers.append(int(value) if found else 0)
    return tuple(numbers)


def refusal(gms: tuple[int, ...]) -> str:
    """Return why this version of GMS cannot be used; empty when it can."""
    if gms[:2] in CRASHING:
        return "GMS 3.5.0 and 3.5.1 crash with scripts that listen to a live view. Use GMS 3.5.2 or later."
    return ""


def axis(image: Any, dimension: int) -> Axis:
    """Return the calibration of a dimension of an image: 0 is x, 1 is y, which a spectrum does not have."""
    if dimension >= image.GetNumDimensions():
        return Axis()
    origin, scale, unit = image.GetDimensionCalibration(dimension, 0)
    return Axis(float(origin), float(scale), ascii_unit(unit))


def ascii_unit(unit: Any) -> str:
    """Return a unit as plain text; micrometres come from DM as bytes and crash it when sent back as such."""
    text = unit.decode("latin-1") if isinstance(unit, bytes) else str(unit or "")
    return text.replace("\u00b5", "u").replace("\u03bc", "u").encode("ascii", "replace").decode("ascii")


def clamped(rectangle: Sequence[float], height: int, width: int) -> tuple[int, int, int, int]:
    """Return the part of (top, left, bottom, right) that lies on the image: at least one pixel."""
    top = min(max(0, int(rectangle[0])), height - 1)
    left = min(max(0, int(rectangle[1])), width - 1)
    return (
        top,
        left,
        min(max(top + 1, int(rectangle[2])), height),
        min(max(left + 1, int(rectangle[3])), width),
    )


def signature(array: Any) -> Any:
    """Return a cheap checksum of four rows of a 2-D array: the same after an event that brought no new data.

    The In-Situ Player sends its event twice for each frame.
    """
    step = max(1, len(array) // 4)
    return array.shape, [zlib.crc32(memoryview(row.view(np.uint8))) for row in array[step - 1 :: step]]
