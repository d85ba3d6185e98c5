"""Recordings: `open` finds a file's or folder's format family by its content; each family has a module."""

from __future__ import annotations

import importlib
import struct
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from dmlink.recordings.family import family_of
from dmlink.recordings.joined import Joined
from dmlink.recordings.recording import Recording
from dmlink.recordings.refusal import letting_go_if_refused
from dmlink.recordings.roi_part import RoiPart

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Dimensions", "Item", "Recording", "RoiPart", "open"]

#: The dimensions of an array that count the frames, and one of several images in a file.
Dimensions: TypeAlias = int | str | tuple[int | str, ...] | None
Item: TypeAlias = int | str | None

#: Most characters of a message that says why a file is refused.
LONGEST = 480

#: Exceptions that readers and their libraries raise for an unexpected number or text.
UNEXPECTED = (ArithmeticError, AttributeError, LookupError, TypeError, UnicodeError, struct.error)


def open(  # noqa: A001 - read as dmlink.open
    path: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    axis: Dimensions = None,
    item: Item = None,
    scale: float | None = None,
    unit: str | None = None,
    fps: float | None = None,
) -> Recording:
    """Open a recording; its frames are read on demand.

    Parameters
    ----------
    path : str or path-like, or a list of them
        A list joins recordings of the same shape and type into one, with their times one after another. Each
        is one of

        - DM3, DM4: an image, stack or spectrum from DigitalMicrograph;
        - Gatan in-situ data: the header .dm4, a .raw next to it, or the folder that contains them or Hour_00;
        - OME-Zarr (a folder), HDF5 and .hspy, EMD (Velox, Berkeley), NumPy .npy (with NAME.json next to it);
        - TIFF, BigTIFF, ImageJ; MRC; SER; MIB (Merlin);
        - a JPEG, PNG or BMP image, or a folder of images or of any of these files, in natural order;
        - with `pip install dmlink[formats]`, whatever else RosettaSciIO reads.

        The format is found by the content, and by the suffix only if the content does not identify it.
    axis : int, str or tuple of them, optional
        The dimensions that count the frames, by number (0 is the slowest) or, if the file names them, by
        name; the last two others are the image. By default all but the last two: a 4-D scan of patterns
        gives one pattern after another.
    item : int or str, optional
        One of several images or datasets in the file, by number or name (`Recording.items`). By default the
        one that the file marks as its data, else the first; for TIFF, the largest.
    scale : float, optional
        Pixel size in `unit`; overrides the file's.
    unit : str, optional
        Unit of `scale`, such as "nm"; overrides the file's.
    fps : float, optional
        Frames per second; overrides the file's.

    Returns
    -------
    Recording
        A sequence of `dmlink.Frame`; close it, or use it in a `with` statement.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    PermissionError
        If you have no permission to read it.
    ValueError
        If the format is unknown, the file is empty or damaged, recordings in a list do not match, or `scale`
        or `fps` is not positive.
    """
    if not isinstance(path, str | PathLike):
        return _joined([Path(one) for one in path], axis=axis, item=item, scale=scale, unit=unit, fps=fps)
    path = Path(path).expanduser()
    try:
        family = cast("_Family", importlib.import_module(f"dmlink.recordings.formats.{family_of(path)}"))
        with letting_go_if_refused():
            recording = family.read(path, axis=axis, item=item)
    except PermissionError as error:
        raise PermissionError(
            f"You have no permission to read {error.filename or path}; ask its owner."
        ) from error
    except UNEXPECTED as error:  # first, because a UnicodeError is a ValueError
        raise ValueError(
            f"{path} cannot be read: it contains something that dmlink did not expect "
            f"({type(error).__name__}: {error}). If another program can open it, please report this."
        ) from error
    except ValueError as error:
        text = " ".join(str(error).split())
        if text == str(error) and len(text) <= LONGEST:
            raise
        raise ValueError(text[:LONGEST]) from error  # a damaged header may contain any text
    except MemoryError as error:
        raise ValueError(
            f"{path}, {_bytes(path)} bytes, needs more memory than this computer has "
            f"({error or 'size unknown'}); either its header is wrong, or you need a larger computer."
        ) from error
    recording.options = {k: v for k, v in {"axis": axis, "item": item}.items() if v is not None}
    try:
        recording.calibrate(scale=scale, unit=unit, fps=fps)
    except ValueError:
        recording.close()
        raise
    return recording


def _joined(paths: list[Path], **options: Any) -> Recording:
    """Return recordings as one; all are closed if they cannot be joined."""
    if not paths:
        raise ValueError("The list of recordings is empty; give one or more paths.")
    parts: list[Recording] = []
    try:
        parts.extend(open(path, **options) for path in paths)
        return Joined(parts)
    except BaseException:
        for part in parts:
            part.close()
        raise


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


class _Family(Protocol):
    """The interface of a family's module."""

    def read(self, path: Path, /, *, axis: Dimensions, item: Item) -> Recording: ...
