"""Overhead: what a worker process costs a frame beyond the cell's own time."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.engine.pool import engine
from dmlink.frame import Axis, Frame
from dmlink.program.program import Program
from dmlink.ring import Ring

from ..of_link import sender, transport
from ..of_link.children import answer, child

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from dmlink.engine.pool import Worker

SIZE = 1024
CELLS = {"empty": "None", "mean": "frame.mean()", "image": "frame"}
WARM = 50  # frames before the clock starts


def overheads(runs: int, frames: int, note: Callable[[str], None]) -> dict[str, Any]:
    """Return p50 and p95 of each cell's overhead in ms, and its frames/s."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CELLS}
    for _ in range(runs):
        for name, text in CELLS.items():
            note(f"overhead of a cell: {name}")
            with child(kernel, text, frames) as process:
                found[name].append(answer(process))
    return {
        name: {what: median(run[what] for run in each) for what in each[0]} for name, each in found.items()
    }


def kernel(pipe: Connection, text: str, frames: int) -> None:
    """Run a cell on frames in shared memory, one after another, in this process."""
    ring, worker = Ring(), engine.worker(10.0)
    worker.load(Program.from_cell(text))
    frame = shared_frame(ring, transport.picture(SIZE))
    _rounds(worker, frame, WARM)
    begun = time.perf_counter()
    overhead = _rounds(worker, frame, frames)
    seconds = time.perf_counter() - begun
    p50, p95 = np.percentile(overhead, [50, 95]) * 1e3
    pipe.send({"p50": float(p50), "p95": float(p95), "frames/s": frames / seconds})
    engine.close()
    ring.close()


def shared_frame(ring: Ring, pixels: np.ndarray) -> Frame:
    """Return a frame as a link delivers it."""
    memory, block = ring.take(pixels.nbytes)
    data = memory.view(pixels.dtype).reshape(pixels.shape)
    data[...] = pixels
    data.flags.writeable = False
    axis = Axis(-12.5, 0.0125, "nm")
    return Frame(data, 0, time.time(), axis, axis, None, "benchmark", dict(sender.TAGS), 0, block)


def _rounds(worker: Worker, frame: Frame, n: int) -> list[float]:
    overhead = []
    for _ in range(n):
        begun = time.perf_counter()
        outcome = worker.process(frame, {})
        overhead.append(time.perf_counter() - begun - outcome.seconds)
    return overhead
