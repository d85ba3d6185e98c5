"""Text: the characters that DigitalMicrograph accepts."""

from __future__ import annotations

from typing import Any


def ascii_only(text: Any, call: str) -> str:
    """Return `text` if DM accepts it; non-ASCII characters have crashed GMS."""
    if not isinstance(text, str):
        raise TypeError(f"{call} needs a str, not {text!r}.")
    if not text.isascii():
        raise ValueError(f"{call}({text!r}): text that goes to DigitalMicrograph must be ASCII.")
    return text
