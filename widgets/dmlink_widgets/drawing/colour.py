"""Colour: the colours of cells, and the colour maps of images."""

from __future__ import annotations

import functools

import cmap
import numpy as np

# Distinguishable with any colour vision, on light and dark (Okabe and Ito, 2008), starting with those that
# stand out best on a grey image. The yellow is reserved for ROIs.
COLOURS = ["#56b4e9", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#0072b2"]
# DigitalMicrograph's own maps, then perceptually uniform ones (bids, cividis, Crameri's batlow).
MAPS = {
    "grey": "matlab:gray",
    "inverted": "matlab:gray_r",
    "temperature": "matlab:hot",
    "rainbow": "google:turbo",
    "viridis": "bids:viridis",
    "inferno": "bids:inferno",
    "magma": "bids:magma",
    "cividis": "cividis:cividis",
    "batlow": "crameri:batlow",
}

_assigned: dict[str, str] = {}


def colour_of(name: str) -> str:
    """Return the colour of a cell, `#rrggbb`, for its panel and its marks over the live view."""
    return _assigned.setdefault(name, COLOURS[len(_assigned) % len(COLOURS)])


@functools.cache
def colour_map(name: str) -> np.ndarray:
    """Return a colour map from `MAPS`: shape (256, 3), uint8, from the lowest value to the highest."""
    return np.asarray(cmap.Colormap(MAPS[name]).lut(256)[:, :3] * 255.0 + 0.5, dtype=np.uint8)
