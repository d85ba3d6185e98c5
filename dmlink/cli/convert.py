"""`dmlink convert`: a recording as a file that other programs open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dmlink import recordings
from dmlink.recordings.convert import WRITERS, convert

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("convert", help="write a recording as TIFF, MRC, HDF5 or NumPy")
    parser.add_argument("recording", type=Path)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help=f"a new file with one of {', '.join(WRITERS)}"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Convert."""
    with recordings.open(options.recording) as recording:
        print(f"{convert(recording, options.output)}: {len(recording)} frames")
    return 0
