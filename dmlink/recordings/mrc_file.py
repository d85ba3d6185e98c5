"""MRC and CCP4 files: images and stacks; the header by mrcfile, the pixels mapped into memory."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import mrcfile

from dmlink.frame import Axis
from dmlink.recordings.array_stack import ArrayStack
from dmlink.recordings.mapped import MappedFile

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item

#: Bytes before the extended header (MRC2014).
HEADER = 1024

#: The header's cell is in angstroms.
NANOMETRES = 0.1


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> ArrayStack:
    """Return the sections of an MRC file as frames."""
    if item is not None:
        raise ValueError(f"{path} holds one stack; leave item out.")
    file = MappedFile(path)
    try:
        with warnings.catch_warnings():
            # Files of other programs bend the standard; what matters is checked below.
            warnings.simplefilter("ignore")
            with mrcfile.mmap(path, mode="r", permissive=True) as mrc:
                header = mrc.header.copy()
                dtype = mrcfile.utils.data_dtype_from_header(header)
                shape = mrcfile.utils.data_shape_from_header(header)
                voxel = mrc.voxel_size
                labels = [str(label) for label in mrc.get_labels()]
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a whole MRC file ({error}); copy it again.") from error
    # A cell without a size is a stack that nobody calibrated.
    y, x = (Axis(0.0, float(size) * NANOMETRES, "nm") if size > 0 else Axis() for size in (voxel.y, voxel.x))
    array = file.array(tuple(map(int, shape)), dtype, HEADER + max(0, int(header.nsymbt)))
    tags: dict[str, Any] = {"labels": labels} if labels else {}
    leading = [Axis()] * (array.ndim - 2)
    return ArrayStack(path, array, axis=axis, axes=[*leading, y, x], tags=tags, file=file)
