"""Folders of images: one JPEG, PNG or TIFF file per frame, in natural order."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from dmlink.recordings.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")

#: Pillow's modes that hold grey values of more than 8 bits; all others become 8-bit grey.
DEEP = ("F", "I", "I;16", "I;16B", "I;16L", "I;16N")

#: Every digit as a zero.
WITHOUT_DIGITS = str.maketrans("123456789", "000000000")


class ImageFolder(Recording):
    """The images in a folder, sorted so that 9 comes before 10; a single image is a recording of one frame.

    Colour becomes grey: the channel where red, green and blue are equal, else the luminance.
    """

    def __init__(self, path: Path, *, axis: Dimensions = None, item: Item = None) -> None:
        if axis is not None or item is not None:
            raise ValueError(f"{path} has one picture in each file; leave axis and item out.")
        # Names, not paths: a folder may hold a million.
        self._folder = path if path.is_dir() else path.parent
        self._names = _images(path) if path.is_dir() else [path.name]
        if not self._names:
            raise ValueError(f"{path} holds no images; put frames there as one of {', '.join(SUFFIXES)}.")
        first = _pixels(self._folder / self._names[0])
        h, w = first.shape
        name = path.resolve().name if path.is_dir() else path.stem
        super().__init__(path, (len(self._names), h, w), first.dtype, name=name)

    def files(self) -> Iterator[Path]:
        """Yield the file of each frame."""
        yield from (self._folder / name for name in self._names)

    def _read(self, i: int) -> np.ndarray:
        path = self._folder / self._names[i]
        pixels = _pixels(path)
        if pixels.shape != self.shape[1:] or pixels.dtype.newbyteorder("=") != self.dtype:
            raise ValueError(
                f"{path} is {pixels.shape} {pixels.dtype}, but {self._names[0]} is "
                f"{self.shape[1:]} {self.dtype}; "
                "keep images of one size and type in a folder."
            )
        return pixels


read = ImageFolder


def in_natural_order(names: list[str]) -> list[str]:
    """Return `names` sorted so that 9 comes before 10."""
    # Numbered with leading zeros, as cameras do, a million names need no taking apart.
    if len({name.translate(WITHOUT_DIGITS) for name in names}) == 1:
        return sorted(names)
    return sorted(names, key=_natural)


def _images(folder: Path) -> list[str]:
    """Return the names of the images in `folder` in natural order, without hidden files."""
    names = os.listdir(folder)  # noqa: PTH208 - a Path for each of a million names takes seconds
    return in_natural_order([n for n in names if n.lower().endswith(SUFFIXES) and not n.startswith(".")])


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts digits by their value and the rest by letters."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), part) if part.isdecimal() else (-1, part.lower()) for part in parts]


def _pixels(path: Path) -> np.ndarray:
    """Return one image as a grey array (h, w)."""
    try:
        with Image.open(path) as image:
            # Pillow's luminance of equal channels is the channel itself, to the last bit.
            return np.asarray(image if image.mode in DEEP else image.convert("L"))
    except (FileNotFoundError, PermissionError):
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # Pillow's own
        raise ValueError(f"{path} cannot be read as an image ({error}); copy or remove it.") from error
