"""Together: seven cells of the gallery at once, each in its own process, on the same frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink import gallery

from ..of_cells import at_once
from .frames import particles, specimen

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 870
PARTICLES, FRAMES = 200, 8  # on fringes; repeated
CELLS = (
    "fft_radial_profile",
    "fft_colour_map",
    "particle_tracking",
    "phase_change",
    "running_difference",
    "filtered_view",
    "maximum_fft",
)


def rates(runs: int, seconds: float, note: Callable[[], None]) -> dict[str, Any]:
    """Return frames/s of all together, live and in bare processes, and ms of each alone."""
    fringes = specimen(SIDE) // 2
    shown = np.stack([fringes + seen // 2 for seen in particles(SIDE, PARTICLES, FRAMES)])
    texts = [gallery.text(name) for name in CELLS]
    return {"side": SIDE, "cells": list(CELLS), **at_once.compared(texts, shown, runs, seconds, note)}
