"""Statistics: numbers about a part of an image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dmlink.frame import Axis

BLOCK = 1 << 20  # values


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
    area, unit = n * abs(y.scale * x.scale), f"{x.unit}\u00b2"
    if y.unit != x.unit or not x.unit or not math.isfinite(area) or not area:
        area, unit = float(n), "px"
    parts = [
        (part.size, part.sum(dtype=np.float64), part.min(), part.max())
        for part in _finite(values)
        if part.size
    ]
    if not parts:
        nan = math.nan
        return Statistics(n, nan, nan, nan, nan, nan, area, unit, nan)
    sizes, sums, lowest, highest = zip(*parts, strict=True)
    total, count = float(sum(sums)), sum(sizes)
    mean = total / count
    squares = float(sum(np.square(part - mean, dtype=np.float64).sum() for part in _finite(values)))
    known = exposure is not None and math.isfinite(exposure) and exposure > 0
    return Statistics(
        n,
        mean,
        total,
        math.sqrt(squares / count),
        float(min(lowest)),
        float(max(highest)),
        area,
        unit,
        total / exposure if known and exposure else math.nan,
    )


def _finite(values: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the finite values block by block: those of 8192 x 8192 pixels at once would take a GB."""
    flat = values.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        part = flat[start : start + BLOCK]
        yield part[np.isfinite(part)] if part.dtype.kind == "f" else part
