"""Scaling: the frames that `dmlink.process` does in a second with 1, 2 and 4 workers, and bare processes do.

Only one cluster is there at a time: an idle one takes 5 to 15 % of a core, which a single worker on two cores
does not miss, but two do.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.batch import process
from dmlink.program import Program

from . import bare
from .cluster import workers

if TYPE_CHECKING:
    from collections.abc import Callable


WORKERS = (1, 2, 4)
SIZE = 1024
CELL = "import numpy as np\nfloat(np.abs(np.fft.rfft2(frame)).max())"  # on one core


def scaling(runs: int, frames: int, note: Callable[[str], None]) -> dict[str, Any]:
    """Return frames/s for each number of workers, and how many times one worker that is, in each run."""
    program = Program.from_cell(CELL, "spectrum")
    rates: dict[str, list[dict[int, float]]] = {"workers": [], "bare": []}
    with TemporaryDirectory(prefix="dmlink-bench-") as folder:
        path, first = Path(folder) / "noise.npy", Path(folder) / "first.npy"
        noise = np.random.default_rng(7).integers(0, 4096, (frames, SIZE, SIZE), np.uint16)
        np.save(path, noise)
        np.save(first, noise[:64])  # four blocks
        del noise
        for i in range(runs):
            note(f"processing with {' and '.join(map(str, WORKERS))} workers")
            rates["bare"].append({n: bare.rate(path, n) for n in WORKERS})
            rates["workers"].append({})
            for n in WORKERS:
                with workers(n) as client:
                    process(first, program, Path(folder) / f"{i} {n} first", client, progress=False)
                    begun = time.perf_counter()
                    process(path, program, Path(folder) / f"{i} {n}", client, progress=False)
                    rates["workers"][-1][n] = frames / (time.perf_counter() - begun)
    return {
        "frames": frames,
        "workers": {
            str(n): {
                "frames/s": median(run[n] for run in rates["workers"]),
                "MB/s": median(run[n] for run in rates["workers"]) * 2e-6 * SIZE**2,
                "ratio": median(run[n] / run[1] for run in rates["workers"]),
                "bare frames/s": median(run[n] for run in rates["bare"]),
                "bare ratio": median(run[n] / run[1] for run in rates["bare"]),
            }
            for n in WORKERS
        },
    }
