"""`dmlink doctor`: says why no frames come."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from dmlink.diagnosis import examine

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("doctor", help="find out why no frames come")
    parser.add_argument("endpoint", nargs="?", help="dmlink://...; default: the last companion here")
    parser.add_argument("--roi", help="ask about this rectangle of the live view")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print each finding; the exit code is 0 if frames come."""
    print(f"dmlink {version('dmlink')}, Python {platform.python_version()}, {platform.platform()}")
    for ok, text in examine(options.endpoint, options.roi):
        print("  ok  " if ok else "FAULT ", text, flush=True)
        if not ok:
            return 1
    return 0
