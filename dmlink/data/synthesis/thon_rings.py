"""A synthetic recording with known truth: a thin amorphous film at several defocus values, with astigmatism.

A weak phase object: white noise through 2 sin(chi), chi = pi lambda df q^2 - pi/2 Cs lambda^3 q^4, with the
defocus df + a/2 cos 2 (theta - axis) (Williams and Carter, Transmission Electron Microscopy, chapter 28).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

#: Part of the file's name: count up when anything below changes a pixel.
VERSION = 1

SIZE, FPS, SCALE = 512, 5.0, 0.05  # SCALE in nm per pixel
DOSE, CONTRAST = 400.0, 0.05  # electrons per pixel and frame; standard deviation of the film's contrast
HIGH_TENSION, WAVELENGTH, CS = 200e3, 2.5079e-3, 1.2  # V, nm, mm
#: Each frame: defocus (nm), largest less smallest defocus (nm), direction of the largest (degrees).
FRAMES = ((130, 0, 0), (125, 8, 20), (110, 15, 75), (150, 10, 130), (200, 25, 160), (260, 20, 45))
CONVENTIONS = (
    "defocus: nm, of each frame, underfocus positive; astigmatism: nm, largest less smallest defocus; "
    "direction: degrees, of the largest, anticlockwise from horizontal, modulo 180."
)


def write(path: Path) -> None:
    """Write the recording to `path` (.npy, uint16, 6 x 512 x 512), the truth to a .json file beside it."""
    rng = np.random.default_rng([VERSION, 0])
    frames = [rng.poisson(DOSE * (1 + film(rng, *frame))) for frame in FRAMES]
    np.save(path, np.array(frames, np.uint16))
    truth = {"conventions": CONVENTIONS, "Cs": CS}
    truth |= dict(zip(("defocus", "astigmatism", "direction"), zip(*FRAMES, strict=True), strict=True))
    about: dict[str, Any] = {"name": "Thon rings", "scale": SCALE, "unit": "nm", "fps": FPS, "dose": DOSE}
    about |= {"high_tension": HIGH_TENSION, "origin": "synthetic, made by dmlink", "truth": truth}
    path.with_suffix(".json").write_text(json.dumps(about), "utf-8")


def film(rng: np.random.Generator, defocus: float, astigmatism: float, axis: float) -> np.ndarray:
    """Return the contrast of a film, shape (SIZE, SIZE)."""
    fy, fx = np.fft.fftfreq(SIZE, SCALE)[:, None], np.fft.rfftfreq(SIZE, SCALE)
    q, turn = np.hypot(fy, fx), np.arctan2(-fy, fx) - np.deg2rad(axis)
    df = defocus + astigmatism / 2 * np.cos(2 * turn)
    chi = np.pi * WAVELENGTH * df * q**2 - np.pi / 2 * CS * 1e6 * WAVELENGTH**3 * q**4
    envelope = np.exp(-((q / 5.5) ** 4)) / (1 + (q / 1.8) ** 2)
    contrast = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((SIZE, SIZE))) * np.sin(chi) * envelope)
    return np.asarray(np.clip(CONTRAST * contrast / contrast.std(), -0.9, None))
