"""Bare: the same cell on the same frames, in processes that share nothing and report nothing."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import numpy as np

from ..of_link.children import answer, child

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from dmlink.program.program import Program


def rate(path: Path, program: Program, processes: int) -> float:
    """Return the frames/s of a number of processes, each with its share of the frames in a .npy file."""
    frames = len(np.load(path, mmap_mode="r"))
    with contextlib.ExitStack() as stack:
        pipes = [stack.enter_context(child(kernel, path, program, i, processes)) for i in range(processes)]
        for pipe in pipes:
            answer(pipe)  # it is ready
        begun = time.perf_counter()
        for pipe in pipes:
            pipe.send(None)
        for pipe in pipes:
            answer(pipe)
        return frames / (time.perf_counter() - begun)


def kernel(pipe: Connection, path: Path, program: Program, which: int, of: int) -> None:
    """Process every `of`-th block of 16 frames on request: the cell's own function, called in a loop."""
    frames = np.load(path, mmap_mode="r")
    process = program.load().process
    process(frames[0], None, {})
    pipe.send(None)
    pipe.recv()
    for start in range(16 * which, len(frames), 16 * of):
        for frame in frames[start : start + 16]:
            process(frame, None, {})
    pipe.send(None)
