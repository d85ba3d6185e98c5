"""NeXus: a file's default data with its axes and times.

The rules are those of the NeXus manual, "Rules for storing data items: find the plottable data".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from dmlink.frame import Axis
from dmlink.recordings.formats.hyperspy_layout import Found
from dmlink.recordings.steps import Uneven, axis_of
from dmlink.recordings.units import spelled

if TYPE_CHECKING:
    from pathlib import Path

#: Deeper than any chain of defaults.
DEEPEST = 16


def nexus(path: Path, file: Any) -> list[Found]:
    """Return the data of a file's NXdata groups, the default first; empty if it is not NeXus."""
    default = _default(file)
    groups = [default] if default is not None else []

    def look(_: str, group: Any) -> None:
        if isinstance(group, h5py.Group) and _class(group) == "NXdata" and group not in groups:
            groups.append(group)

    file.visititems(look)
    found = [one for group in groups if (one := _data(path, group)) is not None]
    if len(found) < 2 or (default is not None and found[0].name == default.name.lstrip("/")):
        return found
    # Without a default, images before spectra.
    return found if default is not None else sorted(found, key=lambda one: one.data.ndim < 2)


def _default(file: Any) -> Any:
    """Follow the attributes `default` from the root to an NXdata; None if they do not lead to one."""
    group = file
    for _ in range(DEEPEST):
        if _class(group) == "NXdata":
            return group
        name = _text(group.attrs.get("default"))
        try:
            below = group[name] if name else None
        except (KeyError, OSError):
            return None
        if not isinstance(below, h5py.Group):
            return None
        group = below
    return None


def _data(path: Path, group: Any) -> Found | None:
    """Return the signal of an NXdata with its axes."""
    name = _text(group.attrs.get("signal"))
    if not name:  # before 2014, the mark was on the dataset
        name = next((key for key in group if _marked(group, key)), "")
    if not name:
        return None
    try:
        data = group[name]
    except (KeyError, OSError) as error:
        link = group.get(name, getlink=True)
        where = getattr(link, "filename", "") or getattr(link, "path", "")
        raise ValueError(
            f"The data of {path}, {group.name}/{name}, is in {where or 'nothing'}, which cannot be opened; "
            f"put it next to {path.name}."
        ) from error
    if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "biufc" or not data.ndim:
        return None
    names = _axes_names(group, data)
    axes = [_axis(group, key, i, data) for i, key in enumerate(names)]
    tags = {k: v for k, v in data.attrs.items() if isinstance(v, str | int | float)}
    return Found(group.name.strip("/") + f"/{name}", data, axes, names, tags=tags)


def _marked(group: Any, key: str) -> bool:
    try:
        return str(_text(group[key].attrs.get("signal"))) == "1"
    except (KeyError, OSError):
        return False


def _axes_names(group: Any, data: Any) -> list[str]:
    """Return the name of each dimension's axis; empty if it has none."""
    axes = group.attrs.get("axes")
    if axes is None:
        axes = data.attrs.get("axes")
    if axes is None:
        listed = []
    elif isinstance(axes, str | bytes):
        listed = [part.strip() for part in _text(axes).strip("[]").replace(",", ":").split(":")]
    else:
        listed = [_text(part) for part in np.asarray(axes).ravel()]
    names = ["" if name == "." else name for name in listed]
    names = [*names, *[""] * data.ndim][: data.ndim]
    for key in group:  # NAME_indices is the dimension of an axis
        indices = group.attrs.get(f"{key}_indices")
        if indices is not None and key in names:
            at = int(np.asarray(indices).ravel()[0])
            if 0 <= at < data.ndim and names[at] != key:
                names[names.index(key)] = names[at]
                names[at] = key
    return names


def _axis(group: Any, name: str, dimension: int, data: Any) -> Axis | Uneven:
    if not name or name not in group:
        return Axis()
    values = group[name]
    n = data.shape[dimension]
    if (
        not isinstance(values, h5py.Dataset)
        or values.dtype.kind not in "iuf"
        or values.shape not in ((n,), (n + 1,))
    ):
        return Axis()
    numbers = np.asarray(values[...], float)
    if len(numbers) == n + 1:  # the edges of a histogram
        numbers = (numbers[1:] + numbers[:-1]) / 2
    return axis_of(numbers, spelled(_text(values.attrs.get("units"))))


def _class(group: Any) -> str:
    return _text(group.attrs.get("NX_class"))


def _text(value: Any) -> str:
    value = value.flat[0] if isinstance(value, np.ndarray) and value.size else value
    if value is None:
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
