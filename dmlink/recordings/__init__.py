"""Recordings: `open` finds the family of a file or folder by its name; one module reads each family."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from dmlink.recordings.recording import Recording

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["Recording", "open"]

#: The module that reads a suffix. Modules are imported when first needed: tifffile alone takes 0.16 s.
FAMILIES = {
    ".npy": "numpy_stack",
    ".tif": "tiff_stack",
    ".tiff": "tiff_stack",
    ".jpg": "image_folder",
    ".jpeg": "image_folder",
    ".png": "image_folder",
}


def open(  # noqa: A001 - read as dmlink.open
    path: str | PathLike[str],
    *,
    scale: float | None = None,
    unit: str | None = None,
    fps: float | None = None,
) -> Recording:
    """Open a recording; frames are read when they are asked for.

    Parameters
    ----------
    path : str or path-like
        A .npy stack, a TIFF, an image, or a folder of images (one frame each, in natural order).
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
    ValueError
        If the file is of no known family, empty or damaged, or if `scale` or `fps` is not positive.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"There is no recording at {path}; check the path.")
    family = "image_folder" if path.is_dir() else FAMILIES.get(path.suffix.lower())
    if family is None:
        raise ValueError(
            f"{path} has the suffix {path.suffix!r}, which dmlink cannot read; "
            f"give a folder of images or one of {', '.join(FAMILIES)}."
        )
    module = cast("_Family", importlib.import_module(f"{__name__}.{family}"))
    recording = module.read(path)
    try:
        recording.calibrate(scale=scale, unit=unit, fps=fps)
    except ValueError:
        recording.close()
        raise
    return recording


class _Family(Protocol):
    """What each module of a family offers."""

    def read(self, path: Path, /) -> Recording: ...
