"""Masked: rectangles with a mask, the first one with the ellipse, ring or polygon that the cell had there."""

import numpy as np

from dmlink.indm.outline import Outline


def masked_by(fields):
    """Return the function that makes such rectangles; the first one has the outline (kind, points)."""
    with_outline, without = rectangles_with(fields and Outline(*fields)), rectangles_with(None)

    def place_of(rectangle, first):
        return with_outline(rectangle) if first else without(rectangle)

    return place_of


def rectangles_with(outline):
    """Return the class of rectangles with this outline in them; None for none."""

    class Masked(tuple):
        """A rectangle (top, left, bottom, right), as `info.roi`."""

        __slots__ = ()

        @property
        def mask(self):
            """Which of its pixels lie within the outline, shape (h, w), bool; without one, all of them."""
            top, left, bottom, right = self
            shape = bottom - top, right - left
            return outline.inside(shape) if outline else np.ones(shape, bool)

    return Masked
