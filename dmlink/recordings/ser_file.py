"""SER: series of images or spectra that TIA (FEI) writes.

The layout is described by Chris Boothroyd, "TIA Series Data File Format" (2010).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.frame import Axis
from dmlink.recordings.mapped import MappedFile
from dmlink.recordings.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item

DTYPES = {1: "u1", 2: "<u2", 3: "<u4", 4: "i1", 5: "<i2", 6: "<i4", 7: "<f4", 8: "<f8", 9: "<c8", 10: "<c16"}

SPECTRA, PICTURES = 0x4120, 0x4122

#: From this version on, offsets have 64 bits.
LONG_OFFSETS = 0x0220

#: TIA counts metres.
NANOMETRES = 1e9


class SerSeries(Recording):
    """The frames of a series that have been written: of 200 planned, perhaps 5; `expected` is 200."""

    def __init__(self, path: Path, *, axis: Dimensions = None, item: Item = None) -> None:
        if axis is not None or item is not None:
            raise ValueError(f"{path} is one series of frames; leave axis and item out.")
        self._file = MappedFile(path)
        try:
            expected, offsets, tag_offsets, kind = self._series()
            (shape, dtype), axes = self._element(offsets[0], kind)
            times = self._times(tag_offsets)
        except (struct.error, KeyError, IndexError, ValueError) as error:
            if str(path) in str(error):
                raise
            raise ValueError(f"{path} is not a whole SER file ({error}); copy it again.") from error
        self._offsets, self._kind = offsets, kind
        self._layout = shape, dtype
        self._file.array(shape, dtype, self._start(offsets[-1]))  # says now that it is cut short
        super().__init__(
            path,
            (len(offsets), *shape),
            dtype,
            y=axes[0],
            x=axes[1],
            times=times,
            expected=expected,
        )

    def _unpack(self, layout: str, at: int) -> tuple[Any, ...]:
        return struct.unpack_from(f"<{layout}", self._file.bytes, at)

    def _series(self) -> tuple[int, list[int], list[int], int]:
        """Return how many frames were planned, where those written and their tags are, and their kind."""
        version, kind, _, expected, valid = self._unpack("H4i", 4)
        if kind not in (SPECTRA, PICTURES):
            raise ValueError(f"its elements are of kind {kind:#x}")
        if not 0 < valid <= expected:
            raise ValueError(f"it says that {valid} of {expected} frames are valid")
        word = "q" if version >= LONG_OFFSETS else "i"
        (start,) = self._unpack(word, 22)
        # Room is left for all that were planned: the tags' offsets come after it.
        offsets = self._unpack(f"{valid}{word}", start)
        if min(offsets) < start:
            raise ValueError(f"it says that a frame begins at byte {min(offsets)}")
        tags = self._unpack(f"{valid}{word}", start + expected * struct.calcsize(f"<{word}"))
        return expected, list(offsets), list(tags), kind

    def _element(self, at: int, kind: int) -> tuple[tuple[tuple[int, int], np.dtype[Any]], list[Axis]]:
        """Return the shape, data type and axes (y, x) of the element at byte `at`."""
        calibrations = [self._unpack("2di", at + 20 * i) for i in range(1 if kind == SPECTRA else 2)]
        (code,) = self._unpack("h", at + 20 * len(calibrations))
        sizes = self._unpack(f"{len(calibrations)}i", at + 20 * len(calibrations) + 2)
        # `offset` is at pixel `element`. Spectra are in eV, pictures in metres.
        factor, unit = (1.0, "eV") if kind == SPECTRA else (NANOMETRES, "nm")
        axes = [
            Axis((offset - element * delta) * factor, delta * factor, unit) if delta > 0 else Axis()
            for offset, delta, element in calibrations
        ]
        x, y = axes[0], axes[1] if len(axes) > 1 else Axis()
        w, h = sizes[0], sizes[1] if len(sizes) > 1 else 1
        return ((h, w), np.dtype(DTYPES[code])), [y, x]

    def _start(self, at: int) -> int:
        """Return where the pixels of the element at byte `at` begin."""
        return at + (26 if self._kind == SPECTRA else 50)

    def _times(self, offsets: list[int]) -> np.ndarray | None:
        """Return when each frame was taken, in seconds after the first; None where the tags do not tell."""
        if not all(0 < at <= self._file.size - 8 for at in offsets):
            return None
        times = np.array([self._unpack("hxxi", at)[1] for at in offsets], float)
        return times - times[0] if np.ptp(times) > 0 else None  # TIA counts whole seconds

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
                f"Frame {i} of {self.path} has another size or type than the first; split the series in TIA."
            )
        pixels = self._file.array(*self._layout, self._start(at))
        return pixels[::-1]  # TIA begins at the bottom


read = SerSeries
