"""Lengths: distances, angles and lattice spacings between points in an image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from dmlink.frame import Axis

Point = tuple[float, float]
PEAK_REACH = 4  # pixels around a click within which the peak is searched


class Length(NamedTuple):
    """A distance: `value` in `unit`, `pixels`, and the `angle` to the horizontal in degrees, -180 to 180.

    The angle is counted anticlockwise, as on paper.
    """

    value: float
    unit: str
    pixels: float
    angle: float


class Spacing(NamedTuple):
    """A point in a power spectrum: its frequency `q`, the spacing `d` = 1/q, their units, and its `angle`."""

    q: float
    q_unit: str
    d: float
    d_unit: str
    angle: float


def length(start: Point, end: Point, y: Axis, x: Axis) -> Length:
    """Return the distance between two points; in pixels if y and x have different units, or none."""
    rows, columns = end[0] - start[0], end[1] - start[1]
    pixels = math.hypot(rows, columns)
    if y.unit != x.unit or not x.unit or not _calibrated(y, x):
        return Length(pixels, "px", pixels, _degrees(-rows, columns))
    high, wide = rows * abs(y.scale), columns * abs(x.scale)
    return Length(math.hypot(high, wide), x.unit, pixels, _degrees(-high, wide))


def angle_between(first: Length, second: Length) -> float:
    """Return the angle between two directions, 0 to 180 degrees."""
    turn = abs(first.angle - second.angle) % 360.0
    return min(turn, 360.0 - turn)


def spacing(place: Point, y: Axis, x: Axis) -> Spacing:
    """Return frequency and spacing of a point in a power spectrum; `d` is infinite at the centre."""
    qy, qx = (axis.origin + axis.scale * (at - 0.5) for axis, at in ((y, place[0]), (x, place[1])))
    q = math.hypot(qy, qx)
    unit = x.unit if y.unit == x.unit else ""
    d_unit = unit[2:] if unit.startswith("1/") else f"1/{unit}" if unit else ""
    return Spacing(q, unit, 1.0 / q if q else math.inf, d_unit, _degrees(-qy, qx))


def peak_near(values: np.ndarray, place: Point) -> Point:
    """Return the position of the peak of (h, w) values within a few pixels, to a fraction of a pixel."""
    row, column = (min(max(int(at), 0), n - 1) for at, n in zip(place, values.shape, strict=True))
    top, left = max(0, row - PEAK_REACH), max(0, column - PEAK_REACH)
    around = values[top : row + PEAK_REACH + 1, left : column + PEAK_REACH + 1]
    if not np.isfinite(around).any():
        return place
    y, x = np.unravel_index(np.nanargmax(around), around.shape)
    y, x = int(y) + top, int(x) + left
    part = values[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
    weight = np.nan_to_num(np.asarray(part, float) - np.nanmin(part), posinf=0.0)
    if not weight.sum() > 0:
        return y + 0.5, x + 0.5
    rows, columns = np.mgrid[: part.shape[0], : part.shape[1]]
    above, before = max(0, y - 1), max(0, x - 1)
    middle_y, middle_x = ((weight * at).sum() / weight.sum() for at in (rows, columns))
    return above + float(middle_y) + 0.5, before + float(middle_x) + 0.5


def _calibrated(y: Axis, x: Axis) -> bool:
    return all(axis.scale and math.isfinite(axis.scale) for axis in (y, x))


def _degrees(up: float, right: float) -> float:
    return math.degrees(math.atan2(up + 0.0, right)) if up or right else 0.0
