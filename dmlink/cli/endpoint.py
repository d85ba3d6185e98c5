"""Endpoint: the argument that selects a companion."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_endpoint(parser: argparse.ArgumentParser) -> None:
    """Add the endpoint; standard input is safer, because other users can see the token in a command line."""
    parser.add_argument(
        "endpoint",
        nargs="?",
        type=given,
        help="dmlink://..., or - to read it from standard input; default: this computer's last companion",
    )


def given(text: str) -> str:
    """Return the endpoint of the command line; `-` stands for a line of standard input.

    Raises
    ------
    argparse.ArgumentTypeError
        If that is empty.
    """
    if text != "-":
        return text
    line = sys.stdin.readline().strip()
    if not line:
        raise ArgumentTypeError("there is no endpoint on standard input; write it there, or leave out the -.")
    return line
