"""`dmlink process`: a live cell over a whole recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dmlink.batch import process

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("process", help="run a live cell on every frame of a recording")
    parser.add_argument("recording", type=Path)
    parser.add_argument("cell", help="CELL.py, or NOTEBOOK.ipynb:NAME")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder for what the cell gives")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster; default: all cores here")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Process; interrupted, it goes on when it is called again."""
    out = process(options.recording, options.cell, options.output, options.scheduler)
    print(f"{out}: {', '.join(sorted(path.name for path in out.iterdir()))}")
    return 0
