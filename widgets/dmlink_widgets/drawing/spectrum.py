"""Spectrum: the power spectrum of an image, as used for focusing."""

from __future__ import annotations

from typing import Any

import numpy as np

from dmlink.frame import Axis

LONGEST_SIDE = 512  # pixels transformed: 0.6 to 2 ms; larger images are binned


def power_spectrum(pixels: Any, y: Axis, x: Axis) -> tuple[np.ndarray, Axis, Axis]:
    """Return (log10 of the power spectrum with frequency 0 in the middle, its axes y and x).

    The mean is subtracted and a Hann window applied, to avoid the cross caused by the edges; then the image
    is padded with zeros to a square, so that rings are round. The axes are in 1/unit, or in nm for an image
    in 1/nm.

    Parameters
    ----------
    pixels : numpy.ndarray
        Shape (h, w), or (h, w, 3) of colours, which are averaged. Images larger than `LONGEST_SIDE` are first
        averaged over blocks, which removes the frequencies beyond the new Nyquist limit. Values that
        are not finite count as the mean.
    y, x : Axis
        Calibration of the image.
    """
    import scipy.fft  # noqa: PLC0415 - takes 0.2 s, and most look at the image

    pixels = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
    step = max(1, -(-max(pixels.shape) // LONGEST_SIDE))
    down, right = (step if n >= step else 1 for n in pixels.shape)  # a line has no blocks across
    h, w = pixels.shape[0] // down, pixels.shape[1] // right
    pixels = np.abs(pixels) if np.iscomplexobj(pixels) else pixels
    blocks = pixels[: h * down, : w * right].reshape(h, down, w, right)
    grey: Any = np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))
    finite = np.isfinite(grey)
    mean = grey[finite].mean() if finite.any() else 0.0
    grey = np.where(finite, grey - mean, 0.0) * _hann(h)[:, None] * _hann(w)
    n = max(h, w)
    transformed = scipy.fft.fftshift(scipy.fft.fft2(grey.astype(np.float32), (n, n)))
    power = np.abs(transformed) ** 2
    floor = max(float(power.max()) * 1e-12, 1e-30)
    return np.log10(np.maximum(power, floor)), _inverse(y, n, down), _inverse(x, n, right)


def _hann(n: int) -> np.ndarray:
    return np.asarray(np.hanning(n) if n > 2 else np.ones(n), dtype=np.float32)


def _inverse(axis: Axis, n: int, step: int) -> Axis:
    """Return the axis of the spectrum of `n` pixels of `step` pixels each; 0 is at pixel n // 2."""
    scale = 1.0 / (n * step * (abs(axis.scale) or 1.0))
    unit = axis.unit if axis.scale else ""
    inverse = unit[2:] if unit.startswith("1/") else f"1/{unit or 'px'}"
    return Axis(-(n // 2) * scale, scale, inverse)
