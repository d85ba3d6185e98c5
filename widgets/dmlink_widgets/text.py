"""Text: what panels say, as HTML with everything from outside escaped."""

from __future__ import annotations

import html
from typing import Any

MAX_ROWS = 50  # of a table: what a screen holds


def title(name: str, colour: str = "") -> str:
    """Return a panel's name, with the colour that it has elsewhere (`#rrggbb`)."""
    mark = f'<i class="dmlink-colour" style="background: {html.escape(colour)}"></i>' if colour else ""
    return f'{mark}<span class="dmlink-title">{html.escape(name)}</span>'


def part(name: str) -> str:
    """Return the name of one of several results."""
    return f'<span class="dmlink-part">{html.escape(name)}</span>'


def status(*parts: str) -> str:
    """Return a line of short facts; empty ones are left out."""
    line = "  \u00b7  ".join(part for part in parts if part)
    return f'<span class="dmlink-status">{html.escape(line)}</span>'


def facts(*known: tuple[str, str, int]) -> str:
    """Return a line of (what, value, width of the value in digits): no number moves another one.

    What has no value is left out.
    """
    parts = [
        f'<span class="dmlink-fact">{html.escape(what)} '
        f'<span style="min-width: {width}ch">{html.escape(value.strip())}</span></span>'
        for what, value, width in known
        if value
    ]
    return f'<div class="dmlink-status dmlink-facts">{" ".join(parts)}</div>'


def legend(entries: list[tuple[str, str]]) -> str:
    """Return a line of (colour `#rrggbb`, what has it)."""
    parts = [
        f'<span class="dmlink-fact"><i class="dmlink-colour" style="background: {html.escape(colour)}"></i>'
        f"{html.escape(words)}</span>"
        for colour, words in entries
    ]
    return f'<div class="dmlink-status dmlink-facts">{" ".join(parts)}</div>' if parts else ""


def error(message: str, repeats: int = 1) -> str:
    """Return an error as a box, with how many frames had it; nothing without one."""
    if not message:
        return ""
    count = f"\n(on {repeats} frames)" if repeats > 1 else ""
    return f'<div class="dmlink-error" role="alert">{html.escape(message + count)}</div>'


def written(words: str) -> str:
    """Return a result that consists of words, line by line as it is."""
    return f'<pre class="dmlink-written">{html.escape(words)}</pre>'


def table(columns: dict[str, Any], caption: str = "") -> str:
    """Return columns of shape (n,) as a table, with a caption; of many rows the first ones."""
    n = max([len(column) for column in columns.values()] or [0])
    heads = "".join(f'<th scope="col">{html.escape(str(name))}</th>' for name in columns)
    rows = "".join(
        f"<tr>{''.join(_cell(column[i]) for column in columns.values())}</tr>"
        for i in range(min(n, MAX_ROWS))
    )
    more = f"{n} rows, the first {MAX_ROWS} are shown" if n > MAX_ROWS else ""
    said = html.escape(" \u00b7 ".join(words for words in (caption, more) if words))
    return (
        f'<div class="dmlink-table"><table><caption>{said}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return f'<td class="dmlink-words">{html.escape(value)}</td>'
    return f"<td>{html.escape(f'{value:.6g}' if isinstance(value, float) else str(value))}</td>"


def log(lines: list[str]) -> str:
    """Return what a cell has printed; nothing if it has not."""
    return f'<div class="dmlink-log">{html.escape(chr(10).join(lines))}</div>' if lines else ""


def age(seconds: float | None) -> str:
    """Return an age in the unit that suits it, of constant width."""
    if seconds is None:
        return ""
    return f"age {seconds * 1e3:4.0f} ms" if seconds < 10 else f"age {seconds:4.0f} s "


def rate(per_second: float) -> str:
    """Return frames per second, of constant width."""
    return f"{per_second:5.1f} f/s"
