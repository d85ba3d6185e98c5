"""Endpoint: the argument that selects a companion."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_endpoint(parser: argparse.ArgumentParser) -> None:
    """Add the endpoint; standard input is safer, because other users can see the token in a command line."""
    parser.add_argument(
        "endpoint",
        nargs="?",
        type=lambda text: input().strip() if text == "-" else text,
        help="dmlink://..., or - to read it from standard input; default: this computer's last companion",
    )
