"""Summary: an object's HTML in a notebook: a few facts and a thumbnail, a few kilobytes in all."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmlink.indm.info import Axis

THUMBNAIL = 128  # px of the longer side
STRETCH = 1.0, 99.5  # percentiles of the pixels that become black and white


def summary(heading: str, facts: Mapping[str, str], pixels: Any = None) -> str:
    """Return HTML with all texts escaped.

    Parameters
    ----------
    heading : str
    facts : mapping
        Facts by name; empty ones are left out.
    pixels : numpy.ndarray, optional
        Shape (h, w), shown as a thumbnail.
    """
    rows = "".join(
        f'<tr><th style="text-align: left">{html.escape(name)}</th>'
        f'<td style="text-align: left">{html.escape(text)}</td></tr>'
        for name, text in facts.items()
        if text
    )
    picture = ""
    if pixels is not None and pixels.size:
        data = base64.b64encode(thumbnail(pixels)).decode()
        picture = f'<img alt="thumbnail" src="data:image/png;base64,{data}" style="max-width: {THUMBNAIL}px">'
    return (
        '<div style="display: flex; gap: 12px; align-items: flex-start">'
        f"{picture}<div><b>{html.escape(heading)}</b><table>{rows}</table></div></div>"
    )


def pixel_size(axis: Axis) -> str:
    """Return the pixel size with its unit; empty if uncalibrated."""
    return f"{axis.scale:.4g} {axis.unit}" if axis.unit else ""


def size(count: float) -> str:
    """Return a number of bytes for people to read, with three digits."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def thumbnail(pixels: Any) -> bytes:
    """Return pixels of shape (h, w) and any numeric type as a small PNG; for complex ones, the magnitude."""
    step = max(1, -(-max(pixels.shape) // THUMBNAIL))
    sample = np.asarray(pixels[::step, ::step])
    with np.errstate(over="ignore", invalid="ignore"):
        grey = np.asarray(np.abs(sample) if np.iscomplexobj(sample) else sample, np.float64)
        finite = grey[np.isfinite(grey)]
        low, high = np.percentile(finite, STRETCH) if finite.size else (0.0, 1.0)
        level = (grey - low) / ((high - low) or 1.0) * 255.0
    shown = np.clip(np.nan_to_num(level, nan=0.0, posinf=255.0, neginf=0.0), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(shown).save(file, "PNG", optimize=True)
    return file.getvalue()
