"""Scaling: frames/s of `dmlink.process` with 1, 2 and 4 workers, and of bare processes.

Only one cluster runs at a time: an idle one takes 5 to 15 % of a core, which slows two workers on two cores,
though not one.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.batch.processing import process
from dmlink.program.program import Program

from . import bare
from .cluster import workers

if TYPE_CHECKING:
    from collections.abc import Callable


WORKERS = (1, 2, 4)
SIZE = 1024
CELLS = {
    # Bartlett's spectrum: a tile and its transform fit a core's own cache, so this is compute-bound.
    "spectrum of 128² tiles": (
        "import numpy as np\n"
        "tiles = frame.reshape(8, 128, 8, 128).swapaxes(1, 2).reshape(64, 128, 128)\n"
        "float(sum(np.abs(np.fft.rfft2(tile)) ** 2 for tile in tiles).max())"
    ),
    # Twenty megabytes of intermediates per frame go through the memory bus, which all cores share.
    "spectrum of the whole frame": "import numpy as np\nfloat(np.abs(np.fft.rfft2(frame)).max())",
}


def scaling(runs: int, frames: int, note: Callable[[str], None]) -> dict[str, Any]:
    """Return frames/s for each cell and number of workers, and the speed-up over one worker."""
    found = {}
    with TemporaryDirectory(prefix="dmlink-bench-") as folder:
        path, first = Path(folder) / "noise.npy", Path(folder) / "first.npy"
        noise = np.random.default_rng(7).integers(0, 4096, (frames, SIZE, SIZE), np.uint16)
        np.save(path, noise)
        np.save(first, noise[:64])  # four blocks
        del noise
        for name, text in CELLS.items():
            program = Program.from_cell(text, name)
            rates: dict[str, list[dict[int, float]]] = {"workers": [], "bare": []}
            for i in range(runs):
                note(f"{name} with {' and '.join(map(str, WORKERS))} workers")
                rates["bare"].append({n: bare.rate(path, program, n) for n in WORKERS})
                rates["workers"].append({})
                for n in WORKERS:
                    with workers(n) as client:
                        out = Path(folder) / f"{name} {i} {n}"
                        process(first, program, out.with_name(f"{out.name} first"), client, progress=False)
                        begun = time.perf_counter()
                        process(path, program, out, client, progress=False)
                        rates["workers"][-1][n] = frames / (time.perf_counter() - begun)
            found[name] = {str(n): _row(rates, n) for n in WORKERS}
    return {"frames": frames, "cells": found}


def _row(rates: dict[str, list[dict[int, float]]], n: int) -> dict[str, float]:
    """Return the medians over all runs for `n` workers; ratios are taken within each run."""
    return {
        "frames/s": median(run[n] for run in rates["workers"]),
        "MB/s": median(run[n] for run in rates["workers"]) * 2e-6 * SIZE**2,
        "ratio": median(run[n] / run[1] for run in rates["workers"]),
        "bare frames/s": median(run[n] for run in rates["bare"]),
        "bare ratio": median(run[n] / run[1] for run in rates["bare"]),
    }
