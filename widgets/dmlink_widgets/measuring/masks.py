"""Masks: the pixels within an ellipse, a ring or a polygon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmlink_widgets.measuring.lengths import Point

KINDS = "ellipse", "ring", "polygon"


def mask(kind: str, points: Sequence[Point], shape: tuple[int, int]) -> np.ndarray:
    """Return which pixels of an image have their centre within a shape.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    points : sequence of (y, x)
        In pixels from the upper left corner: two corners of an ellipse's box; the centre of a ring, a point
        on its outer circle and one on its inner circle; the corners of a polygon.
    shape : tuple of int
        (h, w) of the image.

    Returns
    -------
    numpy.ndarray
        Shape (h, w), bool.
    """
    y, x = np.ogrid[0.5 : shape[0], 0.5 : shape[1]]
    if kind == "ellipse":
        (y0, x0), (y1, x1) = points
        high, wide = max(abs(y1 - y0) / 2, 1e-9), max(abs(x1 - x0) / 2, 1e-9)
        found = ((y - (y0 + y1) / 2) / high) ** 2 + ((x - (x0 + x1) / 2) / wide) ** 2 <= 1
    elif kind == "ring":
        (cy, cx), *edges = points
        radii = sorted(np.hypot(ey - cy, ex - cx) for ey, ex in edges)
        squared = (y - cy) ** 2 + (x - cx) ** 2
        found = (squared >= radii[0] ** 2) & (squared <= radii[1] ** 2)
    elif kind == "polygon":
        found = np.zeros(shape, bool)
        for (y0, x0), (y1, x1) in zip(points, (*points[1:], points[0]), strict=True):
            if y0 != y1:  # a ray to the right crosses this side of the polygon
                crossing = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
                found ^= ((y0 > y) != (y1 > y)) & (x < crossing)
    else:
        raise ValueError(f"There is no mask {kind!r}; there are: {', '.join(KINDS)}.")
    return np.asarray(found)
