"""Steps: whether numbers are evenly spaced, so that an origin and a step are enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dmlink.frame import Axis

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Seconds per unit of a frame axis; an axis in one of these units has the frames' times.
SECONDS = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0,
    "ms": 1e-3, "msec": 1e-3, "millisecond": 1e-3, "milliseconds": 1e-3,
    "\u00b5s": 1e-6, "us": 1e-6, "microsecond": 1e-6, "microseconds": 1e-6, "ns": 1e-9,
    "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0,
}  # fmt: skip

#: Fraction of a step by which a value may be off, because programs write them in 32 bits.
OFF = 1e-5


class Uneven(NamedTuple):
    """An axis that is not evenly spaced: the value of each element, shape (n,), in `unit`."""

    values: np.ndarray
    unit: str = ""


def even_steps(values: Sequence[float] | np.ndarray) -> tuple[float, float] | None:
    """Return (first, step) of evenly spaced numbers; None if they are not."""
    numbers = np.asarray(values, float)
    n = len(numbers)
    if not n or not np.isfinite(numbers).all():
        return None
    if n == 1:
        return float(numbers[0]), 1.0
    step = float(numbers[-1] - numbers[0]) / (n - 1)
    with np.errstate(over="ignore", invalid="ignore"):
        off = np.abs(numbers - (numbers[0] + step * np.arange(n))).max()
    # large numbers, such as seconds since 1970, are not exact
    exact = OFF * abs(step) + 4 * np.finfo(float).eps * float(np.abs(numbers).max())
    return (float(numbers[0]), step) if step and off <= exact else None


def axis_of(values: Sequence[float] | np.ndarray, unit: str = "") -> Axis | Uneven:
    """Return the axis with these values."""
    even = even_steps(values)
    return Axis(*even, unit) if even else Uneven(np.asarray(values, float), unit)


def sound(axis: Axis) -> Axis:
    """Return the axis, or an uncalibrated one if its numbers are not finite or its step is zero."""
    return axis if np.isfinite([axis.origin, axis.scale]).all() and axis.scale else Axis()
