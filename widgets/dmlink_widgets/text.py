"""Text: what panels say, as HTML with everything from outside escaped."""

from __future__ import annotations

import html


def title(name: str) -> str:
    """Return a panel's name."""
    return f'<span class="dmlink-title">{html.escape(name)}</span>'


def status(*parts: str) -> str:
    """Return a line of short facts; empty ones are left out."""
    line = "  \u00b7  ".join(part for part in parts if part)
    return f'<span class="dmlink-status">{html.escape(line)}</span>'


def error(message: str) -> str:
    """Return an error as a box; nothing without one."""
    return f'<div class="dmlink-error" role="alert">{html.escape(message)}</div>' if message else ""


def written(words: str) -> str:
    """Return a result that consists of words, line by line as it is."""
    return f'<pre class="dmlink-written">{html.escape(words)}</pre>'


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
