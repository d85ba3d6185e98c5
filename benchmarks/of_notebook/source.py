"""Source: a simulated microscope whose frames carry their number in pixels that a page can read."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np

from dmlink.frame import Axis
from dmlink.simulator import Microscope

BLOCKS = 16  # squares along the top edge: one always dark, one always bright, 14 bits of the number
NUMBERS = 1 << (BLOCKS - 2)
BRIGHT = 4095


class Numbered:
    """Noise, uint16; each frame begins with its number. A file keeps when each was displayed."""

    def __init__(self, size: int, clock: Path) -> None:
        self.name, self.shape, self.dtype = "numbered", (NUMBERS, size, size), np.dtype(np.uint16)
        self.x = self.y = Axis(0.0, 0.0125, "nm")
        self._noise = np.random.default_rng(7).integers(500, 3000, (4, size, size), np.uint16)
        self._block = size // BLOCKS
        self._displayed = np.memmap(clock, np.float64, "w+", shape=NUMBERS)

    def __len__(self) -> int:
        return NUMBERS

    def __getitem__(self, i: int) -> SimpleNamespace:
        self._displayed[(i - 1) % NUMBERS] = time.time()  # the previous one was just written and announced
        frame = self._noise[i % len(self._noise)]
        for block in range(BLOCKS):
            bright = block == 1 or (block > 1 and i >> (block - 2) & 1)
            frame[: self._block, block * self._block : (block + 1) * self._block] = BRIGHT * bool(bright)
        return SimpleNamespace(data=frame)


def serve(pipe: Any, size: int, fps: float, clock: str) -> None:
    """Run one, send its endpoint, and go on until nobody listens."""
    with contextlib.ExitStack() as stack:
        os.environ["DMLINK_HOME"] = stack.enter_context(TemporaryDirectory(prefix="dmlink-bench-"))
        microscope = stack.enter_context(Microscope(Numbered(size, Path(clock)), fps=fps))
        pipe.send(microscope.start_companion(0))
        with contextlib.suppress(EOFError):
            pipe.recv()


def displayed(clock: Path) -> Any:
    """Return when each frame was displayed, by number, in seconds since the Unix epoch."""
    return np.memmap(clock, np.float64, "r", shape=NUMBERS)
