"""Folders of images: one JPEG, PNG or TIFF file per frame, in natural order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from dmlink.recordings.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")

#: Pillow's modes that hold grey values of more than 8 bits; all others become 8-bit grey.
DEEP = ("F", "I", "I;16", "I;16B", "I;16L", "I;16N")


class ImageFolder(Recording):
    """The images in a folder, sorted so that 9 comes before 10; a single image is a recording of one frame.

    Colour becomes grey: the channel where red, green and blue are equal, else the luminance.
    """

    def __init__(self, path: Path) -> None:
        self._files = _images(path) if path.is_dir() else [path]
        if not self._files:
            raise ValueError(f"{path} holds no images; put frames there as one of {', '.join(SUFFIXES)}.")
        first = _pixels(self._files[0])
        h, w = first.shape
        name = path.resolve().name if path.is_dir() else path.stem
        super().__init__(path, (len(self._files), h, w), first.dtype, name=name)

    def _read(self, i: int) -> np.ndarray:
        pixels = _pixels(self._files[i])
        if pixels.shape != self.shape[1:] or pixels.dtype.newbyteorder("=") != self.dtype:
            raise ValueError(
                f"{self._files[i]} is {pixels.shape} {pixels.dtype}, but {self._files[0].name} is "
                f"{self.shape[1:]} {self.dtype}; "
                "keep images of one size and type in a folder."
            )
        return pixels


read = ImageFolder


def _images(folder: Path) -> list[Path]:
    """Return the images in `folder` in natural order, without hidden files."""
    files = (f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith("."))
    return sorted(files, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts digits by their value and the rest by letters."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), part) if part.isdecimal() else (-1, part.lower()) for part in parts]


def _pixels(path: Path) -> np.ndarray:
    """Return one image as a grey array (h, w)."""
    try:
        with Image.open(path) as image:
            # Pillow's luminance of equal channels is the channel itself, to the last bit.
            return np.asarray(image if image.mode in DEEP else image.convert("L"))
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's own, depending on the format
        raise ValueError(f"{path} cannot be read as an image ({error}); copy or remove it.") from error
