"""TIFF stacks: plain, BigTIFF, ImageJ, OME; mapped into memory where possible, else decoded by page."""

from __future__ import annotations

import errno
import struct
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image

from dmlink.frame import Axis
from dmlink.recordings.array_stack import ArrayStack, choose
from dmlink.recordings.formats.tiff_calibration import about, calibration, interval, own_names, own_time
from dmlink.recordings.mapped import MappedFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item

#: No common codec compresses more than this many bytes into one (deflate: 1032).
DENSEST = 1100

#: TIFF's code for images in which zero is white.
MIN_IS_WHITE = 0


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> ArrayStack:
    """Return a series of a TIFF file (the largest, or `item`): a page is a frame, and colour becomes grey.

    Calibration and times are from the writing program's own metadata, or else the pixel size is from the
    resolution if it can be a microscope's.
    """
    tiff, several = _opened(path)
    try:
        names = [series.name or f"series {i}" for i, series in enumerate(several)]
        series = max(several, key=_bytes) if item is None else choose(path, several, names, item)
        index = several.index(series)
        letters = series.axes.replace("S", "")
        found = calibration(tiff, series, index)
        _check_axes(path, series, letters, axis)
        array, file = _map(path, series)
        files = list(_files(path, series))
        recording = ArrayStack(
            path,
            _colours_last(array, series),
            axis=axis,
            axes=[found.get(letter, Axis()) for letter in letters],
            # Q means that the file does not name it
            names=own_names(tiff, series, index) or ["" if one == "Q" else one.lower() for one in letters],
            colour="S" in series.axes,
            fps=interval(tiff, index),
            times=own_time(tiff, series, index),
            tags=about(tiff, index),
            items=[f"{name}: {_size(s)}" for name, s in zip(names, several, strict=True)]
            if len(several) > 1
            else (),
            file=file,
            files=lambda: files,
            close=tiff.close,
        )
        if file is not None:  # the metadata are read, and the pixels are mapped
            tiff.close()
        recording[0]  # so that a missing codec is reported now, not in the middle of a replay
    except (ZeroDivisionError, TypeError, KeyError, AttributeError, OverflowError) as error:
        tiff.close()
        raise ValueError(f"{path} has contradictory TIFF tags ({error}); write or copy it again.") from error
    except BaseException:
        tiff.close()
        raise
    return recording


class _Pages:
    """The pages of a compressed or scattered series, decoded one by one."""

    def __init__(self, path: Path, series: Any) -> None:
        self.shape, self.dtype = series.shape, series.dtype
        self._lead = len(series.shape) - len(series.keyframe.shape)
        self._path, self._pages = path, series.pages
        if series.keyframe.nbytes > DENSEST * path.stat().st_size:
            raise ValueError(
                f"{path} is damaged: a page of {series.keyframe.shape} needs {series.keyframe.nbytes} bytes, "
                f"more than the file's {path.stat().st_size} bytes can contain; copy it again."
            )
        self._reading = threading.Lock()  # all pages share one position in the file

    def __getitem__(self, index: Any) -> np.ndarray:
        index = index if isinstance(index, tuple) else (index,)
        lead = index[: self._lead]
        if not all(isinstance(i, int) for i in lead):
            raise ValueError(f"{self._path} stores frames as pages; choose axis from the first dimensions.")
        page = int(np.ravel_multi_index(lead, self.shape[: self._lead])) if lead else 0
        try:
            with self._reading:
                pixels = self._decoded(page)
        except Exception as error:  # depending on the codec
            if "imagecodecs" in str(error):
                raise ValueError(
                    f"{self._path} has a compression that needs a library: pip install imagecodecs "
                    f"({str(error).splitlines()[0]})"
                ) from error
            raise ValueError(
                f"Frame {page} of {self._path} cannot be decoded ({error}); "
                "copy the file again, or save it uncompressed."
            ) from error
        if pixels.shape != self.shape[self._lead :]:
            raise ValueError(f"Frame {page} of {self._path} has shape {pixels.shape}; write the file again.")
        return np.asarray(pixels[index[self._lead :]])

    def _decoded(self, at: int) -> np.ndarray:
        """Return a page; Pillow supports compressions for which tifffile needs imagecodecs."""
        page = self._pages[at]
        try:
            return np.asarray(page.asarray())
        except (ValueError, ImportError) as error:
            if "imagecodecs" not in str(error) or page.photometric == MIN_IS_WHITE:
                raise
            pixels = _by_pillow(self._path, page)
            if pixels is None:
                raise
            return pixels


