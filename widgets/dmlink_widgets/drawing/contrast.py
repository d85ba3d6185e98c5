"""Contrast: how the values of an image become grey levels or colours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dmlink_widgets.drawing.colour import MAPS, colour_map

LEVELS = 1024  # levels; enough for 8 bits after a strong gamma
DECADES = 3.0  # largest ratio of the limits of a logarithmic scale


@dataclass(frozen=True)
class Contrast:
    """Which values are dark and bright, and in which colours.

    Attributes
    ----------
    percentiles : tuple of float
        Percentage of the pixels below the lower and the upper limit; (0, 100) spans from the lowest
        to the highest value.
    fixed : tuple of (float or None)
        The lower and the upper limit for every frame; None: from each frame's percentiles.
    gamma : float
        Exponent of the scale between the limits; below 1 it brightens dark values.
    log : bool
        Whether the scale is logarithmic between the limits.
    colours : str
        One of `dmlink_widgets.drawing.colour.MAPS`.

    Raises
    ------
    ValueError
        If the colour map is unknown, or percentiles or gamma are out of range.
    """

    percentiles: tuple[float, float] = (1.0, 99.5)
    fixed: tuple[float | None, float | None] = (None, None)
    gamma: float = 1.0
    log: bool = False
    colours: str = "grey"

    def __post_init__(self) -> None:
        if self.colours not in MAPS:
            raise ValueError(f"There is no colour map {self.colours!r}; available: {', '.join(MAPS)}.")
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(
                f"The percentiles {self.percentiles} must be in ascending order, from 0 to 100 %."
            )
        if not 0.05 <= self.gamma <= 20:
            raise ValueError(f"gamma={self.gamma}: it must be from 0.05 to 20.")

    def limits(self, grey: np.ndarray) -> tuple[float, float]:
        """Return the values shown as the first and the last colour, the lower one first."""
        found = self._percentiles_of(grey) if None in self.fixed else (0.0, 1.0)
        low, high = (auto if end is None else end for end, auto in zip(self.fixed, found, strict=True))
        return (low, high) if high > low else (low, low + max(1.0, abs(low) * 1e-6))

    def apply(self, grey: Any, limits: tuple[float, float]) -> np.ndarray:
        """Return values of shape (h, w) as uint8: (h, w) grey levels or (h, w, 3) colours."""
        low, high = limits
        with np.errstate(invalid="ignore", over="ignore"):
            steps = (np.asarray(grey, np.float32) - low) * ((LEVELS - 1) / (high - low))
        steps = np.nan_to_num(steps, nan=0.0, posinf=LEVELS - 1, neginf=0.0)
        colours: np.ndarray = self._colours[np.clip(steps, 0, LEVELS - 1).astype(np.int16)]
        return colours

    def steps(self, n: int) -> list[str]:
        """Return `n` colours, "#rrggbb", in equal steps from the lower limit to the upper."""
        picked = self._colours[np.linspace(0, LEVELS - 1, n).astype(int)]
        rgb = picked if picked.ndim == 2 else np.stack([picked] * 3, axis=1)
        return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in rgb.tolist()]

    @property
    def _colours(self) -> np.ndarray:
        """The colours of LEVELS equally spaced values: uint8, (LEVELS,) or (LEVELS, 3)."""
        t = np.linspace(0.0, 1.0, LEVELS)
        if self.log:
            t = np.log1p(t * 10**DECADES) / math.log1p(10**DECADES)
        level = np.asarray(t**self.gamma * 255.0 + 0.5, dtype=np.uint8)
        if self.colours == "grey":
            return level
        return 255 - level if self.colours == "inverted" else colour_map(self.colours)[level]

    def _percentiles_of(self, grey: np.ndarray) -> tuple[float, float]:
        low, high = self.percentiles
        # using every fourth pixel is 5 to 20 times as fast; extremes need all pixels
        sparse = min(grey.shape) >= 64 and low > 0 and high < 100
        sample = grey[::4, ::4] if sparse else grey
        sample = sample[np.isfinite(sample)]
        if sample.size == 0:
            return 0.0, 1.0
        found = np.percentile(sample, self.percentiles)
        return float(found[0]), float(found[1])


# Presets for common images. "diffraction" shows both a bright centre and weak spots.
PRESETS = {
    "usual": Contrast(),
    "all values": Contrast(percentiles=(0.0, 100.0)),
    "strong": Contrast(percentiles=(5.0, 95.0)),
    "diffraction": Contrast(percentiles=(1.0, 99.99), log=True, colours="inferno"),
    "particles": Contrast(percentiles=(0.5, 99.5), colours="inverted"),
}
