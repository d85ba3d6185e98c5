"""TIFF stacks: plain, BigTIFF and ImageJ; mapped into memory where possible, else decoded page by page."""

from __future__ import annotations

import struct
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from dmlink.frame import Axis
from dmlink.recordings.array_stack import SECONDS, ArrayStack, choose
from dmlink.recordings.mapped import MappedFile

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item

#: Units as ImageJ spells them, and what we call them. Others are kept as they are.
UNITS = dict.fromkeys(["um", "\u00b5m", "\u03bcm", "\\u00B5m", "micron", "microns"], "\u00b5m")
UNITS |= dict.fromkeys(["", "pixel", "pixels"], "")

#: Nanometres in TIFF's ResolutionUnit (TIFF 6.0, section 8): 2 is the inch, 3 the centimetre.
NANOMETRES = {2: 2.54e7, 3: 1e7}

#: A larger pixel, in nm, is for printing (2400 dpi and coarser), not a microscope's calibration.
LARGEST_PIXEL = 1e4

#: No common codec packs more bytes into one (deflate: 1032).
DENSEST = 1100


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> ArrayStack:
    """Return a series of a TIFF file (the first, or `item`): a page is a frame, and colour becomes grey.

    The pixel size comes from ImageJ's unit, else from the resolution where it can be a microscope's; the
    frame rate from ImageJ's "finterval" or "fps".
    """
    tiff, several = _opened(path)
    try:
        series = choose(path, several, [series.name for series in several], item)
        told: dict[str, Any] = tiff.imagej_metadata or next(iter(tiff.shaped_metadata or ()), {})
        y, x = _axes(series.keyframe, told)
        names = series.axes.removesuffix("S")
        _check_axes(path, series, names, axis)
        array, file = _map(path, series)
        recording = ArrayStack(
            path,
            array,
            axis=axis,
            axes=[{"Y": y, "X": x}.get(name, Axis()) for name in names],
            names=tuple(names),
            colour=series.axes.endswith("S"),
            fps=_rate(told),
            tags=told,
            file=file,
            close=tiff.close,
        )
        recording[0]  # a codec that is not installed shows now, not while frames run
    except (ZeroDivisionError, TypeError, KeyError, AttributeError, OverflowError) as error:
        tiff.close()
        raise ValueError(f"{path} has damaged TIFF tags ({error}); write or copy it again.") from error
    except BaseException:
        tiff.close()
        raise
    return recording


class _Pages:
    """The pages of a series that lie compressed or apart, decoded one by one."""

    def __init__(self, path: Path, series: Any) -> None:
        self.shape, self.dtype = series.shape, series.dtype
        self._lead = len(series.shape) - len(series.keyframe.shape)
        self._path, self._pages = path, series.pages
        if series.keyframe.nbytes > DENSEST * path.stat().st_size:
            raise ValueError(
                f"{path} is damaged: a page of {series.keyframe.shape} needs more bytes; copy it again."
            )
        self._reading = threading.Lock()  # all pages share one position in the file

    def __getitem__(self, index: Any) -> np.ndarray:
        index = index if isinstance(index, tuple) else (index,)
        lead = index[: self._lead]
        if not all(isinstance(i, int) for i in lead):
            raise ValueError(
                f"{self._path} keeps its frames as pages; choose axis among the first dimensions."
            )
        page = int(np.ravel_multi_index(lead, self.shape[: self._lead])) if lead else 0
        try:
            with self._reading:
                pixels = self._pages[page].asarray()
        except Exception as error:  # each codec has its own
            raise ValueError(
                f"Frame {page} of {self._path} cannot be decoded ({error}); "
                "copy the file again, or save it uncompressed."
            ) from error
        if pixels.shape != self.shape[self._lead :]:
            raise ValueError(
                f"Frame {page} of {self._path} is of shape {pixels.shape}; write the file again."
            )
        return np.asarray(pixels[index[self._lead :]])


def _opened(path: Path) -> tuple[Any, list[Any]]:
    """Return the open file and its series, or say that the file is not whole."""
    tiff: Any = None
    try:
        tiff = tifffile.TiffFile(path)
        _check_chain(tiff)
        return tiff, list(tiff.series)
    except PermissionError:
        raise
    except Exception as error:  # a damaged tag can break tifffile anywhere
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


def _check_axes(path: Path, series: Any, names: str, axis: Dimensions) -> None:
    """Refuse a series that is no stack of pictures, or several stacks in one."""
    axes, shape = series.axes, series.shape
    several = sum(n > 1 for n in shape[: len(names) - 2]) > 1
    if "YX" not in axes or (axes.endswith("S") and shape[-1] not in (3, 4)) or (several and axis is None):
        raise ValueError(
            f"{path} has the axes {axes} of shape {shape}; say which of them count the frames, such as "
            f"axis={axes[0]!r}, or save one channel."
        )
    n = int(np.prod(shape[: len(shape) - len(series.keyframe.shape)]))
    if len(series.pages) != n and series.dataoffset is None:
        raise ValueError(f"{path} has {len(series.pages)} pages for {n} frames; save one page per frame.")


def _map(path: Path, series: Any) -> tuple[Any, MappedFile | None]:
    """Return the array of a series, and the file that it is mapped from if its pixels lie together."""
    if series.dataoffset is None:
        return _Pages(path, series), None
    file = MappedFile(path)
    dtype = series.dtype.newbyteorder(series.parent.byteorder)
    return file.array(series.shape, dtype, series.dataoffset), file


def _axes(page: Any, told: dict[str, Any]) -> tuple[Axis, Axis]:
    """Return the calibration of rows and columns: ImageJ's unit, else the resolution, else pixels."""
    per_unit = [page.tags.valueof(tag) for tag in ("YResolution", "XResolution")]
    if not all(value and len(value) == 2 and all(value) for value in per_unit):
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
