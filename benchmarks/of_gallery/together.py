"""Together: seven cells of the gallery at once, each in its own process, on the same frames."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import TYPE_CHECKING, Any

from dmlink import gallery
from dmlink.engine import engine
from dmlink.program import Program
from dmlink.ring import Ring

from ..of_cells.overhead import shared_frame
from ..of_link.children import answer, child
from .frames import specimen

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

SIDE = 870
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
    """Return frames/s of all together, and ms of each alone and of each while all run."""
    with child(kernel, frames) as process:
        found: dict[str, Any] = answer(process)
    return found


def kernel(pipe: Connection, frames: int) -> None:
    """Give every frame to all workers, and the next when all are done."""
    ring = Ring()
    shown = shared_frame(ring, specimen(SIDE))
    names = [name for name in CELLS if name in gallery.names()]
    workers = {name: engine.worker(30.0) for name in names}
    for name, worker in workers.items():
        worker.load(Program.from_cell(gallery.text(name), name))
        worker.process(shown, {})

    def ms(name: str) -> float:
        begun = time.perf_counter()
        workers[name].process(shown, {})
        return 1000 * (time.perf_counter() - begun)

    alone = {name: median(ms(name) for _ in range(5)) for name in names}
    with ThreadPoolExecutor(len(names)) as threads:
        begun = time.perf_counter()
        turns = [list(threads.map(ms, names)) for _ in range(frames)]
        seconds = time.perf_counter() - begun
    engine.close()
    ring.close()
    both = {
        name: {"alone": alone[name], "together": median(t[i] for t in turns)} for i, name in enumerate(names)
    }
    pipe.send({"side": SIDE, "frames/s": frames / seconds, "cells": both})
