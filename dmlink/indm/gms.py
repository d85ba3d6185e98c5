"""What one has to know of DigitalMicrograph (GMS) to use its images: version, axes, rectangles, changes."""

from __future__ import annotations

import math
from typing import Any, Iterator, Sequence

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.info import Axis

RESULT_TAG = "dmlink:result"  # set on images that dmlink has made: they are nobody's live view
SAMPLED_ROWS = 8
SAMPLED_PIXELS = 512  # in the middle of each of these rows; neighbours share cache lines
UNKNOWN = -2  # how far a scan was when we came
FEW_BITS = 16  # a row in which so many change does not stay the same by chance
SURE, SUREST = 3, 10  # frames in one piece that show a camera; how many are remembered
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
    if not (math.isfinite(origin) and math.isfinite(scale)):
        return Axis()
    return Axis(float(origin), float(scale), ascii_unit(unit))


def pixels_of(image: Any) -> np.ndarray:
    """Return the memory of an image as frames: (h, w), spectra as (1, n), colours as (h, w, 3) uint8.

    Raises
    ------
    ValueError
        If it is none of these; the text says so to the user.
    """
    try:
        array: np.ndarray = image.GetNumArray()
    except Exception as error:  # noqa: BLE001 - what DM raises for colour images is not known
        raise ValueError(
            f"DigitalMicrograph does not give the pixels of {str(image.GetName())!r} to Python: {error}"
        ) from None
    if array.ndim == 2:
        return array
    if array.ndim == 1:
        return array.reshape(1, -1)
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8:
        return array
    raise ValueError(
        f"The image {str(image.GetName())!r} has the shape {array.shape}; only images (h, w), spectra and "
        "colour images can be streamed."
    )


def shown_images() -> Iterator[Any]:
    """Yield every image that has a window, the one in front first, but not the results that dmlink shows."""
    seen = set()
    for i in range(-1, DM.CountImageDocuments()):
        try:
            image = DM.GetFrontImage() if i < 0 else _with_window(DM.GetImageDocument(i))
            number = image.GetID()
        except Exception:  # noqa: BLE001, S112 - without a window or an image, or closed just now
            continue
        if number not in seen and not _is_ours(image):
            seen.add(number)
            yield image
        del image  # DM frees an image only when Python has let go of it


def live_view() -> Any:
    """Return the image in front if it can be streamed, else the first one that can; None if there is none."""
    for image in shown_images():
        try:
            pixels_of(image)
        except ValueError:
            continue
        return image
    return None


def _with_window(document: Any) -> Any:
    document.GetWindow()
    return document.GetImage(0)


def _is_ours(image: Any) -> bool:
    try:
        found, value = image.GetTagGroup().GetTagAsBoolean(RESULT_TAG)
    except Exception:  # noqa: BLE001 - an image whose tags cannot be read is not one that we have made
        return False
    return bool(found and value)


def ascii_unit(unit: Any) -> str:
    """Return a unit as plain text; micrometres come from DM as bytes and crash it when sent back as such."""
    text = str(unit, "latin-1") if isinstance(unit, bytes) else str(unit or "")
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


def samples(array: Any) -> list[bytes]:
    """Return some pixels of a few rows, the last one among them: cheap to take, and other in each frame.

    Through a memoryview: after each frame the processor's cache holds little of NumPy, and this needs less.
    """
    if array.dtype.kind == "c" or not array.flags.c_contiguous:  # which memoryview cannot cast
        array = np.ascontiguousarray(array).view(np.uint8)
    flat = memoryview(array).cast("B")
    height, row = len(array), len(flat) // len(array)
    size = min(row, SAMPLED_PIXELS * array.itemsize)
    step = row * max(1, -(-height // SAMPLED_ROWS))
    last = len(flat) - row + (row - size) // 2
    return [bytes(flat[begin : begin + size]) for begin in range(last % step, last + 1, step)]


class Changes:
    """Tells a new frame from an event that brings none, or only a part of one.

    The In-Situ Player sends its event twice for each frame. A scan (STEM) comes row by row from the top, with
    events on the way: its frame is complete when the last row has changed. Rows that never change (a masked
    edge) must not be waited for: once others change again meanwhile, the last one of these is waited for.
    Rows without an electron in two frames running look the same: where few arrive, and frames have come in
    one piece before, these are no sign of a scan.
    """

    def __init__(self) -> None:
        self._samples: list[bytes] = []
        self._like: tuple[Any, ...] = ()
        self._tail = -1  # the sampled row that completes a frame
        self._scanned = -1  # the last sampled row of the part that has come already
        self._whole = 0  # frames that came in one piece, less those that perhaps did not

    def complete(self, array: Any) -> bool:
        """Look at the array; True if it holds a new, complete frame."""
        now, like = samples(array), (array.shape, array.dtype)
        before, self._samples = self._samples, now
        if like != self._like:
            self._like, self._tail, self._scanned = like, len(now) - 1, UNKNOWN
            self._whole = 0
            return True
        if now == before:
            return False
        head, tail = now[0] != before[0], now[self._tail] != before[self._tail]
        if head and tail and self._scanned < 0:  # all of it came at once: nothing else is looked at
            self._scanned, self._whole = -1, min(self._whole + 1, SUREST)
            return True
        changed = [i for i, (old, new) in enumerate(zip(before, now)) if old != new]
        if self._tail not in changed and self._is_part(changed):
            if self._whole >= SURE and _few(before, now, changed):
                self._whole -= 1
                return True
            self._tail = max(self._tail, changed[-1])
            self._scanned = changed[-1]
            return False
        if self._tail not in changed:
            self._tail = changed[-1]
        elif 0 <= changed[0] < self._scanned and len(changed) < len(now):
            # the end of one scan and the beginning of the next: we came too late for a whole frame
            self._scanned = next(i for i in range(len(now)) if i not in changed) - 1
            return False
        if self._scanned >= 0:
            self._whole = 0
        self._scanned = -1
        return True

    def _is_part(self, changed: list[int]) -> bool:
        """Tell whether these rows are the beginning of a scan, or go on where it was."""
        first, last = changed[0], changed[-1]
        if last - first + 1 != len(changed):
            return False
        if self._scanned == UNKNOWN:
            return True
        if self._scanned < 0:
            return first == 0 or first > self._tail
        return first in {self._scanned, self._scanned + 1} and last > self._scanned


def _few(before: list[bytes], now: list[bytes], changed: list[int]) -> bool:
    """Tell whether one of these rows has changed so little that it might as well not have."""
    pairs = ((int.from_bytes(rows[i], "little") for rows in (before, now)) for i in changed)
    return any(bin(old ^ new).count("1") < FEW_BITS for old, new in pairs)
