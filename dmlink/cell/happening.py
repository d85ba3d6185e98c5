"""Happening: when an Event of a live cell has happened, and what it was."""

from __future__ import annotations

from typing import NamedTuple


class Happening(NamedTuple):
    """Number of the frame in which it has happened, when that was taken (s), and what it was."""

    frame: int
    time: float
    text: str
