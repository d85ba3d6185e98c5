"""Profiles: the newest one as a curve, and an image with one column for each profile so far."""

import numpy as np

from dmlink.indm.info import Axis
from dmlink.indm.script.cell import SHOW

WIDEST = 2048  # columns; when full, the older half is dropped


def show_profile(cell, name, profile, info):
    """Draw a profile, and add it to the earlier ones."""
    cell.draw(name, profile.values, (profile.x,), profile.value_unit, line=True)
    columns, frames, new = add_column(cell, f"{name} in time", profile.values)
    cell.draw(f"{name} in time", columns, (frames, profile.x), profile.value_unit, new=new)


def add_column(cell, name, column):
    """Return the columns of all frames, their axis, and which are new; when full, their number is doubled.

    DM fits its contrast to all columns, so empty ones get the smallest value of this profile.
    """
    columns, first, n = cell.charts.get(name, (np.zeros((0, 0)), 0, 0))
    if len(column) != len(columns):
        columns, first, n = np.zeros((len(column), 0), np.float32), 0, 0
    if cell.frames:
        n = cell.index
    new = slice(n, n + 1)
    if n >= columns.shape[1]:
        gone, new = n // 2 if n >= WIDEST and not cell.frames else 0, slice(None)
        columns, first, n = columns[:, gone:], first + gone, n - gone
        finite = column[np.isfinite(column)]
        more = cell.frames - columns.shape[1] if cell.frames else max(n, 256)
        room = np.full((len(column), more), finite.min() if finite.size else 0, np.float32)
        columns = np.hstack([columns, room])
    columns[:, n] = column
    cell.charts[name] = columns, first, n + 1
    return columns, Axis(float(first), 1.0, "frames"), new


SHOW["profile"] = show_profile
