"""Option types: numbers on the command line, which refuse values that make no sense."""

from __future__ import annotations

from argparse import ArgumentTypeError


def port(text: str) -> int:
    """Return a port, 0 to 65535; 0 means any."""
    return _within(text, int(text), 0, 65535)


def count(text: str) -> int:
    """Return a whole number above zero."""
    return _within(text, int(text), 1, 10**12)


def seconds(text: str) -> float:
    """Return a finite time above zero."""
    if not 0 < float(text) < float("inf"):
        raise ArgumentTypeError(f"{text} is not a time above 0 s")
    return float(text)


def _within(text: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise ArgumentTypeError(f"{text} is not between {low} and {high}")
    return value
