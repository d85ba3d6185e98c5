"""Frames: the images on which the gallery's cells are measured."""

from __future__ import annotations

import numpy as np

from dmlink.data.synthesis.moving_particles import DOSE, image
from dmlink.frame import Axis, Info

NM = Axis(0.0, 0.05, "nm")


def info(index: int = 0) -> Info:
    """Return the `info` that a cell gets with a frame."""
    return Info(index, 0.1 * index, NM, NM)


def specimen(side: int, seed: int = 0) -> np.ndarray:
    """Return a frame (side, side), uint16, of counting noise and patches of lattice fringes."""
    rng = np.random.default_rng(seed)
    seen = np.full((side, side), 100.0, np.float32)
    along = np.arange(side, dtype=np.float32)
    for place in range(4):
        turn, top, left = 0.3 + 0.8 * place, place // 2 * side // 2, place % 2 * side // 2
        fringes = np.cos(1.3 * (along * np.float32(np.cos(turn)) - along[:, None] * np.float32(np.sin(turn))))
        window = np.s_[top + side // 16 : top + side * 7 // 16, left + side // 16 : left + side * 7 // 16]
        seen[window] += 12 * fringes[window]
    return rng.poisson(seen).astype(np.uint16)


def particles(side: int, n: int, frames: int) -> list[np.ndarray]:
    """Return frames (side, side), uint16, of `n` particles that move by a pixel or so a frame."""
    rng = np.random.default_rng(1)
    yx, diameters = rng.uniform(8, side - 8, (n, 2)), rng.uniform(8, 12, n)
    velocity = rng.normal(0, 1, (n, 2))
    return [
        rng.poisson(DOSE * image(yx + i * velocity, diameters, side)).astype(np.uint16) for i in range(frames)
    ]
