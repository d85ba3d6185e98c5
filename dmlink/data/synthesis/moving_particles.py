"""A synthetic in-situ recording with known truth: moving particles whose paths cross.

Bright field: dark discs with soft edges that let part of the beam through; where two overlap, both absorb.
Each moves almost straight, so that a person can tell them apart after they have met.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

#: Part of the file's name: count up when anything below changes a pixel.
VERSION = 1

FRAMES, SIZE, FPS, SCALE = 60, 512, 20.0, 0.5  # SCALE in nm per pixel
DENSITY = 500 / 1024**2  # particles per square pixel
DOSE = 150.0  # electrons per pixel and frame outside the particles
DIAMETERS = 8.0, 12.0  # px, from and to
SPEEDS = 0.5, 3.0  # px per frame
DISTURBED, SHAKEN = 0.05, 0.1  # px per frame of change of velocity, px of position, both rms and per axis
TRANSMITTED = 0.55  # of the beam, in the middle of a particle
EDGE = 0.6  # px, over which the outline fades

CONVENTIONS = (
    "positions: of each particle in each frame, y, x in px, null where its centre is outside; diameter: px; "
    "speeds in px per frame are the distances between positions."
)


def write(path: Path) -> None:
    """Write the recording to `path` (.npy, uint16, 60 x 512 x 512), the truth to a .json file beside it."""
    rng = np.random.default_rng([VERSION, 0])
    yx, diameters = story(rng)
    frames = np.lib.format.open_memmap(path, "w+", np.uint16, (FRAMES, SIZE, SIZE))
    for i in range(FRAMES):
        frames[i] = rng.poisson(DOSE * image(yx[:, i], diameters, SIZE))
    path.with_suffix(".json").write_text(json.dumps(sidecar(yx, diameters)), "utf-8")


def story(
    rng: np.random.Generator, size: int = SIZE, frames: int = FRAMES, density: float = DENSITY
) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions (particle, frame, yx) and the diameters (particle,), in px.

    They enter and leave through the edges: as many are outside as can enter.
    """
    margin = SPEEDS[1] * frames
    n = round(density * (size + 2 * margin) ** 2)
    speed, direction = rng.uniform(*SPEEDS, n), rng.uniform(0, 2 * np.pi, n)
    velocity = (speed * [np.sin(direction), np.cos(direction)]).T[:, None]
    velocity = velocity + rng.normal(0, DISTURBED, (n, frames, 2)).cumsum(axis=1)
    yx = rng.uniform(-margin, size + margin, (n, 1, 2)) + velocity.cumsum(axis=1)
    yx += rng.normal(0, SHAKEN, yx.shape)
    diameters = rng.uniform(*DIAMETERS, n)
    seen = ((yx > 0) & (yx < size - 1)).all(axis=2).any(axis=1)
    return yx[seen], diameters[seen]


def image(yx: np.ndarray, diameters: np.ndarray, size: int) -> np.ndarray:
    """Return a frame without noise, shape (size, size), in units of the dose; `yx` is (n, 2) in px."""
    reach = int(max(diameters)) // 2 + 4
    seen = np.ones((size + 2 * reach, size + 2 * reach), np.float32)
    grid = np.arange(-reach, reach + 1)
    for (y, x), diameter in zip(yx, diameters, strict=True):
        row, column = round(y), round(x)
        if -reach <= row < size + reach and -reach <= column < size + reach:
            distance = np.hypot((grid + row - y)[:, None], grid + column - x)
            inside = 1 / (1 + np.exp(np.minimum((distance - diameter / 2) / EDGE * 2, 50)))
            top, left = max(0, row), max(0, column)
            window = seen[top : row + 2 * reach + 1, left : column + 2 * reach + 1]
            disc = (1 - (1 - TRANSMITTED) * inside)[top - row :, left - column :]
            window *= disc[: len(window), : window.shape[1]]
    return seen[reach:-reach, reach:-reach]


def sidecar(yx: np.ndarray, diameters: np.ndarray) -> dict[str, Any]:
    """Return the calibration and the truth, as written next to the recording."""
    inside: Any = ((yx >= 0) & (yx <= SIZE - 1)).all(axis=2)
    particles: list[dict[str, Any]] = []
    for path, here, diameter in zip(yx.round(3), inside, diameters, strict=True):
        at = [place.tolist() if seen else None for place, seen in zip(path, here, strict=True)]
        particles.append({"diameter": round(float(diameter), 3), "positions": at})
    truth = {"conventions": CONVENTIONS, "particles": particles}
    about = {"name": "moving particles", "scale": SCALE, "unit": "nm", "fps": FPS, "dose": DOSE}
    return about | {"origin": "synthetic, made by dmlink", "truth": truth}
