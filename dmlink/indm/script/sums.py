"""Sums: a frame's integers are added in 64 bits, as in the notebook; NumPy 1 on Windows would use 32."""

import numpy as np

NARROW = np.dtype(int).itemsize < 8


def in_64_bits(name):
    """Return a method of arrays that computes with 64 bits, unless it is given a data type."""
    plain = getattr(np.ndarray, name)

    def method(self, axis=None, dtype=None, out=None, **options):
        if dtype is None and out is None and self.dtype.kind in "biu":
            dtype = np.uint64 if self.dtype.kind == "u" else np.int64
        return plain(self, axis, dtype, out, **options)

    return method


class Summable(np.ndarray):
    """An array whose sums and products of integers do not overflow at 32 bits."""

    def __array_wrap__(self, array, context=None, return_scalar=False):
        """Return a number where NumPy does for plain arrays, not an array without dimensions."""
        return array[()] if array.ndim == 0 else array.view(Summable)

    sum, prod = in_64_bits("sum"), in_64_bits("prod")
    cumsum, cumprod = in_64_bits("cumsum"), in_64_bits("cumprod")


def summable(frame):
    """Return a frame of integers as such an array where NumPy needs it."""
    return frame.view(Summable) if NARROW and frame.dtype.kind in "biu" else frame
