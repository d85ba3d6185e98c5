"""Masked values as plain numbers: NaN, in every kind of result."""

from __future__ import annotations

from typing import Any

import numpy as np


def unmasked(values: Any) -> np.ndarray:
    """Return values as an array with NaN for masked ones, so that masked integers become floats.

    Masked text becomes empty.
    """
    if isinstance(values, (list, tuple)) and any(isinstance(v, np.ma.MaskedArray) for v in values):
        values = np.ma.array(values)
    if not isinstance(values, np.ma.MaskedArray):
        return np.asarray(values)
    if values.dtype.kind in "biu":
        values = values.astype(np.result_type(values.dtype, np.float32))
    return np.asarray(values.filled("" if values.dtype.kind in "SU" else np.nan))


def plain_number(value: Any) -> Any:
    """Return a number unchanged; NaN if there is none, or it is masked."""
    return float("nan") if value is None or value is np.ma.masked else value