def _by_pillow(path: Path, page: Any) -> np.ndarray | None:
    """Return a page decoded by Pillow; None if that changes its shape or data type."""
    try:
        with Image.open(path) as image:
            image.seek(page.index)
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return None
    alike = pixels.shape == page.shape and pixels.dtype.newbyteorder("=") == page.dtype.newbyteorder("=")
    return pixels if alike else None


class _ColoursLast:
    """Pages with a plane per colour, as an array with colour as the last dimension."""

    def __init__(self, pages: _Pages, at: int) -> None:
        self._pages, self._at = pages, at
        shape = list(pages.shape)
        colours = shape.pop(at)
        self.shape, self.dtype = (*shape, colours), pages.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        index = index if isinstance(index, tuple) else (index,)
        planes = self._pages[index[: self._at]]
        return np.asarray(np.moveaxis(planes, 0, -1)[index[self._at :]])


def _colours_last(array: Any, series: Any) -> Any:
    """Return the array of a series with its colours, if it has any, as the last dimension."""
    at = series.axes.find("S")
    if at in (-1, len(series.axes) - 1):
        return array
    return np.moveaxis(array, at, -1) if isinstance(array, np.ndarray) else _ColoursLast(array, at)


def _bytes(series: Any) -> int:
    return int(np.prod(series.shape, dtype=object)) * int(series.dtype.itemsize)


def _size(series: Any) -> str:
    return f"{' x '.join(map(str, series.shape))} {series.dtype}"


def _files(path: Path, series: Any) -> Iterator[Path]:
    """Yield the file, and the other files that OME-TIFF lists as parts of the series."""
    yield path
    names = (
        {page.parent.filehandle.name for page in series.pages if page is not None}
        if series.is_multifile
        else ()
    )
    yield from (path.with_name(name) for name in sorted(names) if name != path.name)


def _opened(path: Path) -> tuple[Any, list[Any]]:
    """Return the open file and its series; ValueError if the file is damaged."""
    tiff: Any = None
    try:
        tiff = tifffile.TiffFile(path)
        _check_chain(tiff)
        return tiff, list(tiff.series)
    except PermissionError:
        raise
    except Exception as error:  # a damaged tag can break tifffile anywhere
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            raise  # too many open files
        if tiff is not None:
            tiff.close()
        raise ValueError(f"{path} is not a complete TIFF file ({error}); write or copy it again.") from error


def _check_chain(tiff: Any) -> None:
    """Refuse a chain of pages that is cut off, which tifffile only logs."""
    layout, last = tiff.tiff, tiff.pages[-1].offset
    tiff.filehandle.seek(last)
    (tags,) = struct.unpack(layout.tagnoformat, tiff.filehandle.read(layout.tagnosize))
    tiff.filehandle.seek(last + layout.tagnosize + tags * layout.tagsize)
    (following,) = struct.unpack(layout.offsetformat, tiff.filehandle.read(layout.offsetsize))
    if following:
        raise tifffile.TiffFileError(f"it ends after {len(tiff.pages)} pages")


def _check_axes(path: Path, series: Any, letters: str, axis: Dimensions) -> None:
    """Refuse a series that is not a stack of images, or that is several stacks in one."""
    sizes = dict(zip(series.axes, series.shape, strict=True))
    several = sum(sizes[letter] > 1 for letter in letters[:-2]) > 1
    if not letters.endswith("YX") or sizes.get("S", 3) not in (3, 4) or (several and axis is None):
        raise ValueError(
            f"{path} has the axes {series.axes} of shape {series.shape}; choose which of them count the "
            f"frames, such as axis={series.axes[0]!r}, or save one channel."
        )
    n = int(np.prod(series.shape[: len(series.shape) - len(series.keyframe.shape)]))
    if len(series.pages) != n and series.dataoffset is None:
        raise ValueError(f"{path} has {len(series.pages)} pages for {n} frames; save one page per frame.")


def _map(path: Path, series: Any) -> tuple[Any, MappedFile | None]:
    """Return the array of a series, and its mapped file if the pixels are contiguous."""
    if series.dataoffset is None:
        return _Pages(path, series), None
    file = MappedFile(path)
    dtype = series.dtype.newbyteorder(series.parent.byteorder)
    return file.array(series.shape, dtype, series.dataoffset), file
