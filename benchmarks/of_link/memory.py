"""Memory: frames through shared memory, compared with bare sockets that copy as often."""

from __future__ import annotations

import itertools
import math
import time
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from dmlink.link import offers

from . import microscope, sender, transport, ways
from .children import answer, child

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from multiprocessing.connection import Connection

SIZE = 4096
WARM = 8  # frames before the clock starts: until all slots have been used
BARE, MEMORY = "bare socket", "Link by memory"
BARE_CAMERA = "camera, bare socket"
TCP_CAMERA, MEMORY_CAMERA = "camera, companion, Link by TCP", "camera, companion, Link by memory"
AGAINST = {BARE: BARE, MEMORY: BARE, BARE_CAMERA: BARE_CAMERA, TCP_CAMERA: BARE_CAMERA}
AGAINST[MEMORY_CAMERA] = BARE_CAMERA


def rates(runs: int, seconds: float, note: Callable[[str], None]) -> dict[str, Any]:
    """Return frames/s and CPU seconds per GB of each way, and ratios to the bare socket of the same run."""
    note(f"shared memory, {SIZE} x {SIZE}")
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in AGAINST}
    for _ in range(runs):
        for name, loads in found.items():
            with _publisher(name) as publisher, child(consume, name, answer(publisher)) as consumer:
                consumer.send(seconds)
                loads.append(answer(consumer))
    return {
        name: {
            "frames/s": median(rate for rate, _ in loads),
            "of bare": median(rate / bare for (rate, _), (bare, _) in zip(loads, bares, strict=True)),
            "CPU s/GB": median(cpu for _, cpu in loads),
            "CPU of bare": median(cpu / bare for (_, cpu), (_, bare) in zip(loads, bares, strict=True)),
        }
        for name, loads, bares in ((name, loads, found[AGAINST[name]]) for name, loads in found.items())
    }


def _publisher(name: str) -> AbstractContextManager[Connection]:
    if name in (TCP_CAMERA, MEMORY_CAMERA):
        return child(microscope.serve, SIZE, math.inf, True)
    return child(publish, name)


def publish(pipe: Connection, name: str) -> None:
    """Publish in this process, as fast as frames are taken."""
    if name == MEMORY:
        sender.send(pipe.send, transport.picture(SIZE), transport.Pace(None), slots=True)
    elif name == BARE_CAMERA:
        camera = Camera()
        ways.publish_bare(pipe.send, camera.copy, camera)
    else:
        ways.publish_bare(pipe.send, transport.picture(SIZE), transport.Pace(None))


class Camera:
    """Copies a frame into a live image, and that into `copy`, as the companion's handler does."""

    def __init__(self) -> None:
        self._frames = itertools.cycle(microscope.Noise(SIZE).stack)
        self._live, self.copy = np.empty((2, SIZE, SIZE), np.uint16)

    def __call__(self) -> None:
        """Take the next frame."""
        np.copyto(self._live, next(self._frames))
        memoryview(self.copy).cast("B")[:] = memoryview(self._live).cast("B")


def consume(pipe: Connection, name: str, address: Any) -> None:
    """Consume in this process for as many seconds as are asked for; send frames/s and CPU seconds per GB."""
    if name == TCP_CAMERA:
        offers.MAX_OFFERED = 0
    if AGAINST[name] == name:
        frames = ways.consume_bare(address, np.empty((SIZE, SIZE), np.uint16))
    else:
        frames = ways.consume_link(address, np.empty(0))
    seconds = pipe.recv()
    for _ in islice(frames, WARM):
        pass
    n, begun, cpu = 0, time.perf_counter(), _cpu()
    while time.perf_counter() - begun < seconds:
        next(frames)
        n += 1
    rate = n / (time.perf_counter() - begun)
    pipe.send((rate, (_cpu() - cpu) / (n * 2e-9 * SIZE**2)))
    frames.close()


def _cpu() -> float:
    """Return the CPU seconds of the benchmark's processes so far: both ends."""
    parent = psutil.Process().parent()
    assert parent is not None
    return sum(sum(process.cpu_times()[:2]) for process in parent.children())
