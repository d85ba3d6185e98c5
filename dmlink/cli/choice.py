"""Choice: the options that select frames and images in a file, for all commands that open a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add --axis and --item."""
    parser.add_argument(
        "--axis", type=_axis, help="the dimension that counts the frames: number or name; several: 0,1"
    )
    parser.add_argument(
        "--item", type=_number, help="the image to use if the file has several: number or name"
    )


def _axis(text: str) -> int | str | tuple[int | str, ...]:
    """Return the dimension or dimensions that an option names."""
    parts = [_number(part.strip()) for part in text.split(",")]
    return parts[0] if len(parts) == 1 else tuple(parts)


def _number(text: str) -> int | str:
    """Return an option as a number if it is one, else as text."""
    return int(text) if text.lstrip("-").isdecimal() else text
