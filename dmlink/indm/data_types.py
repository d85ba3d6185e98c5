"""Data types: conversions for data types that DigitalMicrograph does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

#: Data types used in place of those that DigitalMicrograph does not have. Integers are exact up to 2**53.
_NEAREST_IN_DM = {
    "bool": np.uint8,
    "float16": np.float32,
    "int64": np.float64,
    "uint64": np.float64,
    "longdouble": np.float64,
    "clongdouble": np.complex128,
}
_IN_DM = {np.dtype(old).type: np.dtype(new) for old, new in _NEAREST_IN_DM.items()}


def dtype_in_dm(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the data type that pixels of `dtype` have in DigitalMicrograph, and therefore in every cell."""
    dtype = np.dtype(dtype)
    if dtype.isnative and dtype.type not in _IN_DM:
        return dtype
    return _IN_DM.get(dtype.type, dtype.newbyteorder("="))
