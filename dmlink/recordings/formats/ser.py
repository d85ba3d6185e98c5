"""SER: series of images or spectra from TIA (FEI), with metadata in an EMI file.

The layout is described by Chris Boothroyd, "TIA Series Data File Format" (2010).
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np

from dmlink.frame import Axis
from dmlink.recordings.array_stack import choose
from dmlink.recordings.formats.natural_order import in_natural_order
from dmlink.recordings.mapped import MappedFile
from dmlink.recordings.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item

DTYPES = {1: "u1", 2: "<u2", 3: "<u4", 4: "i1", 5: "<i2", 6: "<i4", 7: "<f4", 8: "<f8", 9: "<c8", 10: "<c16"}

SPECTRA, PICTURES = 0x4120, 0x4122

#: From this version on, offsets have 64 bits.
LONG_OFFSETS = 0x0220

#: TIA's unit is m, or 1/m in diffraction patterns; the file does not say which.
NANOMETRES = 1e9

#: An image's pixels are smaller than 1 m, a pattern's larger than 1/m.
LARGEST_PIXEL = 1.0

#: The microscope's data in an EMI: labels in its XML, and dmlink's tags with the factor to V and mm.
MICROSCOPE = {"High tension": ("high_tension", 1e3), "Magnification": ("magnification", 1.0)}
MICROSCOPE |= {"Camera length": ("camera_length", 1e3)}


class SerSeries(Recording):
    """The frames written of a series, such as 5 of 200 planned ones; `expected` is then 200."""

    def __init__(self, path: Path) -> None:
        self._file = MappedFile(path)
        try:
            expected, offsets, tag_offsets, kind = self._series()
            (shape, dtype), axes = self._element(offsets[0], kind)
            times = self._seconds(tag_offsets)
        except (struct.error, KeyError, IndexError, ValueError) as error:
            if str(path) in str(error):
                raise
            raise ValueError(f"{path} is not a complete SER file ({error}); copy it again.") from error
        self._offsets, self._kind = offsets, kind
        self._layout = shape, dtype
        self._file.array(shape, dtype, self._start(offsets[-1]))  # fail now if it is cut short
        super().__init__(
            path,
            (len(offsets), *shape),
            dtype,
            y=axes[0],
            x=axes[1],
            times=times,
            tags=_tags(path),
            expected=expected,
        )

    def _unpack(self, layout: str, at: int) -> tuple[Any, ...]:
        return struct.unpack_from(f"<{layout}", self._file.bytes, at)

    def _series(self) -> tuple[int, list[int], list[int], int]:
        """Return (planned frames, offsets of the written frames, offsets of their tags, kind)."""
        version, kind, _, expected, valid = self._unpack("H4i", 4)
        if kind not in (SPECTRA, PICTURES):
            raise ValueError(f"its elements are of kind {kind:#x}")
        if not 0 < valid <= expected:
            raise ValueError(f"it claims {valid} valid frames of {expected}")
        word = "q" if version >= LONG_OFFSETS else "i"
        (start,) = self._unpack(word, 22)
        # The tags' offsets come after room for all planned frames.
        offsets = self._unpack(f"{valid}{word}", start)
        if min(offsets) < start:
            raise ValueError(f"a frame cannot start at byte {min(offsets)}")
        tags = self._unpack(f"{valid}{word}", start + expected * struct.calcsize(f"<{word}"))
        return expected, list(offsets), list(tags), kind

    def _element(self, at: int, kind: int) -> tuple[tuple[tuple[int, int], np.dtype[Any]], list[Axis]]:
        """Return the shape, data type and axes (y, x) of the element at byte `at`."""
        calibrations = [self._unpack("2di", at + 20 * i) for i in range(1 if kind == SPECTRA else 2)]
        (code,) = self._unpack("h", at + 20 * len(calibrations))
        sizes = self._unpack(f"{len(calibrations)}i", at + 20 * len(calibrations) + 2)
        # `offset` is the value at pixel `element`. Spectra are in eV, images in m or 1/m.
        axes = []
        for offset, delta, element in calibrations:
            factor, unit = 1 / NANOMETRES, "1/nm"
            if kind == SPECTRA:
                factor, unit = 1.0, "eV"
            elif abs(delta) < LARGEST_PIXEL:
                factor, unit = NANOMETRES, "nm"
            axes.append(Axis((offset - element * delta) * factor, delta * factor, unit) if delta else Axis())
        x, y = axes[0], axes[1] if len(axes) > 1 else Axis()
        w, h = sizes[0], sizes[1] if len(sizes) > 1 else 1
        return ((h, w), np.dtype(DTYPES[code])), [y, x]

    def _start(self, at: int) -> int:
        """Return the offset of the pixels of the element at byte `at`."""
        return at + (26 if self._kind == SPECTRA else 50)

    def _seconds(self, offsets: list[int]) -> np.ndarray | None:
        """Return when each frame was taken, in seconds after the first; None if the tags have no times."""
        if not all(0 < at <= self._file.size - 8 for at in offsets):
            return None
        times = np.array([self._unpack("hxxi", at)[1] for at in offsets], float)
        return times - times[0] if np.ptp(times) > 0 else None  # TIA stores whole seconds

    def _read(self, i: int) -> np.ndarray:
        self._file.check()
        self._file.release()
        at = self._offsets[i]
        try:
            layout = self._element(at, self._kind)[0]
        except (struct.error, KeyError) as error:
            raise ValueError(f"Frame {i} of {self.path} is damaged ({error}); copy it again.") from error
        if layout != self._layout:
            raise ValueError(
                f"Frame {i} of {self.path} differs in size or type from the first; split the series in TIA."
            )
        pixels = self._file.array(*self._layout, self._start(at))
        return pixels[::-1]  # TIA stores the bottom row first

    def _close(self) -> None:
        del self._file  # unmapped as soon as no frame uses it


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> Recording:
    """Return a series: for a .ser itself, for a .emi the first of NAME_1.ser, NAME_2.ser, ... or `item`."""
    if axis is not None:
        raise ValueError(f"{path} is one series of frames; leave axis out.")
    if path.suffix.lower() != ".emi":
        if item is not None:
            raise ValueError(f"{path} is one series of frames; leave item out.")
        return SerSeries(path)
    files = _series_of(path)
    if not files:
        raise ValueError(f"{path} belongs to {path.stem}_1.ser, which is missing; put it next to it.")
    recording = SerSeries(choose(path, [path.with_name(name) for name in files], files, item))
    recording.items = tuple(files) if len(files) > 1 else ()
    recording.options = {}
    return recording


def _series_of(emi: Path) -> list[str]:
    """Return the names of the series that belong to an EMI."""
    number = re.compile(re.escape(emi.stem) + r"_\d+\.ser", re.IGNORECASE)
    return in_natural_order([file.name for file in emi.parent.iterdir() if number.fullmatch(file.name)])


def _tags(ser: Path) -> dict[str, Any]:
    """Return the microscope's data from a series' EMI file; empty if there is none."""
    stem = re.sub(r"_\d+$", "", ser.stem)
    emi = next((e for e in (ser.with_name(f"{stem}.emi"), ser.with_name(f"{stem}.EMI")) if e.is_file()), None)
    if emi is None:
        return {}
    found = re.search(rb"<ObjectInfo>.*?</ObjectInfo>", emi.read_bytes(), re.DOTALL)
    if not found:
        return {}
    try:
        about = ET.fromstring(found[0])  # noqa: S314
    except ET.ParseError:
        return {}
    tags: dict[str, Any] = {}
    for data in about.iter("Data"):
        label, value = data.findtext("Label") or "", data.findtext("Value") or ""
        if label in MICROSCOPE:
            name, factor = MICROSCOPE[label]
            try:
                tags[name] = float(value) * factor
            except ValueError:
                continue
        elif label == "Mode":
            tags["mode"] = value.strip()
    return tags
