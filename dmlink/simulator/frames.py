"""Frames: a recording as a camera delivers it, in types that DigitalMicrograph has, and binned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.frame import Axis
from dmlink.indm.data_types import dtype_in_dm
from dmlink.recordings.steps import even_steps

if TYPE_CHECKING:
    from collections.abc import Container


class Frames:
    """The frames of a recording, endlessly: after the last one, the first one again.

    Parameters
    ----------
    recording : Recording
        The recording that the camera plays.
    dtypes : container of str
        Names of allowed frame types; others are converted to the nearest one, or else to float32.
    """

    def __init__(self, recording: Any, dtypes: Container[str]) -> None:
        self._recording = recording
        self.name = str(recording.name)
        self._gaps = _gaps(getattr(recording, "times", None), len(recording))
        dtype = dtype_in_dm(recording.dtype)
        self._dtype = dtype if dtype.name in dtypes else np.dtype(np.float32)
        if len(recording) == 0:
            raise ValueError(f"The recording {self.name!r} has no frames.")

    def __len__(self) -> int:
        return len(self._recording)

    def read(self, number: int, binning: int = 1) -> np.ndarray:
        """Return frame `number`, which wraps around at the end of the recording, shape (h, w)."""
        pixels: np.ndarray = np.asarray(self._recording[number % len(self)].data)
        if binning > 1:
            h, w = (n // binning for n in pixels.shape)
            blocks = pixels[: h * binning, : w * binning].reshape(h, binning, w, binning)
            pixels = blocks.sum(axis=(1, 3))
            if self._dtype.kind in "iu":
                limits: Any = np.iinfo(self._dtype.name)
                pixels = pixels.clip(limits.min, limits.max)
        return np.asarray(pixels, self._dtype)

    def lasts(self, number: int) -> float:
        """Return how long frame `number` is shown, relative to the mean: 1 if the times are even."""
        return 1.0 if self._gaps is None else float(self._gaps[number % len(self)])

    def axes(self, binning: int = 1) -> list[Axis]:
        """Return the calibration of x and of y."""
        return [
            Axis(float(a.origin), float(a.scale) * binning, str(a.unit))
            for a in (self._recording.x, self._recording.y)
        ]


def _gaps(times: Any, n: int) -> np.ndarray | None:
    """Return the intervals between frames relative to their mean; None if all are equal or unknown."""
    if times is None or len(times) != n or even_steps(times):
        return None
    gaps = np.diff(np.asarray(times, float))
    if not (np.isfinite(gaps).all() and (gaps > 0).all()):
        return None
    return np.append(gaps / gaps.mean(), 1.0)
