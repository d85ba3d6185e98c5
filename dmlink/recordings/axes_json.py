"""Axes as JSON: the calibration of each dimension, which dmlink writes into a file or next to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.frame import Axis
from dmlink.recordings.recording import Dimension
from dmlink.recordings.steps import Uneven

if TYPE_CHECKING:
    from dmlink.recordings.recording import Recording


def axes_to_json(recording: Recording) -> list[dict[str, Any]]:
    """Return a dict for each dimension, y and x: name, unit, and either origin and scale or values."""
    h, w = recording.shape[1:]
    picture = [Dimension("y", h, recording.y), Dimension("x", w, recording.x)]
    return [_one(dimension) for dimension in (*recording.dimensions, *picture)]


def _one(dimension: Dimension) -> dict[str, Any]:
    named = {"name": dimension.name, "unit": dimension.axis.unit}
    if dimension.values is not None:
        return {**named, "values": [float(value) for value in dimension.values]}
    return {**named, "origin": dimension.axis.origin, "scale": dimension.axis.scale}


def axes_from_json(found: Any, shape: tuple[int, ...]) -> tuple[list[Axis | Uneven], list[str]]:
    """Return the axes of an array of `shape`, and their names.

    Raises
    ------
    ValueError
        If they do not fit such an array.
    """
    if not isinstance(found, list) or len(found) != len(shape) or not all(isinstance(a, dict) for a in found):
        raise ValueError(f'"axes" must be a list with one object for each of the {len(shape)} dimensions')
    axes: list[Axis | Uneven] = []
    for one, n in zip(found, shape, strict=True):
        unit = str(one.get("unit", ""))
        try:
            if "values" in one:
                values = np.asarray(one["values"], float)
                if values.shape != (n,):
                    raise ValueError(f"an axis has {values.size} values for {n} elements")
                axes.append(Uneven(values, unit))
            else:
                axes.append(Axis(float(one.get("origin", 0.0)), float(one.get("scale", 1.0)), unit))
        except TypeError as error:
            raise ValueError(f"an axis has something that is not a number ({error})") from error
    return axes, [str(one.get("name", "")) for one in found]
