"""Peers: published methods that do what two of the cells do, written from their descriptions.

The radial profile is the live script of 2019 (Miller; a polar map by a Python function for each of its
points), the colour map that of the package BenMillerScripts, which is measured, too, where it is installed.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import fft, ndimage, signal

if TYPE_CHECKING:
    from collections.abc import Callable

RATIO, ANGLES = 4, 512  # of 2019
SIZE, SPACING, MASK, CROSS = 128, 32, 10, 2


def fft_of(frame: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that computes nothing but the FFT of this frame, whatever it is called with."""
    pixels = np.float32(frame)
    return lambda _: fft.rfft2(pixels, workers=-1)


def radial_profile_2019(frame: np.ndarray) -> np.ndarray:
    """Return maximum minus smoothed mean around the centre of the FFT's magnitude, shape (n // RATIO,)."""
    magnitude = np.abs(np.fft.fftshift(np.fft.fft2(frame)))
    n = len(frame)
    length = n // RATIO

    def place(at: tuple[int, int]) -> tuple[float, float]:
        radius, turn = n / 2 * at[0] / length, 2 * np.pi * at[1] / (ANGLES - 1)
        return n / 2 - radius * np.sin(turn), n / 2 + radius * np.cos(turn)

    polar = ndimage.geometric_transform(
        magnitude, place, output_shape=(length, ANGLES), order=1, mode="constant", cval=1
    )
    profile: np.ndarray = polar.max(axis=1) - signal.medfilt(polar.mean(axis=1), 3)
    return profile


def colour_map(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return direction (degrees), frequency (cycles/px) and strength of the strongest spot in each window."""
    n = (np.array(frame.shape) - SIZE) // SPACING + 1
    s0, s1 = frame.strides
    windows = np.lib.stride_tricks.as_strided(
        frame, (*n, SIZE, SIZE), (s0 * SPACING, s1 * SPACING, s0, s1), writeable=False
    )
    fade = np.sqrt(np.outer(np.hanning(SIZE), np.hanning(SIZE))).astype(np.float32)
    spectra = np.fft.fftshift(np.abs(np.fft.fft2(fade * windows)) ** 2, axes=(2, 3))
    power = ndimage.gaussian_filter(np.log(spectra).astype(np.float32), (0, 0, 1, 1), truncate=2)
    row, column = np.ogrid[-SIZE // 2 : SIZE // 2, -SIZE // 2 : SIZE // 2]
    masked = (np.abs(row) < CROSS) | (np.abs(column) < CROSS)
    masked = masked | (np.hypot(row, column) <= MASK / 100 * SIZE / 2)
    power[:, :, masked] = np.median(power.min(axis=(0, 1)))
    upper = power[:, :, : SIZE // 2]
    x = upper.max(axis=2).argmax(axis=2) - SIZE // 2
    y = SIZE // 2 - upper.max(axis=3).argmax(axis=2)
    return np.degrees(np.arctan2(y, x)) % 180, np.hypot(x, y) / SIZE, power.max(axis=(2, 3))


def benmillerscripts() -> Callable[[np.ndarray], Any] | None:
    """Return the package's colour map of a frame, as made for DigitalMicrograph; None if not installed."""
    before = sys.modules.get("DigitalMicrograph")
    stub: Any = ModuleType("DigitalMicrograph")
    stub.IsScriptOnMainThread = lambda: True
    sys.modules["DigitalMicrograph"] = stub
    try:
        package = importlib.import_module("benmillerscripts.FFTArrayAnalysis")
    except ImportError:
        return None
    finally:
        del sys.modules["DigitalMicrograph"]
        if before:
            sys.modules["DigitalMicrograph"] = before

    def made(frame: np.ndarray) -> Any:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints how long it took
            return package.processframe(None, "theta", False, im_data=frame)

    return made
