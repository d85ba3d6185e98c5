"""Scale bar: a round length shown in the corner of an image."""

from __future__ import annotations

import math

LENGTHS = "pm", "nm", "\u00b5m", "mm", "m"
PART = 0.25  # largest fraction of the image's width


def scale_bar(width: float, unit: str) -> tuple[float, str]:
    """Return (a length of 1, 2 or 5 times a power of ten, its text) for an image of this width.

    image_overlay.js does the same in the page.

    Parameters
    ----------
    width : float
        Visible width of the image, in `unit`; positive.
    unit : str
        Empty for pixels.
    """
    longest = width * PART
    power = 10.0 ** math.floor(math.log10(longest))
    length = next(n * power for n in (5, 2, 1) if n * power <= longest * 1.0001)
    shown, named = length, "\u00b5m" if unit == "um" else unit or "px"
    while shown >= 1000 and named in LENGTHS[:-1]:
        shown, named = shown / 1000, LENGTHS[LENGTHS.index(named) + 1]
    return length, f"{shown:.2g} {named}" if shown < 100 else f"{shown:.0f} {named}"
