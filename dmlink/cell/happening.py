"""Happening: an Event of a live cell."""

from __future__ import annotations

from typing import NamedTuple


class Happening(NamedTuple):
    """The number of its frame, when that was taken (s), and its text."""

    frame: int
    time: float
    text: str
