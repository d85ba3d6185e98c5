"""DM3 and DM4: images, stacks and spectra as DigitalMicrograph saves them, mapped into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.frame import Axis
from dmlink.indm.info import TAGS
from dmlink.recordings.array_stack import ArrayStack, choose
from dmlink.recordings.formats.dm_tags import Block, read_tags
from dmlink.recordings.formats.packed_complex import unpack, unpack_old
from dmlink.recordings.mapped import MappedFile

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item
    from dmlink.recordings.recording import Recording

#: DM's data types (ImageData:DataType) in NumPy.
DTYPES = {1: "i2", 2: "f4", 3: "c8", 5: "c8", 6: "u1", 7: "i4", 8: "u1", 9: "i1", 10: "u2", 11: "u4"}
DTYPES |= {12: "f8", 13: "c16", 14: "?", 23: "u1", 27: "c8", 28: "c16"}

#: Stored as blue, green, red, alpha.
COLOURS = (8, 23)

#: Half of the Fourier transform of a real image.
PACKED, PACKED_OLD = (27, 28), 5

#: DM writes the micrometre in Latin-1 or in UTF-16, with either of Unicode's two signs.
MICRO = "\u03bc"


class DmImage:
    """One image of a DM file.

    Attributes
    ----------
    file : MappedFile
        The file.
    name : str
        DM's name of the image; may be empty.
    shape : tuple of int
        Slowest dimension first, as NumPy counts.
    dtype : numpy.dtype
        Data type of the pixels in the file.
    axes : tuple of Axis
        Calibration of each dimension.
    tags : dict
        Its tags, with dmlink's plain ones.
    kind : int
        DM's data type.
    data : Block
        Where the pixels are.
    """

    def __init__(self, file: MappedFile, image: dict[str, Any], order: str) -> None:
        try:
            data = image["ImageData"]
            self.kind = int(data["DataType"])
            self.data: Block = data["Data"]
            self.shape = tuple(int(n) for n in reversed(_values(data["Dimensions"])))
            dimensions = _values(data.get("Calibrations", {}).get("Dimension", []))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{file.path} is not a complete DM image (no {error}); copy it again."
            ) from error
        if self.kind not in DTYPES or not isinstance(self.data, Block):
            raise ValueError(
                f"{file.path} has DM's data type {self.kind}, which dmlink cannot read; in "
                "DigitalMicrograph, convert it to integers or reals and save it again."
            )
        self.file = file
        self.name = str(image.get("Name", ""))
        self.dtype = np.dtype(DTYPES[self.kind]).newbyteorder(order)  # type: ignore[arg-type]
        # A stack that DM made of single images has only their calibrations.
        axes = [_axis(dimension) for dimension in dimensions[: len(self.shape)]]
        axes += [Axis()] * (len(self.shape) - len(axes))
        self.axes = tuple(reversed(axes))
        tags = image.get("ImageTags", {})
        self.tags = _plain(tags) | (tags if isinstance(tags, dict) else {})

    def array(self) -> np.ndarray:
        """Return the pixels, mapped into memory; colours get a last dimension of red, green, blue."""
        if self.kind in COLOURS and self.shape:
            return self.file.array((*self.shape, 4), self.dtype, self.data.offset)[..., 2::-1]
        return self.file.array(self.shape, self.dtype, self.data.offset)

    def open(self, axis: Dimensions = None) -> Recording:
        """Return the image as a recording, with the frames along `axis`."""
        path, name = self.file.path, self.name or self.file.path.stem
        more: dict[str, Any] = {"axes": self.axes, "name": name, "tags": self.tags, "axis": axis}
        if self.kind in PACKED or self.kind == PACKED_OLD:
            return ArrayStack(path, _PackedImage(self), file=self.file, **more)
        return ArrayStack(path, self.array(), colour=self.kind in COLOURS, file=self.file, **more)


class _PackedImage:
    """Whole Fourier transforms, computed on demand from the halves in the file."""

    def __init__(self, image: DmImage) -> None:
        *stack, h, w = image.shape if len(image.shape) > 1 else (0, 0)
        old = image.kind == PACKED_OLD
        if len(image.shape) < 2 or (old and (h % 2 or w % 2)):
            raise ValueError(
                f"{image.file.path} has packed complex numbers of shape {image.shape}, which dmlink cannot "
                "unpack; save it as complex in DigitalMicrograph."
            )
        self.shape = image.shape
        self.dtype = image.dtype
        self._old = old
        self._halves = image.file.array(
            (*stack, h, w // 2 if old else w // 2 + 1), image.dtype, image.data.offset
        )

    def __getitem__(self, index: Any) -> np.ndarray:
        # Only ever indexed by whole images, in the dimensions before the last two.
        index = index if isinstance(index, tuple) else (index,)
        half = self._halves[index[: self._halves.ndim - 2]]
        whole = unpack_old(half) if self._old else unpack(half, self.shape[-1])
        return np.asarray(whole[index[self._halves.ndim - 2 :]])


def images(path: Path) -> list[DmImage]:
    """Return the images in a DM file, without the thumbnail that DM adds."""
    file = MappedFile(path)
    tags = read_tags(file)
    word = 8 if file.bytes[3] == 3 else 12
    order = "<" if file.bytes[word + 3] else ">"
    listed = _values(tags.get("ImageList", []))
    if not listed:
        raise ValueError(f"{path} has tags but no image; choose another file.")
    thumbnails = {t.get("ImageIndex") for t in _values(tags.get("Thumbnails", [])) if isinstance(t, dict)}
    kept = [image for i, image in enumerate(listed) if i not in thumbnails] or listed
    return [DmImage(file, image, order) for image in kept]


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> Recording:
    """Return one image of a DM file: the first, or `item` by number or by DM's name."""
    found = images(path)
    image: DmImage = choose(path, found, [image.name for image in found], item)
    return image.open(axis)


def _values(group: Any) -> list[Any]:
    """Return the entries of a group of tags, named or not."""
    return list(group.values()) if isinstance(group, dict) else list(group)


def _axis(dimension: dict[str, Any]) -> Axis:
    """Return DM's calibration, whose origin is in pixels, as ours."""
    scale = float(dimension.get("Scale", 1)) or 1.0
    unit = str(dimension.get("Units", "")).replace(MICRO, "\u00b5")
    return Axis(-float(dimension.get("Origin", 0)) * scale + 0.0, scale, unit)


def _plain(tags: Any) -> dict[str, float]:
    """Return those of `dmlink.indm.info.TAGS` that an image has."""
    found = {}
    for name, path in TAGS.items():
        value = tags
        for key in path.split(":"):
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, list) and value:  # a binning along x and y
            value = value[0]
        if isinstance(value, int | float) and np.isfinite(value):
            found[name] = float(value)
    return found
