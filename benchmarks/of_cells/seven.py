"""Seven: cells of unequal cost at once, and the same functions in bare processes on the same shared array."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from multiprocessing.shared_memory import SharedMemory
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.of_link import transport
from benchmarks.of_link.children import answer, child
from dmlink.engine import engine
from dmlink.program import Program
from dmlink.ring import Ring
from dmlink.worker import WARM_BYTES

from .overhead import SIZE, shared_frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

SIDES = (192, 256, 320, 384, 512, 768, 1024)  # pixels of the part that each cell transforms
CELL = "import numpy as np\nfloat(np.abs(np.fft.rfft2(frame[:{side}, :{side}])).max())"


def throughput(runs: int, seconds: float, note: Callable[[str], None]) -> dict[str, Any]:
    """Return frames/s of each cell, bare and live, and the ratio of the work done in all."""
    bare: list[list[float]] = []
    live: list[list[float]] = []
    cost = [_bare([side], 0.2)[0] ** -1 for side in SIDES]  # s a frame, alone
    for _ in range(runs):
        note("seven cells at once")
        bare.append(_bare(list(SIDES), seconds))
        with child(kernel, seconds) as process:
            live.append(answer(process))
    work = [[sum(np.multiply(rates, cost)) for rates in runs] for runs in (bare, live)]
    return {
        "sides": list(SIDES),
        "bare": np.median(bare, axis=0).tolist(),
        "live": np.median(live, axis=0).tolist(),
        "ratio": median(b / a for a, b in zip(*work, strict=True)),
    }


def _bare(sides: list[int], seconds: float) -> list[float]:
    """Return frames/s of each function in a process of its own that does nothing else."""
    pixels = transport.picture(SIZE)
    memory = SharedMemory(create=True, size=pixels.nbytes)
    try:
        np.ndarray(pixels.shape, pixels.dtype, memory.buf)[...] = pixels
        with ExitStack() as stack:
            processes = [stack.enter_context(child(bare, memory.name, side)) for side in sides]
            for process in processes:
                answer(process)
            for process in processes:
                process.send(seconds)
            return [answer(process) for process in processes]
    finally:
        memory.close()
        memory.unlink()


def bare(pipe: Connection, name: str, side: int) -> None:
    """Call the function over and over, in this process."""
    memory = SharedMemory(name)
    frame: np.ndarray = np.ndarray((SIZE, SIZE), np.uint16, memory.buf)
    np.ones(WARM_BYTES, np.uint8)  # as workers do: the memory of temporaries is there
    process = Program.from_cell(CELL.format(side=side)).load().process
    process(frame, None, {})
    pipe.send("ready")
    seconds = pipe.recv()
    n, begun = 0, time.perf_counter()
    while (now := time.perf_counter()) - begun < seconds:
        process(frame, None, {})
        n += 1
    pipe.send(n / (now - begun))


def kernel(pipe: Connection, seconds: float) -> None:
    """Run seven workers on one frame, each as fast as it goes, in this process."""
    ring = Ring()
    frame = shared_frame(ring, transport.picture(SIZE))
    workers = [engine.worker(10.0) for _ in SIDES]
    for worker, side in zip(workers, SIDES, strict=True):
        worker.load(Program.from_cell(CELL.format(side=side)))
        worker.process(frame, {})
    rates = [0.0] * len(workers)

    def feed(i: int) -> None:
        n, begun = 0, time.perf_counter()
        while (now := time.perf_counter()) - begun < seconds:
            workers[i].process(frame, {})
            n += 1
        rates[i] = n / (now - begun)

    threads = [threading.Thread(target=feed, args=(i,)) for i in range(len(workers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pipe.send(rates)
    engine.close()
    ring.close()
