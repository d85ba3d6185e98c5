"""Seven: cells of unequal cost at once, compared with bare processes on the same shared array."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing.shared_memory import SharedMemory
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.engine.pool import engine
from dmlink.engine.worker import WARM_BYTES
from dmlink.program.program import Program
from dmlink.ring import Ring

from ..of_link import transport
from ..of_link.children import answer, child
from .overhead import shared_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

SIZE = 2048
SIDES = {  # side in px of the part that each cell transforms, by the cost of a frame: lightest to heaviest
    "0.8 to 20 ms": (384, 512, 640, 768, 1024, 1280, 1536),
    "0.2 to 8 ms": (192, 256, 320, 384, 512, 768, 1024),
}
CELL = "import numpy as np\nfloat(np.abs(np.fft.rfft2(frame[:{side}, :{side}])).max())"


def throughput(runs: int, seconds: float, note: Callable[[str], None]) -> dict[str, Any]:
    """Return, by cost, frames/s of each cell, bare and live, and the ratio of total work done."""
    return {cost: _throughput(sides, runs, seconds, note) for cost, sides in SIDES.items()}


def _throughput(
    sides: tuple[int, ...], runs: int, seconds: float, note: Callable[[str], None]
) -> dict[str, Any]:
    """Bare and live take turns, so that other load on the machine hits both alike."""
    found: dict[str, list[list[float]]] = {"bare": [], "live": []}
    with bare_processes(sides) as processes, child(kernel, sides) as cells:
        answer(cells)
        cost = [1 / _turn([process], 0.2)[0] for process in processes]  # s a frame, alone
        for _ in range(runs):
            note("seven cells at once")
            found["bare"].append(_turn(processes, seconds))
            found["live"].append(_turn([cells], seconds)[0])
    work = {way: [sum(np.multiply(rates, cost)) for rates in turns] for way, turns in found.items()}
    return {
        "sides": list(sides),
        **{way: np.median(turns, axis=0).tolist() for way, turns in found.items()},
        "ratio": median(live / bare for bare, live in zip(work["bare"], work["live"], strict=True)),
    }


def _turn(processes: list[Connection], seconds: float) -> list[Any]:
    """Run all of them at once for a given time; return what each reports."""
    for process in processes:
        process.send(seconds)
    return [answer(process) for process in processes]


@contextmanager
def bare_processes(sides: tuple[int, ...]) -> Iterator[list[Connection]]:
    """Yield one process per function, which does nothing else, on one array in shared memory."""
    pixels = transport.picture(SIZE)
    memory = SharedMemory(create=True, size=pixels.nbytes)
    try:
        np.ndarray(pixels.shape, pixels.dtype, memory.buf)[...] = pixels
        with ExitStack() as stack:
            processes = [stack.enter_context(child(bare, memory.name, side)) for side in sides]
            for process in processes:
                answer(process)
            yield processes
    finally:
        memory.close()
        memory.unlink()


def bare(pipe: Connection, name: str, side: int) -> None:
    """Call the function repeatedly in this process, each time for the requested time."""
    if os.name == "posix":
        os.setsid()  # as workers do: Linux shares the cores among sessions, not processes
    memory = SharedMemory(name)
    frame: np.ndarray = np.ndarray((SIZE, SIZE), np.uint16, memory.buf)
    np.ones(WARM_BYTES, np.uint8)  # as workers do: keeps the memory of temporaries
    process = Program.from_cell(CELL.format(side=side)).load().process
    process(frame, None, {})
    pipe.send("ready")
    with suppress(EOFError):
        while True:
            pipe.send(_rate(lambda: process(frame, None, {}), pipe.recv()))


def kernel(pipe: Connection, sides: tuple[int, ...]) -> None:
    """Run seven workers on one frame, each at full speed, each time for the requested time."""
    ring = Ring()
    frame = shared_frame(ring, transport.picture(SIZE))
    workers = [engine.worker(10.0) for _ in sides]
    for worker, side in zip(workers, sides, strict=True):
        worker.load(Program.from_cell(CELL.format(side=side)))
        worker.process(frame, {})
    pipe.send("ready")
    with suppress(EOFError), ThreadPoolExecutor(len(workers)) as threads:
        while True:
            seconds = pipe.recv()
            rates = [threads.submit(_rate, partial(w.process, frame, {}), seconds) for w in workers]
            pipe.send([rate.result() for rate in rates])
    engine.close()
    ring.close()


def _rate(process: Callable[[], Any], seconds: float) -> float:
    n, begun = 0, time.perf_counter()
    while (now := time.perf_counter()) - begun < seconds:
        process()
        n += 1
    return n / (now - begun)
