"""Timeline as SVG: the strips of a session with its marks, which any browser can draw."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from dmlink.logbook.strips import marks, strips
from dmlink.logbook.times import time_unit
from dmlink.session.session import CELL, CLIP, EVENT, NO_FRAMES, NO_LINK, PARAMETER

if TYPE_CHECKING:
    import numpy as np

    from dmlink.link.logs import Logs
    from dmlink.session import Session

WIDTH, LEFT, RIGHT, STRIP, BOTTOM = 1000, 84, 12, 56, 34  # px
POINTS = 2 * (WIDTH - LEFT - RIGHT)
COLOURS = ("#1f77b4", "#d95f02", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22")
BANDS = {NO_LINK: "#e57373", NO_FRAMES: "#9e9e9e", CLIP: "#43a047"}  # colours of what has a length
LINES = {EVENT: "#e6a100", CELL: "#7b1fa2", PARAMETER: "#00838f"}  # of moments
CLIP_PX = 5  # height of a clip's band, above the curves


def timeline_svg(session: Session, logs: Logs, begin: float, end: float) -> str:
    """Return the timeline from `begin` to `end` (s), as an <svg> element with everything escaped."""
    shown = strips(session, logs, begin, end, POINTS)
    width, height = WIDTH - LEFT - RIGHT, STRIP * max(1, len(shown))
    span = (end - begin) or 1.0
    parts = []
    for mark in marks(session, begin, end, width):
        x, w = (LEFT + (mark.begin - begin) / span * width, (mark.end - mark.begin) / span * width)
        title = f"<title>{escape(': '.join(filter(None, (mark.cell, mark.text))))}</title>"
        if mark.kind in BANDS:
            tall, opacity = (CLIP_PX, 1) if mark.kind == CLIP else (height, 0.4)
            place = f'x="{x:.1f}" y="0" width="{max(w, 2):.1f}" height="{tall}"'
            parts.append(f'<rect {place} fill="{BANDS[mark.kind]}" opacity="{opacity}">{title}</rect>')
        else:
            place = f'x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}"'
            parts.append(f'<line {place} stroke="{LINES[mark.kind]}" stroke-width="1.5">{title}</line>')
    for i, strip in enumerate(shown):
        base = STRIP * (i + 1)
        places = LEFT + (strip.times - begin) / span * width
        y = base - 4 - strip.levels * (STRIP - 22)
        parts += [
            f'<line x1="{LEFT}" x2="{LEFT + width}" y1="{base}" y2="{base}" class="row"/>',
            f'<path d="{_path(places, y)}" fill="none" stroke="{COLOURS[i % 8]}" stroke-width="1.3"/>',
            f'<text x="{LEFT + 4}" y="{base - STRIP + 13}">{escape(strip.label)}</text>',
            f'<text x="{LEFT - 5}" y="{base - STRIP + 26}" text-anchor="end">{strip.high:.5g}</text>',
            f'<text x="{LEFT - 5}" y="{base - 4}" text-anchor="end">{strip.low:.5g}</text>',
        ]
    scale, unit = time_unit(span)
    for time in _round_numbers(span / scale):
        x = LEFT + width * time * scale / span
        parts.append(f'<text x="{x:.1f}" y="{height + 16}" text-anchor="middle">{time:.4g}</text>')
    parts.append(f'<text x="{LEFT + width / 2}" y="{height + 31}" text-anchor="middle">time ({unit})</text>')
    box = f'viewBox="0 0 {WIDTH} {height + BOTTOM}" role="img" aria-label="Timeline"'
    return f"<svg {box}>{''.join(parts)}</svg>"


def _round_numbers(end: float) -> list[float]:
    """Return at most seven multiples of 1, 2 or 5 times a power of ten, from 0 to `end`."""
    power = 10.0 ** math.floor(math.log10(end / 6))
    step = next(m * power for m in (1, 2, 5, 10) if end <= 6 * m * power)
    return [i * step for i in range(int(end / step + 1e-9) + 1)]


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """Return a path through the points; NaN is a gap."""
    words, pen = [], "M"
    for i, j in zip(x.tolist(), y.tolist(), strict=True):
        if j != j:  # noqa: PLR0124 - NaN
            pen = "M"
        else:
            words.append(f"{pen}{i:.1f},{j:.1f}")
            pen = "L"
    return "".join(words)
