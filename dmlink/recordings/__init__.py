"""Recordings: `open` finds the family of a file or folder by its content; one module reads each family."""

from __future__ import annotations

import importlib
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from dmlink.recordings.family import family_of
from dmlink.recordings.recording import Recording

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["Dimensions", "Item", "Recording", "open"]

#: Which dimensions of an array count the frames, and which of several images in a file is meant.
Dimensions: TypeAlias = int | str | tuple[int | str, ...] | None
Item: TypeAlias = int | str | None

#: What readers and their libraries raise over a number or text that a file of its family cannot have.
DAMAGE = (ArithmeticError, AttributeError, LookupError, TypeError, UnicodeError, struct.error)


def open(  # noqa: A001 - read as dmlink.open
    path: str | PathLike[str],
    *,
    axis: Dimensions = None,
    item: Item = None,
    scale: float | None = None,
    unit: str | None = None,
    fps: float | None = None,
) -> Recording:
    """Open a recording; frames are read when they are asked for.

    Parameters
    ----------
    path : str or path-like
        One of

        - DM3, DM4: an image, a stack or a spectrum of DigitalMicrograph;
        - Gatan in-situ data: the header .dm4, a .raw beside it, or the folder that holds them or Hour_00;
        - OME-Zarr (a folder), HDF5 and .hspy, EMD (Velox, Berkeley), NumPy .npy (with NAME.json beside it);
        - TIFF, BigTIFF, ImageJ; MRC; SER; MIB (Merlin);
        - a JPEG, PNG or BMP image, or a folder of images, one frame each, in natural order;
        - with `pip install dmlink[formats]`, whatever else RosettaSciIO reads.

        The content decides; the suffix only where a format has no mark of its own.
    axis : int, str or tuple of them, optional
        Which dimensions count the frames, by number (0 is the slowest) or, where the file names them, by
        name; the last two others are the picture. Without it, all but the last two: a 4-D scan of patterns
        gives one pattern after the other.
    item : int or str, optional
        Which of several images or datasets in the file, by number or name; the first without it.
    scale : float, optional
        Size of a pixel, in `unit`. Overrides what the file says.
    unit : str, optional
        Unit of `scale`, such as "nm". Overrides what the file says.
    fps : float, optional
        Frames per second. Overrides what the file says.

    Returns
    -------
    Recording
        A sequence of `dmlink.Frame`; close it, or use it in a `with` statement.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    PermissionError
        If it may not be read.
    ValueError
        If the file is of no known family, empty or damaged, or if `scale` or `fps` is not positive.
    """
    path = Path(path).expanduser()
    try:
        family = cast("_Family", importlib.import_module(f"{__name__}.{family_of(path)}"))
        recording = family.read(path, axis=axis, item=item)
    except PermissionError as error:
        raise PermissionError(
            f"{error.filename or path} may not be read; ask its owner to allow it."
        ) from error
    except DAMAGE as error:
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}: {error}); copy or write it again."
        ) from error
    recording.options = {k: v for k, v in {"axis": axis, "item": item}.items() if v is not None}
    try:
        recording.calibrate(scale=scale, unit=unit, fps=fps)
    except ValueError:
        recording.close()
        raise
    return recording


class _Family(Protocol):
    """What each module of a family offers."""

    def read(self, path: Path, /, *, axis: Dimensions, item: Item) -> Recording: ...
