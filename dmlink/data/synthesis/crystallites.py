"""A synthetic recording with known truth: crystallites side by side, each with its own lattice fringes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

#: Part of the file's name: count up when anything below changes a pixel.
VERSION = 1

FRAMES, SIZE, FPS, SCALE = 4, 512, 10.0, 0.05  # SCALE in nm per pixel
DOSE, CONTRAST = 100.0, 0.12  # electrons per pixel and frame; of the fringes
SPACINGS = 0.204, 0.235, 0.28  # nm, taken in turn
CELLS = 3  # crystallites in a row and in a column
CONVENTIONS = (
    "crystallites are squares side by side, [row][column] of them; angles: degrees, of the reciprocal "
    "vector, anticlockwise from horizontal, modulo 180; spacings: nm."
)


def write(path: Path) -> None:
    """Write the recording to `path` (.npy, uint16, 4 x 512 x 512), the truth to a .json file beside it."""
    rng = np.random.default_rng([VERSION, 0])
    angles = np.linspace(0, 180, CELLS**2, endpoint=False) + rng.uniform(-8, 8, CELLS**2)
    angles = rng.permutation(angles % 180).reshape(CELLS, CELLS)
    spacings = np.resize(SPACINGS, (CELLS, CELLS))
    seen = DOSE * image(angles, spacings)
    np.save(path, rng.poisson(seen, (FRAMES, SIZE, SIZE)).astype(np.uint16))
    truth = {"conventions": CONVENTIONS, "angles": angles.tolist(), "spacings": spacings.tolist()}
    about: dict[str, Any] = {"name": "crystallites", "scale": SCALE, "unit": "nm", "fps": FPS, "dose": DOSE}
    about |= {"origin": "synthetic, made by dmlink", "truth": truth}
    path.with_suffix(".json").write_text(json.dumps(about), "utf-8")


def image(angles: np.ndarray, spacings: np.ndarray) -> np.ndarray:
    """Return the crystallites without noise, shape (SIZE, SIZE), in units of the dose."""
    cell = np.minimum(np.arange(SIZE) * CELLS // SIZE, CELLS - 1)
    turn, spacing = np.deg2rad(angles)[np.ix_(cell, cell)], spacings[np.ix_(cell, cell)]
    up, right = -SCALE * np.arange(SIZE)[:, None], SCALE * np.arange(SIZE)
    return np.asarray(1 + CONTRAST * np.cos(2 * np.pi / spacing * (right * np.cos(turn) + up * np.sin(turn))))
