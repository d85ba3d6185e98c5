"""MRC and CCP4: images and stacks; mrcfile reads the header, the pixels are mapped into memory."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np

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

#: IMOD's stamp in a header, its offset, and the bit in the next word that marks bytes as signed
#: (https://bio3d.colorado.edu/imod/doc/mrc_format.txt).
IMOD_STAMP, IMOD_AT, IMOD_SIGNED = 1146047817, 152, 1

#: From this space group on, a file is a stack of volumes of MZ sections each.
VOLUMES = 401

#: Modes of other programs that dmlink cannot read.
OTHER_MODES = {
    3: "complex numbers of two int16",
    16: "colours of three bytes",
    101: "packed numbers of 4 bits",
}


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> ArrayStack:
    """Return the sections of an MRC file as frames, without incomplete ones if it is cut short."""
    if item is not None:
        raise ValueError(f"{path} has only one stack; leave item out.")
    file = MappedFile(path)
    if file.size < HEADER:
        raise ValueError(
            f"{path} is cut short: it has {file.size} bytes, but a header has {HEADER}; copy it again."
        )
    try:
        with warnings.catch_warnings():
            # Other programs' files deviate from the standard; what matters is checked below.
            warnings.simplefilter("ignore")
            with mrcfile.open(path, mode="r", permissive=True, header_only=True) as mrc:
                header = mrc.header.copy()
                labels = [str(label) for label in mrc.get_labels()]
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a complete MRC file ({error}); copy it again.") from error
    dtype = _dtype(path, file, header)
    nz, ny, nx = (int(n) for n in (header.nz, header.ny, header.nx))
    if min(nz, ny, nx) < 1:
        raise ValueError(f"{path} has no pixels: its shape is {(nz, ny, nx)}; choose another recording.")
    start = HEADER + max(0, int(header.nsymbt))
    whole = max(0, file.size - start) // (ny * nx * dtype.itemsize)
    array = file.array((min(nz, whole) or nz, ny, nx), dtype, start)
    y, x = (
        _axis(float(cell), int(n)) for cell, n in ((header.cella.y, header.my), (header.cella.x, header.mx))
    )
    tags: dict[str, Any] = {"labels": labels} if labels else {}
    notes = [f"The file is cut short: {whole} of {nz} frames are complete."] if whole < nz else []
    axes, names = [Axis(), y, x], ["", "y", "x"]
    depth = int(header.mz)
    if int(header.ispg) >= VOLUMES and 1 < depth < nz == whole and nz % depth == 0:
        array = array.reshape(nz // depth, depth, ny, nx)
        axes, names = [Axis(), *axes], ["", "z", "y", "x"]
    return ArrayStack(
        path, array, axis=axis, axes=axes, names=names, tags=tags, expected=nz, notes=notes, file=file
    )


def _dtype(path: Path, file: MappedFile, header: Any) -> np.dtype[Any]:
    """Return the pixels' data type; bytes are signed unless something indicates otherwise."""
    mode = int(header.mode)
    if mode in OTHER_MODES:
        raise ValueError(
            f"{path} has {OTHER_MODES[mode]} (MRC mode {mode}), which dmlink cannot read; convert it "
            "with IMOD's newstack -mode 1 or 2, or open it with mrcfile."
        )
    try:
        dtype: np.dtype[Any] = np.dtype(mrcfile.utils.data_dtype_from_header(header))
    except ValueError as error:
        raise ValueError(
            f"{path} has MRC mode {mode}, which does not exist ({error}); write it again."
        ) from error
    if mode != 0:
        return dtype
    if float(header.dmin) >= 0 and 127 < float(header.dmax) <= 255:  # no signed byte is that large
        return np.dtype("u1")
    words = np.frombuffer(file.bytes[IMOD_AT : IMOD_AT + 8], np.dtype("i4").newbyteorder(_order(header)))
    unsigned = int(words[0]) == IMOD_STAMP and not int(words[1]) & IMOD_SIGNED
    return np.dtype("u1" if unsigned else "i1")


def _order(header: Any) -> Any:
    return header.dtype["mode"].byteorder


def _axis(cell: float, n: int) -> Axis:
    """Return the axis of `n` pixels that are `cell` angstroms long together; uncalibrated if 0."""
    size = cell / n * NANOMETRES if n > 0 else 0.0
    return Axis(0.0, size, "nm") if np.isfinite(size) and size > 0 else Axis()
