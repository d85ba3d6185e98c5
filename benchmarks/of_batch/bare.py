"""Bare: the same work on the same frames by processes that share nothing and report to nobody."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import numpy as np

from ..of_link.children import answer, child

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path


def rate(path: Path, processes: int) -> float:
    """Return the frames/s of so many processes, each with its share of the frames in a .npy file."""
    frames = len(np.load(path, mmap_mode="r"))
    with contextlib.ExitStack() as stack:
        pipes = [stack.enter_context(child(kernel, path, i, processes)) for i in range(processes)]
        for pipe in pipes:
            answer(pipe)  # it is ready
        begun = time.perf_counter()
        for pipe in pipes:
            pipe.send(None)
        for pipe in pipes:
            answer(pipe)
        return frames / (time.perf_counter() - begun)


def kernel(pipe: Connection, path: Path, which: int, of: int) -> None:
    """Do every `of`-th block of 16 frames, when told."""
    frames = np.load(path, mmap_mode="r")
    pipe.send(spectrum(frames[0]))
    pipe.recv()
    for start in range(16 * which, len(frames), 16 * of):
        for frame in frames[start : start + 16]:
            spectrum(frame)
    pipe.send(None)


def spectrum(frame: np.ndarray) -> float:
    """Return what the cell of `scaling` does."""
    return float(np.abs(np.fft.rfft2(frame)).max())
