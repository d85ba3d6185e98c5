"""A synthetic recording with known truth: a film crystallises while it drifts and the dose changes.

Amorphous material is white noise through a smooth envelope; the new crystals are patches of lattice
fringes with one spacing in all directions.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

#: Part of the file's name: count up when anything below changes a pixel.
VERSION = 1

FRAMES, SIZE, FPS, SCALE = 80, 256, 20.0, 0.05  # SCALE in nm per pixel
SPACING, CONTRAST = 0.235, 0.10  # nm; of the fringes, once all is crystalline
ONSET, TAKES = 52, 6  # frame in which it begins; frames until it is complete
DOSES = ((0, 120.0), (30, 60.0), (42, 200.0), (64, 90.0))  # electrons per pixel from this frame on
DRIFT = (0.7, -1.1)  # px per frame
CRYSTALS = 40
CONVENTIONS = (
    "onset: first frame that has crystals; spacing: nm; drift: px per frame, y, x; doses: from frame."
)


def write(path: Path) -> None:
    """Write the recording to `path` (.npy, uint16, 80 x 256 x 256), the truth to a .json file beside it."""
    rng = np.random.default_rng([VERSION, 0])
    film, crystals = (np.fft.rfft2(part) for part in specimen(rng))
    frames = np.lib.format.open_memmap(path, "w+", np.uint16, (FRAMES, SIZE, SIZE))
    fy, fx = np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)
    for i in range(FRAMES):
        order = min(max((i - ONSET + 1) / TAKES, 0), 1)
        moved = np.exp(-2j * np.pi * i * (fy * DRIFT[0] + fx * DRIFT[1]))
        dose = next(dose for start, dose in reversed(DOSES) if i >= start)
        seen = 1 + np.fft.irfft2((film + order * crystals) * moved, (SIZE, SIZE))
        frames[i] = rng.poisson(dose * np.clip(seen, 0.05, None))
    truth = {"conventions": CONVENTIONS, "onset": ONSET, "complete": ONSET + TAKES - 1, "spacing": SPACING}
    truth |= {"drift": DRIFT, "doses": DOSES}
    about: dict[str, Any] = {"name": "crystallisation", "scale": SCALE, "unit": "nm", "fps": FPS}
    about |= {"origin": "synthetic, made by dmlink", "truth": truth}
    path.with_suffix(".json").write_text(json.dumps(about), "utf-8")


def specimen(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the contrast of the film and of the crystals, each (SIZE, SIZE), periodic."""
    q = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)) / SCALE
    film = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((SIZE, SIZE))) * np.exp(-((q / 3) ** 2)))
    film *= 0.05 / film.std()
    crystals = np.zeros((SIZE, SIZE))
    for y, x, turn, phase in rng.uniform(0, (SIZE, SIZE, np.pi, 2 * np.pi), (CRYSTALS, 4)):
        up = (y - np.arange(SIZE)[:, None] + SIZE / 2) % SIZE - SIZE / 2
        right = (np.arange(SIZE) - x + SIZE / 2) % SIZE - SIZE / 2
        patch = np.exp(-(up**2 + right**2) / (2 * 16.0**2))
        along = SCALE * (right * np.cos(turn) + up * np.sin(turn))
        crystals += CONTRAST * patch * np.cos(2 * np.pi / SPACING * along + phase)
    return film, crystals
