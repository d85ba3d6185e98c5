"""HTML text: the texts of panels as HTML, with all external text escaped."""

from __future__ import annotations

import html
from typing import Any

ROW_PX = 22  # height of a table's row
SEEN_ROWS = 10  # rows that a table shows before it scrolls
MAX_ROWS = 50  # rows of a table; about a screenful


def title(name: str, colour: str = "") -> str:
    """Return a panel's title, with the cell's colour (`#rrggbb`) before it."""
    mark = f'<i class="dmlink-colour" style="background: {html.escape(colour)}"></i>' if colour else ""
    return f'{mark}<span class="dmlink-title">{html.escape(name)}</span>'


def roi_button(roi: str, place: str) -> str:
    """Return the name of a cell's ROI as a button that selects the ROI of this image."""
    data = f'data-roi="{html.escape(roi)}" data-place="{html.escape(place)}"'
    tip = "Show this ROI on the live view"
    return f'<button class="dmlink-on-roi" title="{tip}" {data}>on {html.escape(roi)}</button>'


def light(lamp: str, *words: str) -> str:
    """Return a status light followed by a few words; empty words are left out.

    The `lamp` is green if "live", orange if "waiting", red if "lost", grey if "idle".
    """
    line = html.escape(" \u00b7 ".join(word for word in words if word))
    mark = f'<span class="dmlink-lamp dmlink-{html.escape(lamp)}"></span>'
    return f'<span class="dmlink-light">{mark}{line}</span>'


def subtitle(name: str) -> str:
    """Return the name of one of several results."""
    return f'<span class="dmlink-subtitle">{html.escape(name)}</span>'


def message(*texts: str) -> str:
    """Return short texts in one line; empty ones are left out."""
    line = "  \u00b7  ".join(text for text in texts if text)
    return f'<span class="dmlink-status">{html.escape(line)}</span>'


def status(*items: tuple[str, str, int]) -> str:
    """Return a status line of (name, value, width of the value in digits); empty values are left out.

    Fixed widths keep a changing number from moving the others.
    """
    parts = [
        f'<span class="dmlink-status-item">{html.escape(name)} '
        f'<span style="min-width: {width}ch">{html.escape(value)}</span></span>'
        for name, value, width in items
        if value
    ]
    return _status_line(parts)


def legend(entries: list[tuple[str, str]]) -> str:
    """Return a line of (colour `#rrggbb`, text); empty without entries."""
    parts = [
        '<span class="dmlink-status-item">'
        f'<i class="dmlink-colour" style="background: {html.escape(colour)}"></i>'
        f"{html.escape(text)}</span>"
        for colour, text in entries
    ]
    return _status_line(parts) if parts else ""


def error(text: str, repeats: int = 1) -> str:
    """Return an error as a box, with the number of frames affected; empty without a text."""
    if not text:
        return ""
    count = f"\n(on {repeats} frames)" if repeats > 1 else ""
    return f'<div class="dmlink-error" role="alert">{html.escape(text + count)}</div>'


def preformatted(text: str) -> str:
    """Return a text with its line breaks and spaces preserved."""
    return f'<pre class="dmlink-preformatted">{html.escape(text)}</pre>'


def table(columns: dict[str, Any], caption: str = "", room: int = 0) -> str:
    """Return a table of columns of shape (n,) with a caption; at most its first MAX_ROWS rows.

    It takes the height of `room` rows even if there are fewer.
    """
    n = max([len(column) for column in columns.values()] or [0])
    heads = "".join(f'<th scope="col">{html.escape(str(name))}</th>' for name in columns)
    rows = "".join(
        f"<tr>{''.join(_cell(column[i]) for column in columns.values())}</tr>"
        for i in range(min(n, MAX_ROWS))
    )
    more = f"{n} rows; showing the first {MAX_ROWS}" if n > MAX_ROWS else ""
    line = html.escape(" \u00b7 ".join(text for text in (caption, more) if text))
    height = ROW_PX * (min(room, SEEN_ROWS) + 2)  # including caption and names
    return (
        f'<div class="dmlink-table" style="min-height: {height}px"><table><caption>{line}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def log(lines: list[str]) -> str:
    """Return the lines that a cell has printed; empty if there are none."""
    return f'<div class="dmlink-log">{html.escape(chr(10).join(lines))}</div>' if lines else ""


def age(seconds: float | None) -> str:
    """Return an age in ms or s; empty if it is unknown."""
    if seconds is None:
        return ""
    return f"{seconds * 1e3:.0f} ms" if seconds < 10 else f"{seconds:.0f} s"


def old(seconds: float | None) -> str:
    """Return an age as text, such as "0.1 s old"; empty if it is unknown."""
    if seconds is None:
        return ""
    return f"{seconds:.1f} s old" if seconds < 10 else f"{seconds:.0f} s old"


def rate(per_second: float) -> str:
    """Return a number of frames per second."""
    return f"{per_second:.1f} f/s"


def _status_line(parts: list[str]) -> str:
    return f'<div class="dmlink-status dmlink-status-line">{" ".join(parts)}</div>'


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return f'<td class="dmlink-words">{html.escape(value)}</td>'
    return f"<td>{html.escape(f'{value:.6g}' if isinstance(value, float) else str(value))}</td>"
