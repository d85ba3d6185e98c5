"""Ways to process a frame in worker processes that already run, as their documentation shows."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from importlib import metadata, util
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.engine.pool import engine
from dmlink.program.program import Program
from dmlink.ring import Ring

from ..of_cells.overhead import shared_frame
from ..of_link import transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dmlink.frame import Frame

    Rounds = Callable[[np.ndarray], Any]  # processes the frame once per worker

SIZE = 1024
WARM = 5
SLOTS = 4  # frames of a link in shared memory at a time


def first(frame: np.ndarray) -> int:
    """Read one pixel, so that only the transfer takes time."""
    return int(frame[0, 0])


def measure(way: str, n: int, rounds: int) -> dict[str, float]:
    """Return p50 and p95 of a frame's round trip to `n` workers in ms, and their start-up time in s."""
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    begun = time.perf_counter()
    picture, times = transport.picture(SIZE), []
    with WAYS[way](n) as process:
        for i in range(WARM + rounds):
            frame = picture.copy()  # a new one each time, as from a camera
            if i == 0:
                process(frame)
                start = time.perf_counter() - begun
                continue
            at = time.perf_counter()
            process(frame)
            times.append((time.perf_counter() - at) * 1e3)
    p50, p95 = np.percentile(times[WARM - 1 :], [50, 95])
    return {"p50": float(p50), "p95": float(p95), "start": start}


@contextlib.contextmanager
def _worker(n: int) -> Iterator[Rounds]:
    """Frames in shared memory, where a link leaves them."""
    ring, program = Ring(), Program.from_cell("int(frame[0, 0])")
    workers = [engine.worker(10.0) for _ in range(n)]
    for worker in workers:
        worker.load(program)
    frames: list[Frame] = []

    def process(pixels: np.ndarray) -> None:
        if len(frames) < SLOTS:  # filled by the warm-up rounds
            frames.append(shared_frame(ring, pixels))
        frame = frames[0]
        frames.append(frames.pop(0))
        list(threads.map(lambda worker: worker.process(frame, {}), workers))

    with ThreadPoolExecutor(n) as threads:
        yield process
    frames.clear()
    engine.close()
    ring.close()


@contextlib.contextmanager
def _executor(n: int) -> Iterator[Rounds]:
    with ProcessPoolExecutor(n, multiprocessing.get_context("spawn")) as pool:
        yield lambda frame: [future.result() for future in [pool.submit(first, frame) for _ in range(n)]]


@contextlib.contextmanager
def _joblib(n: int) -> Iterator[Rounds]:
    import joblib  # noqa: PLC0415

    with joblib.Parallel(n_jobs=n, backend="loky") as pool:
        # with one job, joblib would call the function in this process
        if n == 1:
            executor = joblib.externals.loky.get_reusable_executor(1)
            yield lambda frame: executor.submit(first, frame).result()
        else:
            yield lambda frame: pool(joblib.delayed(first)(frame) for _ in range(n))
    joblib.externals.loky.get_reusable_executor().shutdown()  # else it idles beside the next ones


@contextlib.contextmanager
def _dask(n: int) -> Iterator[Rounds]:
    import distributed  # noqa: PLC0415

    with (
        distributed.LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield lambda frame: client.gather([client.submit(first, frame, pure=False) for _ in range(n)])


@contextlib.contextmanager
def _ipyparallel(n: int) -> Iterator[Rounds]:
    import ipyparallel  # noqa: PLC0415

    with ipyparallel.Cluster(n=n, log_level=40) as client:
        engines = [client[i] for i in range(n)]
        yield lambda frame: [reply.get() for reply in [one.apply_async(first, frame) for one in engines]]


WAYS = {
    "live cell's worker": _worker,
    "ProcessPoolExecutor": _executor,
    "joblib (loky)": _joblib,
    "dask.distributed": _dask,
    "ipyparallel": _ipyparallel,
}
_PACKAGES = {"joblib (loky)": "joblib", "dask.distributed": "distributed", "ipyparallel": "ipyparallel"}
AVAILABLE = [way for way in WAYS if way not in _PACKAGES or util.find_spec(_PACKAGES[way])]


def versions() -> str:
    """Return the installed peers with their versions, and those that are not installed."""
    there = [f"{p} {metadata.version(p)}" for way, p in _PACKAGES.items() if way in AVAILABLE]
    missing = [p for way, p in _PACKAGES.items() if way not in AVAILABLE]
    return "Peers: " + ", ".join([*there, *(f"{p} is not installed" for p in missing)])
