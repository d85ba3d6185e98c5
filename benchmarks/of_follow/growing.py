"""Growing: a writer of in-situ data and its concurrent reader, each in its own process."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import dmlink
from dmlink.frame import Axis
from dmlink.simulator.in_situ import InSitu

from ..of_link.children import answer, child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

LONGEST = 120.0  # s allowed for a run


class Camera:
    """Frames of noise, (side, side) uint16; a few that repeat."""

    def __init__(self, side: int, n: int) -> None:
        self._few = np.random.default_rng(1).integers(1, 60_000, (4, side, side)).astype(np.uint16)
        self._n = n
        self.dtype = self._few.dtype
        self.y = self.x = Axis(0.0, 0.1, "nm")

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, i: int) -> Any:
        return dmlink.Frame(self._few[i % 4], i)


def write(pipe: Connection, folder: str, side: int, n: int, fps: float) -> None:
    """Write n frames when asked to; report how long that took."""
    camera = Camera(side, n)
    pipe.send("ready")
    pipe.recv()
    began = time.perf_counter()
    with InSitu(camera, folder, fps) as writer:
        writer.ended.wait()
        took = time.perf_counter() - began
    pipe.send(took)


def bare(pipe: Connection, folder: str, side: int, n: int) -> None:
    """Read n frames in a loop that knows their layout; report the time from the first frame on."""
    path = Path(folder) / "insitu.raw"
    pipe.send("ready")
    pipe.recv()
    while not (path.exists() and path.stat().st_size):
        time.sleep(0.001)
    began = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        for _ in range(n):
            pixels = np.empty((side, side), np.uint16)
            data, done = memoryview(pixels).cast("B"), 0
            while done < len(data):
                got = file.readinto(data[done:])
                done += got or 0
                if not got:
                    time.sleep(0.001)
    pipe.send(time.perf_counter() - began)


def follow(pipe: Connection, folder: str, side: int, n: int) -> None:  # noqa: ARG001 - as `bare`
    """Take n frames with dmlink.follow; report how long it took, and the largest lag in frames."""
    with dmlink.follow(folder, idle=None) as source:
        pipe.send("ready")
        pipe.recv()
        source.next(LONGEST)
        began, behind = time.perf_counter(), 0
        for _ in range(n - 1):
            source.next(LONGEST)
            behind = max(behind, source.behind)
        pipe.send((time.perf_counter() - began, behind))


@contextmanager
def folder() -> Iterator[str]:
    """Make a folder, and remove it with its contents afterwards."""
    place = tempfile.mkdtemp(prefix="dmlink-bench-")
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def together(
    reader: Callable[..., None] | None, side: int, n: int, fps: float = float("inf")
) -> tuple[float, Any]:
    """Write n frames and read them meanwhile; return how long that took, and the reader's report."""
    with folder() as place, ExitStack() as stack:
        writer = stack.enter_context(child(write, place, side, n, fps))
        pipes = [writer]
        if reader:
            pipes.append(stack.enter_context(child(reader, place, side, n)))
        for pipe in pipes:
            answer(pipe)
        for pipe in reversed(pipes):
            pipe.send("go")
        told = answer(pipes[1], LONGEST) if reader else None
        return answer(writer, LONGEST), told
