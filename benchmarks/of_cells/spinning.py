"""Spinning: live cells while the notebook computes in Python, and how much they slow it down."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

import dmlink

from ..of_link.children import answer, child
from ..of_link.kernel import publish

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

SIZE, FPS = 1024, 100.0
CELLS = 2
CELL = "int(frame[0, 0])"


def keeping(runs: int, seconds: float, note: Callable[[str], None]) -> dict[str, float]:
    """Return rate and age of results, idle and spinning, and the speed that the computation keeps."""
    note("cells while the main thread spins")
    with child(publish, SIZE, FPS) as publisher, child(kernel, answer(publisher), runs, seconds) as process:
        turns = answer(process, 60.0 + 4 * runs * seconds)
        alone = answer(process)
    found = {
        f"{state} {what}": median(turn[state][what] for turn in turns)
        for state in ("idle", "spinning")
        for what in ("rate", "p50", "p95")
    }
    found["ratio"] = median(turn["spinning"]["rate"] / turn["idle"]["rate"] for turn in turns)
    found["age grows"] = median(turn["spinning"]["p95"] - turn["idle"]["p95"] for turn in turns)
    found["computation"] = median(turn["spinning"]["loops"] for turn in turns) / alone  # without cells, after
    return found


def kernel(pipe: Connection, endpoint: str, runs: int, seconds: float) -> None:
    """Run cells in this process; its main thread sleeps and spins in turn."""
    with dmlink.connect(endpoint) as link:
        cells = [dmlink.LiveCell(CELL, f"cell {i}").start(link) for i in range(CELLS)]
        ages: list[float] = []

        def note_age() -> None:
            if cells[0].frame:
                ages.append(link.age(cells[0].frame))

        cells[0].watch(note_age)
        while any(cell.stats.processed < FPS / 2 for cell in cells):
            time.sleep(0.05)
        turns = []
        for _ in range(runs):
            turn = {}
            for state, spend in (("idle", rest), ("spinning", spin)):
                ages.clear()
                before = [cell.stats.processed for cell in cells]
                begun = time.perf_counter()
                loops = spend(seconds)
                passed = time.perf_counter() - begun
                done = [cell.stats.processed - n for cell, n in zip(cells, before, strict=True)]
                p50, p95 = np.percentile(ages, [50, 95]) * 1e3
                rate = min(done) / passed
                turn[state] = {"rate": rate, "p50": float(p50), "p95": float(p95), "loops": loops / passed}
            turns.append(turn)
        for cell in cells:
            cell.stop()
    pipe.send(turns)
    pipe.send(spin(seconds) / seconds)


def rest(seconds: float) -> int:
    """Do nothing."""
    time.sleep(seconds)
    return 0


def spin(seconds: float) -> int:
    """Compute in Python; return how much was done."""
    loops, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        sum(i * i for i in range(1000))
        loops += 1
    return loops
