"""At once: cells in workers, compared with bare processes that run the same programs on the same pixels."""

from __future__ import annotations

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.engine.pool import engine
from dmlink.engine.worker import WARM_BYTES
from dmlink.frame import Axis, Info
from dmlink.program.instance import Instance
from dmlink.program.program import Program
from dmlink.ring import Ring

from ..of_link.children import answer, child
from .overhead import shared_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

ALONE_SECONDS = 0.5
NM = Axis(0.0, 0.05, "nm")


def compared(
    texts: Sequence[str], pictures: np.ndarray, runs: int, seconds: float, note: Callable[[], None]
) -> dict[str, Any]:
    """Return the frames/s of each cell, bare and live, each as fast as it goes, and the work done by all.

    `texts` are the cells, `pictures` (n, y, x) the pixels of the frames that each gets in turn. A cell's work
    is its frames times what a frame takes it alone, in a bare process; "share" is the work of all of them by
    the time of all cores, "ratio" that of the live ones by that of the bare ones. Bare and live take turns,
    so that other load on the computer hits both alike.
    """
    found: dict[str, list[list[float]]] = {"bare": [], "live": []}
    with bare_processes(texts, pictures) as processes, child(kernel, texts, pictures) as cells:
        answer(cells)
        alone = [1 / _turn([process], ALONE_SECONDS)[0] for process in processes]  # s a frame
        for _ in range(runs):
            note()
            found["bare"].append(_turn(processes, seconds))
            found["live"].append(_turn([cells], seconds)[0])
    cores = os.cpu_count() or 1
    shares = {
        way: [sum(np.multiply(rates, alone)) / cores for rates in turns] for way, turns in found.items()
    }
    return {
        "cores": cores,
        "alone ms": [1000 * one for one in alone],
        **{way: np.median(turns, axis=0).tolist() for way, turns in found.items()},
        "share": {way: median(each) for way, each in shares.items()},
        "ratio": median(live / bare for bare, live in zip(shares["bare"], shares["live"], strict=True)),
    }


def _turn(processes: list[Connection], seconds: float) -> list[Any]:
    """Run all of them at once for a given time; return what each reports."""
    for process in processes:
        process.send(seconds)
    return [answer(process) for process in processes]


@contextlib.contextmanager
def bare_processes(texts: Sequence[str], pictures: np.ndarray) -> Iterator[list[Connection]]:
    """Yield one process per cell, which does nothing else, all on the same shared memory."""
    memory = SharedMemory(create=True, size=pictures.nbytes)
    try:
        np.ndarray(pictures.shape, pictures.dtype, memory.buf)[...] = pictures
        with contextlib.ExitStack() as stack:
            layout = memory.name, pictures.shape, pictures.dtype.str
            processes = [stack.enter_context(child(bare, text, *layout)) for text in texts]
            for process in processes:
                answer(process)
            yield processes
    finally:
        memory.close()
        memory.unlink()


def bare(pipe: Connection, text: str, name: str, shape: tuple[int, ...], dtype: str) -> None:
    """Process the frames repeatedly in this process, each time for the requested time."""
    if os.name == "posix":
        os.setsid()  # as workers do: Linux shares the cores among sessions, not processes
    memory = SharedMemory(name)
    frames: np.ndarray = np.ndarray(shape, dtype, memory.buf)
    np.ones(WARM_BYTES, np.uint8)  # as workers do: keeps the memory of temporaries
    instance = Instance(Program.from_cell(text))

    def process(turn: int) -> None:
        instance.process(frames[turn % len(frames)], Info(turn, 0.1 * turn, NM, NM))

    with Path(os.devnull).open("w") as null, contextlib.redirect_stdout(null), contextlib.suppress(EOFError):
        process(0)
        pipe.send("ready")
        while True:
            pipe.send(_rate(process, pipe.recv()))


def kernel(pipe: Connection, texts: Sequence[str], pictures: np.ndarray) -> None:
    """Run a worker for each cell, each as fast as it goes, each time for the requested time."""
    ring = Ring()
    frames = [shared_frame(ring, pixels) for pixels in pictures]
    workers = [engine.worker(30.0) for _ in texts]

    def process(worker: Any, turn: int) -> None:
        worker.process(frames[turn % len(frames)], {})

    for worker, text in zip(workers, texts, strict=True):
        worker.load(Program.from_cell(text))
        process(worker, 0)
    pipe.send("ready")
    with contextlib.suppress(EOFError), ThreadPoolExecutor(len(workers)) as threads:
        while True:
            seconds = pipe.recv()
            rates = [threads.submit(_rate, partial(process, worker), seconds) for worker in workers]
            pipe.send([rate.result() for rate in rates])
    engine.close()
    frames.clear()
    ring.close()


def _rate(process: Callable[[int], None], seconds: float) -> float:
    n, begun = 0, time.perf_counter()
    while (now := time.perf_counter()) - begun < seconds:
        process(n)
        n += 1
    return n / (now - begun)
