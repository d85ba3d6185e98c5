"""Scaling: the frames that `dmlink.process` does in a second with 1, 2 and 4 workers."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.batch import process
from dmlink.program import Program

from .cluster import workers

if TYPE_CHECKING:
    from collections.abc import Callable


WORKERS = (1, 2, 4)
SIZE = 1024
CELL = "import numpy as np\nfloat(np.abs(np.fft.rfft2(frame)).max())"  # on one core


def scaling(runs: int, frames: int, note: Callable[[str], None]) -> dict[str, Any]:
    """Return frames/s for each number of workers, and how many times one worker that is, in each run."""
    program, rates = Program.from_cell(CELL, "spectrum"), []
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="dmlink-bench-"))
        path = Path(folder) / "noise.npy"
        np.save(path, np.random.default_rng(7).integers(0, 4096, (frames, SIZE, SIZE), np.uint16))
        clients = {n: stack.enter_context(workers(n)) for n in WORKERS}
        for i in range(runs):
            note(f"processing with {' and '.join(map(str, WORKERS))} workers")
            rates.append({})
            for n, client in clients.items():
                begun = time.perf_counter()
                process(path, program, Path(folder) / f"{i} {n}", client, progress=False)
                rates[-1][n] = frames / (time.perf_counter() - begun)
    return {
        "frames": frames,
        "workers": {
            str(n): {
                "frames/s": median(run[n] for run in rates),
                "MB/s": median(run[n] for run in rates) * 2e-6 * SIZE**2,
                "ratio": median(run[n] / run[1] for run in rates),
            }
            for n in WORKERS
        },
    }
