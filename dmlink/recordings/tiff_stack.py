"""TIFF stacks: plain, BigTIFF and ImageJ; mapped into memory where possible, else decoded page by page."""

from __future__ import annotations

import struct
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from dmlink.frame import Axis
from dmlink.recordings.recording import Recording, grey

if TYPE_CHECKING:
    from pathlib import Path

#: Units as ImageJ spells them, and what we call them. Others are kept as they are.
UNITS = dict.fromkeys(["um", "\u00b5m", "\u03bcm", "\\u00B5m", "micron", "microns"], "\u00b5m")
UNITS |= dict.fromkeys(["", "pixel", "pixels"], "")

#: Seconds in ImageJ's time units.
SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "msec": 1e-3, "min": 60.0}

#: Nanometres in TIFF's ResolutionUnit (TIFF 6.0, section 8): 2 is the inch, 3 the centimetre.
NANOMETRES = {2: 2.54e7, 3: 1e7}

#: A larger pixel, in nm, is for printing (2400 dpi and coarser), not a microscope's calibration.
LARGEST_PIXEL = 1e4


class TiffStack(Recording):
    """The first series of a TIFF file; one page is one frame, and colour becomes grey.

    The pixel size comes from ImageJ's unit, else from the resolution where it can be a microscope's; the
    frame rate from ImageJ's "finterval" or "fps".
    """

    def __init__(self, path: Path) -> None:
        self._tiff, series = _opened(path)
        self._reading = threading.Lock()  # all pages share one position in the file
        try:
            self._pages: Any = series.pages
            self._mapped = _map(path, series)
            told: dict[str, Any] = self._tiff.imagej_metadata or next(
                iter(self._tiff.shaped_metadata or ()), {}
            )
            y, x = _axes(series.keyframe, told)
            super().__init__(
                path, _stack_shape(path, series), series.dtype, y=y, x=x, fps=_rate(told), tags=told
            )
            self._read(0)  # a codec that is not installed shows now, not while frames run
        except BaseException:
            self._tiff.close()
            raise

    def _read(self, i: int) -> np.ndarray:
        if self._mapped is not None:
            pixels = self._mapped[i]
        else:
            try:
                with self._reading:
                    pixels = self._pages[i].asarray()
            except Exception as error:  # each codec has its own
                raise ValueError(
                    f"Frame {i} of {self.path} cannot be decoded ({error}); "
                    "copy the file again, or save it uncompressed."
                ) from error
        return pixels if pixels.ndim == 2 else grey(pixels)

    def _close(self) -> None:
        self._mapped = None
        self._tiff.close()


read = TiffStack


def _opened(path: Path) -> tuple[Any, Any]:
    """Return the open file and its first series, or say that the file is not whole."""
    tiff: Any = None
    try:
        tiff = tifffile.TiffFile(path)
        _check_chain(tiff)
        return tiff, tiff.series[0]
    except (tifffile.TiffFileError, ValueError, IndexError, struct.error) as error:
        if tiff is not None:
            tiff.close()
        raise ValueError(f"{path} is not a whole TIFF file ({error}); write or copy it again.") from error


def _check_chain(tiff: Any) -> None:
    """Refuse a chain of pages that ends in nothing; tifffile logs it and gives the frames before."""
    layout, last = tiff.tiff, tiff.pages[-1].offset
    tiff.filehandle.seek(last)
    (tags,) = struct.unpack(layout.tagnoformat, tiff.filehandle.read(layout.tagnosize))
    tiff.filehandle.seek(last + layout.tagnosize + tags * layout.tagsize)
    (following,) = struct.unpack(layout.offsetformat, tiff.filehandle.read(layout.offsetsize))
    if following:
        raise tifffile.TiffFileError(f"it ends after {len(tiff.pages)} pages")


def _stack_shape(path: Path, series: Any) -> tuple[int, int, int]:
    """Return (n, h, w) of a series, or say why it is no stack of pictures."""
    axes, shape = series.axes, series.shape
    lead = axes.removesuffix("S").removesuffix("YX")
    n = shape[0] if lead else 1
    if "YX" not in axes or len(lead) > 1 or lead == "S" or ("S" in axes and shape[-1] not in (3, 4)):
        raise ValueError(
            f"{path} has the axes {axes} of shape {shape}; save one channel as frames of two dimensions."
        )
    if len(series.pages) != n and series.dataoffset is None:
        raise ValueError(f"{path} has {len(series.pages)} pages for {n} frames; save one page per frame.")
    h, w = shape[len(lead) : len(lead) + 2]
    return n, h, w


def _map(path: Path, series: Any) -> np.ndarray | None:
    """Return all frames as one mapped array (n, h, w[, colours]); None if they lie compressed or apart."""
    if series.dataoffset is None:
        return None
    dtype = series.dtype.newbyteorder(series.parent.byteorder)
    try:
        mapped = np.memmap(path, dtype, "r", series.dataoffset, series.shape)
    except ValueError as error:
        raise ValueError(f"{path} is cut short ({error}); copy it again.") from error
    colours = series.axes.endswith("S")
    return np.asarray(mapped).reshape(-1, *series.shape[-3 if colours else -2 :])


def _axes(page: Any, told: dict[str, Any]) -> tuple[Axis, Axis]:
    """Return the calibration of rows and columns: ImageJ's unit, else the resolution, else pixels."""
    per_unit = [page.tags.valueof(tag) for tag in ("YResolution", "XResolution")]
    if not all(value and value[0] and value[1] for value in per_unit):
        return Axis(), Axis()
    sizes = [below / above for above, below in per_unit]
    unit = str(told.get("unit", ""))
    unit = UNITS.get(unit, unit)
    if not unit or unit == "inch":  # ImageJ's word for a resolution meant for printing
        sizes = [size * NANOMETRES.get(page.tags.valueof("ResolutionUnit", 2), np.inf) for size in sizes]
        if max(sizes) > LARGEST_PIXEL:
            return Axis(), Axis()
        unit = "nm"
    y, x = (Axis(scale=size, unit=unit) for size in sizes)
    return y, x


def _rate(told: dict[str, Any]) -> float | None:
    """Return frames per second as ImageJ tells them, or None."""
    interval = told.get("finterval", 0) * SECONDS.get(str(told.get("tunit", "sec")), 0)
    return 1 / interval if interval > 0 else told.get("fps") or None
