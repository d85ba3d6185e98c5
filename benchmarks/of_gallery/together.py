"""Together: seven cells of the gallery at once, each in its own process, on the same frames."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import TYPE_CHECKING, Any

from dmlink import gallery
from dmlink.engine.pool import engine
from dmlink.program.program import Program
from dmlink.ring import Ring

from ..of_cells.overhead import shared_frame
from ..of_link.children import answer, child
from .frames import particles, specimen

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

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


def rates(frames: int) -> dict[str, Any]:
    """Return frames/s of all together, and ms of each cell alone and with the others."""
    with child(kernel, frames) as process:
        found: dict[str, Any] = answer(process)
    return found


def kernel(pipe: Connection, frames: int) -> None:
    """Send every frame to all workers, and the next one when all are done."""
    ring = Ring()
    fringes = specimen(SIDE) // 2
    shown = [shared_frame(ring, fringes + seen // 2) for seen in particles(SIDE, PARTICLES, FRAMES)]
    workers = {name: engine.worker(30.0) for name in CELLS}
    for name, worker in workers.items():
        worker.load(Program.from_cell(gallery.text(name), name))
        worker.process(shown[0], {})

    def ms(name: str, turn: int) -> float:
        begun = time.perf_counter()
        workers[name].process(shown[turn % FRAMES], {})
        return 1000 * (time.perf_counter() - begun)

    alone = {name: median(ms(name, turn) for turn in range(5)) for name in CELLS}
    with ThreadPoolExecutor(len(CELLS)) as threads:
        begun = time.perf_counter()
        turns = [list(threads.map(ms, CELLS, [turn] * len(CELLS))) for turn in range(frames)]
        seconds = time.perf_counter() - begun
    engine.close()
    shown.clear()
    ring.close()
    both = {
        name: {"alone": alone[name], "together": median(t[i] for t in turns)} for i, name in enumerate(CELLS)
    }
    pipe.send({"side": SIDE, "cores": os.cpu_count(), "frames/s": frames / seconds, "cells": both})
