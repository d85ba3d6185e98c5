"""A synthetic diffraction recording with known truth: rings of polycrystalline gold, elliptical.

The radius of a ring in direction theta is r (1 + e cos 2 (theta - axis)), so r is its mean radius.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

#: Part of the file's name: count up when anything below changes a pixel.
VERSION = 1

FRAMES, SIZE, FPS, SCALE = 8, 256, 10.0, 0.075  # SCALE in 1/nm per pixel
SPACINGS, STRENGTHS = (0.2355, 0.2039, 0.1442, 0.1230), (60.0, 28.0, 22.0, 20.0)  # nm; counts
WIDTH = 1.6  # px, of a ring (sigma)
ELLIPSE, AXIS = 0.02, 35.0  # e; degrees, anticlockwise from horizontal
CENTRE, WANDERS = (131.3, 122.6), 0.4  # px; px per frame
CONVENTIONS = (
    "centres: y, x in px of each frame; radii: px, of the rings of spacings (nm), mean over directions; "
    "ellipse: e of r (1 + e cos 2 (theta - axis)), axis in degrees anticlockwise from horizontal."
)


def write(path: Path) -> None:
    """Write the recording to `path` (.npy, uint16, 8 x 256 x 256), the truth to a .json file beside it."""
    rng = np.random.default_rng([VERSION, 0])
    centres = CENTRE + rng.normal(0, WANDERS, (FRAMES, 2)).cumsum(axis=0)
    np.save(path, np.array([rng.poisson(image(*centre)) for centre in centres], np.uint16))
    truth = {
        "conventions": CONVENTIONS,
        "centres": centres.round(3).tolist(),
        "spacings": SPACINGS,
        "radii": [round(1 / d / SCALE, 3) for d in SPACINGS],
        "ellipse": ELLIPSE,
        "axis": AXIS,
    }
    about: dict[str, Any] = {"name": "ring pattern", "scale": SCALE, "unit": "1/nm", "fps": FPS}
    about |= {"origin": "synthetic, made by dmlink", "truth": truth}
    path.with_suffix(".json").write_text(json.dumps(about), "utf-8")


def image(y: float, x: float) -> np.ndarray:
    """Return a pattern without noise around (y, x), shape (SIZE, SIZE), in counts."""
    up, right = y - np.arange(SIZE)[:, None], np.arange(SIZE) - x
    turn = np.arctan2(up, right) - np.deg2rad(AXIS)
    radius = np.hypot(up, right) / (1 + ELLIPSE * np.cos(2 * turn))
    counts = 4000 * np.exp(-((radius / 3.5) ** 2) / 2) + 300 / (1 + (radius / 12) ** 2)
    for spacing, strength in zip(SPACINGS, STRENGTHS, strict=True):
        counts += strength * np.exp(-(((radius - 1 / spacing / SCALE) / WIDTH) ** 2) / 2)
    return np.asarray(counts)
