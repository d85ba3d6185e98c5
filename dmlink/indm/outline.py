"""Outlines: an ellipse, a ring or a polygon in a rectangle, and which pixels lie within it."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple, Sequence

import numpy as np

CORNERS = {"ellipse": (2, 2), "ring": (3, 3), "polygon": (3, 300)}  # fewest and most points of each kind


class Outline(NamedTuple):
    """The outline of a mask.

    Attributes
    ----------
    kind : {"ellipse", "ring", "polygon"}
    points : tuple of (y, x)
        As parts of the rectangle's height and width, from its upper left corner: two corners of an ellipse's
        box; the centre of a ring, a point on its outer and one on its inner circle; the corners of a polygon.
    """

    kind: str
    points: tuple[tuple[float, float], ...]

    def inside(self, shape: Sequence[int]) -> np.ndarray:
        """Return which pixels of a rectangle of `shape` (h, w) lie inside, by their centres; read-only."""
        return pixels_inside(self, (int(shape[0]), int(shape[1])))

    def within(self, before: Sequence[float], after: Sequence[int]) -> Outline:
        """Return the outline that marks in the rectangle `after` what this one marks in `before`."""
        return outline_around(self.kind, self.places(before), after)

    def places(self, rectangle: Sequence[float]) -> list[tuple[float, float]]:
        """Return its points (y, x) in pixels of the image that has the rectangle."""
        top, left, bottom, right = rectangle
        return [(top + py * (bottom - top), left + px * (right - left)) for py, px in self.points]


@functools.lru_cache(maxsize=2)  # a cell asks for the same one in every frame; 4096 x 4096 take 16 MB
def pixels_inside(outline: Outline, shape: tuple[int, int]) -> np.ndarray:
    """Compute `Outline.inside`; the newest two results are cached."""
    places = [(py * shape[0], px * shape[1]) for py, px in outline.points]
    y, x = np.ogrid[0.5 : shape[0], 0.5 : shape[1]]
    found = np.zeros((shape[0], shape[1]), bool)
    if outline.kind == "ellipse":
        (y0, x0), (y1, x1) = places
        high, wide = max(abs(y1 - y0) / 2, 1e-9), max(abs(x1 - x0) / 2, 1e-9)
        found |= ((y - (y0 + y1) / 2) / high) ** 2 + ((x - (x0 + x1) / 2) / wide) ** 2 <= 1
    elif outline.kind == "ring":
        (cy, cx), first, second = places
        inner, outer = sorted(math.hypot(ey - cy, ex - cx) for ey, ex in (first, second))
        squared = (y - cy) ** 2 + (x - cx) ** 2
        found |= (squared >= inner**2) & (squared <= outer**2)
    else:
        for (y0, x0), (y1, x1) in zip(places, [*places[1:], places[0]]):
            if y0 != y1:  # a ray to the right crosses this side
                found ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    found.flags.writeable = False  # it is shared
    return found


def outline_around(kind: str, places: Sequence[Sequence[float]], rectangle: Sequence[int]) -> Outline:
    """Return the outline through `places`, points (y, x) in pixels of the image that has the rectangle."""
    top, left, bottom, right = rectangle
    points = (((y - top) / (bottom - top), (x - left) / (right - left)) for y, x in places)
    return Outline(kind, tuple(points))


def box_around(kind: str, places: Sequence[Sequence[float]]) -> tuple[int, int, int, int]:
    """Return the rectangle of whole pixels that an outline through these places (y, x) needs."""
    if kind == "ring":
        (cy, cx), *edges = places
        radius = max(math.hypot(y - cy, x - cx) for y, x in edges)
        places = [(cy - radius, cx - radius), (cy + radius, cx + radius)]
    ys, xs = zip(*places)
    top, left = math.floor(min(ys)), math.floor(min(xs))
    return top, left, max(top + 1, math.ceil(max(ys))), max(left + 1, math.ceil(max(xs)))


def checked_outline(kind: Any, points: Any) -> Outline:
    """Return the outline of plain lists, as a message has them.

    Raises
    ------
    ValueError
        If there is no such kind, or the points are not as many pairs of finite numbers as it takes.
    """
    if kind not in CORNERS:
        raise ValueError(f"There is no outline {kind!r:.50}; available: {', '.join(CORNERS)}.")
    fewest, most = CORNERS[kind]
    pairs = isinstance(points, (list, tuple)) and all(
        isinstance(p, (list, tuple)) and len(p) == 2 and all(type(v) in (int, float) for v in p)
        for p in points
    )
    if not pairs or not all(math.isfinite(v) for p in points for v in p):
        raise ValueError(f"The points of an outline must be pairs of finite numbers, not {points!r:.100}.")
    if not fewest <= len(points) <= most:
        needed = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise ValueError(f"The {kind} has {len(points)} points; it needs {needed}.")
    return Outline(kind, tuple((float(y), float(x)) for y, x in points))
