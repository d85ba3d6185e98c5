"""Hosts: one with a simulated microscope, the other with a link and a live cell."""

from __future__ import annotations

import os
import time
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

import dmlink
from dmlink import bundle
from dmlink.simulator import Microscope

from ..of_link.microscope import Noise
from . import network
from .namespace import enter

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

COUNTS = 20.0  # mean electrons per pixel
START_SECONDS = 30.0  # s allowed until a cell's first result


def microscope(pipe: Connection, host: str, size: int, fps: float, packed: bool) -> None:
    """Play electron counts, and report the endpoint, until nobody listens."""
    enter(host)
    recording = Noise(size)
    recording.stack[...] = np.random.default_rng(7).poisson(COUNTS, recording.shape)
    with (
        TemporaryDirectory(prefix="dmlink-bench-") as home,
        Microscope(recording, fps=fps) as dm,
    ):
        os.environ["DMLINK_HOME"] = home
        text = bundle.companion(0, HOST=network.MICROSCOPE, EXPOSE=True, COMPRESS=packed)
        endpoint = dm.run_script(text, name="dm_companion").wait_for("dmlink://", timeout=10.0)
        pipe.send(endpoint)
        pipe.poll(None)  # until the other end closes


def kernel(pipe: Connection, host: str, endpoint: str, seconds: float) -> None:
    """Run a cell on the newest frames; send frames/s of link and cell, and the age of frames in ms."""
    enter(host)
    ages = []
    cell = dmlink.LiveCell("float(frame.mean())", name="mean")
    with dmlink.connect(endpoint) as link:
        cell.start(link)
        due = time.perf_counter() + START_SECONDS
        while not cell.stats.processed and time.perf_counter() < due:
            link.next(10.0)
        begun, done = time.perf_counter(), cell.stats.processed
        while time.perf_counter() - begun < seconds:
            frame = link.next(10.0)
            ages.append(link.age(frame) * 1e3)
        lasted, done = time.perf_counter() - begun, cell.stats.processed - done
        cell.stop()
    p50, p95 = np.percentile(ages, [50, 95])
    pipe.send(
        {
            "frames/s": len(ages) / lasted,
            "cell": done / lasted,
            "MB/s": len(ages) / lasted * frame.data.nbytes / 1e6,
            "p50": float(p50),
            "p95": float(p95),
        }
    )
