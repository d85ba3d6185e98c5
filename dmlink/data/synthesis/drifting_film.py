"""A synthetic in-situ recording with known truth: an uneven film whose drift under the beam slows down.

New material enters at the edges, as in a microscope; halfway through, the dose falls by half.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

#: Part of the file's name: count up when anything below changes a pixel.
VERSION = 1

FRAMES, SIZE, FPS, SCALE = 40, 256, 20.0, 0.1  # SCALE in nm per pixel
LARGER = 384  # px, size of the whole film
DOSE = 150.0  # electrons per pixel and frame, in the first half
DRIFT, SETTLING = (-21.0, 34.0), 15.0  # px at the end, y and x; frames after which 1/e of it is left
SHAKEN = 0.3  # px rms, from frame to frame

CONVENTIONS = "drift: y, x of the film since frame 0, in px: what was at p is at p + drift."


def write(path: Path) -> None:
    """Write the recording to `path` (.npy, uint16, 40 x 256 x 256), the truth to a .json file beside it."""
    rng = np.random.default_rng([VERSION, 0])
    frames = np.lib.format.open_memmap(path, "w+", np.uint16, (FRAMES, SIZE, SIZE))
    drift = story()
    for i, at in enumerate(drift):
        frames[i] = rng.poisson((DOSE if i < FRAMES / 2 else DOSE / 2) * image(at))
    about = {"name": "drifting film", "scale": SCALE, "unit": "nm", "fps": FPS, "dose": DOSE}
    truth = {"conventions": CONVENTIONS, "drift": drift.round(4).tolist()}
    sidecar = about | {"origin": "synthetic, made by dmlink", "truth": truth}
    path.with_suffix(".json").write_text(json.dumps(sidecar), "utf-8")


def story() -> np.ndarray:
    """Return the drift since the first frame, (frame, yx), in px."""
    t = np.arange(FRAMES)[:, None]
    shaken = np.random.default_rng([VERSION, 1]).normal(0, SHAKEN, (FRAMES, 2))
    return np.asarray((1 - np.exp(-t / SETTLING)) * DRIFT + shaken - shaken[0])


def image(drift: Any) -> np.ndarray:
    """Return the film without noise, shape (SIZE, SIZE), in units of the dose, drifted by (y, x) px."""
    noise = np.random.default_rng([VERSION, 2]).standard_normal((LARGER, LARGER), dtype=np.float32)
    fy, fx = np.fft.fftfreq(LARGER)[:, None], np.fft.rfftfreq(LARGER)
    q = np.hypot(fy, fx)
    contrast = np.exp(-((q / 0.12) ** 2)) / (1 + (q / 0.03) ** 2)  # 1/px: fine grain, and coarser clouds
    moved = np.exp(-2j * np.pi * (fy * drift[0] + fx * drift[1]))
    film = np.fft.irfft2(np.fft.rfft2(noise) * contrast * moved, (LARGER, LARGER))
    edge = (LARGER - SIZE) // 2
    return np.asarray(1 + 0.12 * film / film.std())[edge:-edge, edge:-edge]
