"""Arrays: the notebook's arrays that the cell uses, from the end of this file or from a separate one."""

import base64
import zlib

import numpy as np


def arrays_of(arrays):
    """Return the arrays by name, read-only, from the .npz file at a path, or from text."""
    if isinstance(arrays, str):
        with np.load(arrays) as file:
            found = dict(file)
    else:
        found = {name: unpacked(*written) for name, written in arrays.items()}
    for array in found.values():
        array.flags.writeable = False
    return found


def unpacked(dtype, shape, text):
    """Return an array stored as compressed text."""
    return np.frombuffer(zlib.decompress(base64.b85decode("".join(text.split()))), dtype).reshape(shape)
