"""Packed complex: completes the half of a real image's Fourier transform that DM saves."""

from __future__ import annotations

import numpy as np


def unpack(half: np.ndarray, w: int) -> np.ndarray:
    """Return the transform (h, w) of a real image, zero frequency at (h // 2, w // 2).

    Parameters
    ----------
    half : numpy.ndarray, shape (h, w // 2 + 1)
        Column k is the frequency -k along x: DM's types 27 and 28.
    w : int
        Columns of the whole transform.
    """
    h, zero = half.shape[0], w // 2
    whole = np.empty((h, w), half.dtype)
    whole[:, : zero + 1] = half[:, ::-1]
    whole[:, zero + 1 :] = _mirrored(whole)[:, zero + 1 :]
    return whole


def unpack_old(packed: np.ndarray) -> np.ndarray:
    """Return the transform (h, w) of a real image from DM's type 5: (h, w // 2) numbers, h and w even.

    Column k is the frequency k along x. The first column, whose upper half would repeat its lower half,
    holds the lower half of the highest frequency there; the four real numbers go in pairs.
    """
    h, half = packed.shape
    y, w = h // 2, 2 * half
    whole = np.zeros((h, w), packed.dtype)
    whole[:, half + 1 :] = packed[:, 1:]
    whole[y + 1 :, half] = packed[y + 1 :, 0]
    whole[y + 1 :, 0] = packed[1:y, 0]
    whole[y, 0], whole[0, 0] = packed[0, 0].real, packed[0, 0].imag
    whole[y, half], whole[0, half] = packed[y, 0].real, packed[y, 0].imag
    mirrored = _mirrored(whole)
    whole[:, 1:half] = mirrored[:, 1:half]
    for column in (0, half):
        whole[1:y, column] = mirrored[1:y, column]
    return whole


def _mirrored(whole: np.ndarray) -> np.ndarray:
    """Return the conjugate at the opposite frequency, as in the transform of a real image."""
    h, w = whole.shape
    rows = (2 * (h // 2) - np.arange(h)) % h
    columns = (2 * (w // 2) - np.arange(w)) % w
    return np.asarray(whole[np.ix_(rows, columns)].conj())
