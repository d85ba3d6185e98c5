"""Masked: the rectangle that is processed, with the ellipse, ring or polygon that the cell had there."""

import numpy as np

from dmlink.indm.outline import Outline


def masked_by(fields):
    """Return the class of rectangles with this outline, (kind, points), in them; None for none."""
    outline = fields and Outline(*fields)

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
