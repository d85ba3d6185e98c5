"""Streaming: a recording far larger than memory through two workers, and the memory that these take.

The recording is a sparse in-situ .raw that takes no disk space, and the cell reads one row of each frame:
this measures what opening, distributing and collecting so many frames retains, not the speed of a disk.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from dmlink import recordings
from dmlink.batch.processing import BLOCK_BYTES, process
from dmlink.program.program import Program
from dmlink.simulator.dm.gatan_files import write_in_situ_raw

from .cluster import workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZE, WORKERS = 2048, 2
CELL = "float(frame[frame.shape[0] // 2].mean())"
PART_BYTES = 2 << 30  # of each .raw; Gatan splits them, too
LOOK_SECONDS = 0.1


def streaming(gigabytes: float, note: Callable[[str], None]) -> dict[str, Any]:
    """Return the duration, and the resident memory of workers and client over time, in MB."""
    note(f"streaming {gigabytes:g} GB")
    frame_bytes = 2 * SIZE**2
    frames = int(gigabytes * 1e9 / frame_bytes)
    with TemporaryDirectory(prefix="dmlink-bench-") as folder, workers(WORKERS) as client:
        header = _recording(Path(folder), frames)
        with recordings.open(header) as recording:
            assert recording.shape == (frames, SIZE, SIZE)
        pids = {f"worker {i}": pid for i, pid in enumerate(client.run(os.getpid).values(), 1)}
        with _watched({**pids, "client": os.getpid()}) as samples:
            begun = time.perf_counter()
            program = Program.from_cell(CELL, "mean of some rows")
            process(header, program, Path(folder) / "out", client, progress=False)
            seconds = time.perf_counter() - begun
    return {
        "GB": frames * frame_bytes / 1e9,
        "frames": frames,
        "frames/s": frames / seconds,
        "seconds": seconds,
        "chunk MB": BLOCK_BYTES / 1e6,
        "frame MB": frame_bytes / 1e6,
        "memory": {name: _memory(each) for name, each in samples.items()},
    }


def _recording(folder: Path, frames: int) -> Path:
    """Write the header of an in-situ recording, and sparse .raw files."""
    header, total = folder / "insitu.dm4", frames * 2 * SIZE**2
    tags = {"In-situ:Recorded:# Frames": frames}
    write_in_situ_raw(header, np.zeros((1, SIZE, SIZE), np.uint16), exposure=0.03, tags=tags)
    for i, start in enumerate(range(0, total, PART_BYTES)):
        part = header.with_suffix(f".raw_{i}" if i else ".raw")
        part.touch()
        os.truncate(part, min(PART_BYTES, total - start))
    return header


def _memory(samples: list[tuple[float, float]]) -> dict[str, float]:
    """Return MB: initial, highest, medians of the second and last quarter, and the mapped files."""
    resident, mapped = zip(*samples, strict=True)
    quarter = max(1, len(samples) // 4)
    return {
        "first": resident[0],
        "early": median(resident[quarter : 2 * quarter] or resident),
        "late": median(resident[-quarter:]),
        "files": median(mapped[-quarter:]),
        "highest": max(resident),
    }


@contextlib.contextmanager
def _watched(pids: dict[str, int]) -> Iterator[dict[str, list[tuple[float, float]]]]:
    """Sample the resident memory of processes, and how much of it is file pages, in the background."""
    processes = {name: psutil.Process(pid) for name, pid in pids.items()}
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in processes}
    over = threading.Event()

    def look() -> None:
        while True:
            for name, one in processes.items():
                found = one.memory_info()
                samples[name].append((found.rss / 1e6, getattr(found, "shared", 0) / 1e6))  # Linux's
            if over.wait(LOOK_SECONDS):
                return

    thread = threading.Thread(target=look, name="memory")
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()
