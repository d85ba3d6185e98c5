"""`dmlink companion`: the script that streams DigitalMicrograph's live view."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dmlink import bundle

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "companion", help="write the script that streams DigitalMicrograph's live view"
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("dm_companion.py"), help="default: %(default)s"
    )
    parser.add_argument("--port", type=int, help="where to listen, default: 52370 or the next free one")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the companion."""
    path: Path = options.output
    with path.open("w" if options.overwrite else "x", encoding="utf-8", newline="\n") as file:
        file.write(bundle.companion(options.port))
    print(
        f"{path} is written. In DigitalMicrograph: start the live view, open {path.name} in a script window"
    )
    print(
        "(File > Open), tick 'Execute on background thread', execute, and copy the dmlink:// line it prints."
    )
    return 0
