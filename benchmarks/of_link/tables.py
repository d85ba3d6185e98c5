"""Tables for the terminal."""

from __future__ import annotations


def table(title: str, heads: list[str], rows: list[list[str]]) -> list[str]:
    """Return lines: a title, then columns, the first left-aligned and the others right-aligned."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in [heads, *rows]
    ]
    return [title, *(f"  {line.rstrip()}" for line in lines), ""]


def verdict(holds: bool, limit: str) -> str:
    """Return whether a limit is met, and the limit."""
    return f"{'kept' if holds else 'MISSED'} ({limit})"
