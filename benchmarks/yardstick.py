"""Yardstick: fixed work, whose speed tells how fast the computer is at the moment."""

from __future__ import annotations

import time
from statistics import median

import numpy as np

from dmlink.engine.worker import WARM_BYTES

COPIED, SIDE, RUNS = 64_000_000, 512, 40  # bytes; of the image whose FFT is computed; half of them warm up


def readings() -> dict[str, float]:
    """Return the rate of copying memory in GB/s, and the time of an FFT in ms; takes a second."""
    np.ones(WARM_BYTES, np.uint8)  # as workers do: otherwise the first FFTs fault in their memory
    source = np.ones(COPIED, np.uint8)
    target, image = np.empty_like(source), np.ones((SIDE, SIDE))
    copying, transforming = [], []
    for _ in range(RUNS):
        begun = time.perf_counter()
        np.copyto(target, source)
        copied = time.perf_counter()
        np.fft.rfft2(image)
        copying.append(copied - begun)
        transforming.append(time.perf_counter() - copied)
    return {
        "GB/s": 1e-9 * COPIED / median(copying[RUNS // 2 :]),
        "FFT ms": 1e3 * median(transforming[RUNS // 2 :]),
    }


def line(before: dict[str, float], after: dict[str, float]) -> str:
    """Return the readings before and after a benchmark in one line."""
    copying = f"{before['GB/s']:.1f} and {after['GB/s']:.1f} GB/s"
    return (
        f"The computer before and after: copies memory at {copying}, FFT of {SIDE}² in "
        f"{before['FFT ms']:.1f} and {after['FFT ms']:.1f} ms"
    )
