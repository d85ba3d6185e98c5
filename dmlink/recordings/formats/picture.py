"""Picture: one JPEG, PNG or BMP file, as grey values with the file's bit depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from dmlink.recordings.recording import Recording, grey

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item

#: Pillow's modes for grey values of more than 8 bits; all others become 8-bit grey.
DEEP = ("F", "I", "I;16", "I;16B", "I;16L", "I;16N")

#: Pillow's raw modes for 16-bit colours, of which it keeps only the first byte, and for the second byte.
FIRST, SECOND = ("RGB;16B", "RGBA;16B"), ("RGB;16L", "RGBA;16L")


class Picture(Recording):
    """A recording of one frame. Colour becomes grey: a channel if all are equal, else the luminance."""

    def __init__(self, path: Path, *, axis: Dimensions = None, item: Item = None) -> None:
        if axis is not None or item is not None:
            raise ValueError(f"{path} is a single image; leave axis and item out.")
        pixels = read_pixels(path)
        h, w = pixels.shape
        super().__init__(path, (1, h, w), pixels.dtype)

    def _read(self, i: int) -> np.ndarray:  # noqa: ARG002 - always 0
        return read_pixels(self.path)


read = Picture


def read_pixels(path: Path) -> np.ndarray:
    """Return an image as a grey array (h, w)."""
    try:
        with Image.open(path) as image:
            if image.mode in ("RGB", "RGBA") and image.tile and image.tile[0][3] in FIRST:
                return grey(_deep_colours(path, image))
            # Pillow's luminance of three equal channels is exactly the channel.
            return np.asarray(image if image.mode in DEEP else image.convert("L"))
    except (FileNotFoundError, PermissionError):
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # Pillow's own
        raise ValueError(
            f"{path} cannot be read as an image ({error}); copy it again, or remove it."
        ) from error


def _deep_colours(path: Path, image: Image.Image) -> np.ndarray:
    """Return 16-bit colours, shape (h, w, 3 or 4), from two passes, as Pillow unpacks one byte of two."""
    with Image.open(path) as again:
        again.tile = [tile._replace(args=SECOND[FIRST.index(str(tile.args))]) for tile in again.tile]
        second = np.asarray(again, np.uint16)
    return np.asarray(image, np.uint16) << 8 | second
