"""HyperSpy's layout, the same in HDF5 and Zarr: Experiments/NAME with `data`, axis-0, axis-1, ..."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.frame import Axis
from dmlink.recordings.steps import Uneven, axis_of
from dmlink.recordings.units import spelled

if TYPE_CHECKING:
    from dmlink.recordings import Dimensions


@dataclass
class Found:
    """A dataset that can be frames, with its metadata in the file."""

    name: str
    data: Any
    axes: list[Axis | Uneven] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    axis: Dimensions = None
    fps: float | None = None
    tags: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def signals(root: Any) -> list[Found]:
    """Return the signals below a file's root, an h5py.File or a zarr.Group."""
    if "Experiments" not in root:
        return []
    experiments = root["Experiments"]
    found = []
    for key in experiments:
        group = experiments[key]
        if not hasattr(group, "keys") or "data" not in group:
            continue
        data = group["data"]
        present = [f"axis-{i}" in group for i in range(data.ndim)]
        axes = [_axis(group[f"axis-{i}"]) for i in range(data.ndim)] if all(present) else []
        names = (
            [_word(group[f"axis-{i}"].attrs.get("name")) for i in range(data.ndim)] if all(present) else []
        )
        notes = [] if all(present) else [f"Some axes of {key} are missing, so it is not calibrated."]
        found.append(Found(key, data, axes, names, tags=_tags(group), notes=notes))
    return found


def _axis(group: Any) -> Axis | Uneven:
    attributes = group.attrs
    unit = spelled(_word(attributes.get("units")))
    if "axis" in group:  # a DataAxis: its values are an array
        return axis_of(np.asarray(group["axis"][...], float), unit)
    if "axis" in attributes:
        return axis_of(np.asarray(attributes["axis"], float), unit)
    return Axis(float(attributes.get("offset", 0)), float(attributes.get("scale", 1)), unit)


def _tags(group: Any) -> dict[str, Any]:
    """Return the plain values of the instrument's metadata."""
    tags: dict[str, Any] = {}
    place = group
    for step in ("metadata", "Acquisition_instrument"):
        if step not in place:
            return tags
        place = place[step]
    for instrument in place:
        if not hasattr(place[instrument], "keys"):
            continue
        for name, value in place[instrument].attrs.items():
            if isinstance(value, str | int | float | np.number):
                tags[name] = value.item() if isinstance(value, np.number) else value
    return tags


def _word(value: Any) -> str:
    """Return HyperSpy's text, in which None is _None_."""
    text = (
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str("" if value is None else value)
    )
    return "" if text in ("_None_", "<undefined>", "None") else text
