"""Microscope: a simulated one in its own process, with or without a companion."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from dmlink.frame import Axis
from dmlink.simulator import Microscope

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

FRAMES = 4


class Noise:
    """A recording in memory: frames (size, size) uint16 that all differ."""

    def __init__(self, size: int) -> None:
        self.name, self.shape, self.dtype = "noise", (FRAMES, size, size), np.dtype(np.uint16)
        self.stack = np.random.default_rng(7).integers(0, 4096, self.shape, np.uint16)
        self.x = self.y = Axis(0.0, 0.0125, "nm")

    def __len__(self) -> int:
        return FRAMES

    def __getitem__(self, i: int) -> SimpleNamespace:
        return SimpleNamespace(data=self.stack[i])


def serve(pipe: Connection, size: int, fps: float, companion: bool) -> None:
    """Run one, send its endpoint, then answer ("rate", seconds) or ("held", 0)."""
    with contextlib.ExitStack() as stack:
        os.environ["DMLINK_HOME"] = stack.enter_context(TemporaryDirectory(prefix="dmlink-bench-"))
        dm = stack.enter_context(Microscope(Noise(size), fps=fps))
        pipe.send(dm.start_companion(0) if companion else None)
        with contextlib.suppress(EOFError):  # the other end has closed
            while True:
                what, amount = pipe.recv()
                pipe.send(display_rate(dm, amount) if what == "rate" else held())


def display_rate(dm: Microscope, seconds: float) -> float:
    """Return frames/s of the live view, from one displayed frame to another."""
    first, begun = dm.wait_displayed(1), time.perf_counter()
    time.sleep(seconds)
    last, ended = dm.wait_displayed(1), time.perf_counter()
    return (last - first) / (ended - begun)


def held() -> dict[str, Any]:
    """Return what this process holds: descriptors, threads, processes, mapped shared memory, bytes."""
    gc.collect()
    me = psutil.Process()
    maps = Path("/proc/self/maps")
    blocks = {line.split()[-1] for line in maps.read_text().splitlines() if "/dev/shm/psm_" in line}  # noqa: S108
    return {
        "descriptors": me.num_fds(),
        "threads": me.num_threads(),
        "processes": len(me.children(recursive=True)),
        "blocks": len(blocks),
        "MB": me.memory_info().rss / 1e6,
    }
