"""Statistics: numbers about a part of an image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from dmlink.frame import Axis


class Statistics(NamedTuple):
    """Numbers about pixels; those that are not finite are left out of all but `pixels`.

    `area` is in `area_unit`; `per_second` is the sum divided by the exposure, NaN if that is unknown.
    """

    pixels: int
    mean: float
    sum: float
    std: float
    minimum: float
    maximum: float
    area: float
    area_unit: str
    per_second: float


def statistics(values: Any, y: Axis, x: Axis, exposure: float | None = None) -> Statistics:
    """Return the statistics of values of any shape and numeric type; complex values by magnitude.

    Parameters
    ----------
    values : numpy.ndarray
        The pixels.
    y, x : Axis
        Calibration of the image from which they come.
    exposure : float, optional
        In seconds.
    """
    values = np.asarray(np.abs(values) if np.iscomplexobj(values) else values)
    n = values.size
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    area, unit = n * abs(y.scale * x.scale), f"{x.unit}\u00b2"
    if y.unit != x.unit or not x.unit or not math.isfinite(area) or not area:
        area, unit = float(n), "px"
    if finite.size == 0:
        nan = math.nan
        return Statistics(n, nan, nan, nan, nan, nan, area, unit, nan)
    total = float(finite.sum(dtype=np.float64))
    known = exposure is not None and math.isfinite(exposure) and exposure > 0
    return Statistics(
        n,
        total / finite.size,
        total,
        float(finite.std(dtype=np.float64)),
        float(finite.min()),
        float(finite.max()),
        area,
        unit,
        total / exposure if known and exposure else math.nan,
    )
