"""`dmlink convert`: writes a recording as a file for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dmlink.cli.choice import add_choice

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("convert", help="write a recording as TIFF, MRC, HDF5 or NumPy")
    parser.add_argument("recording", type=Path)
    parser.add_argument(
        *("-o", "--output"),
        type=Path,
        required=True,
        help="the new file: .tif, .tiff, .mrc, .hspy, .hdf5, .h5 or .npy",
    )
    add_choice(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Convert the recording."""
    from dmlink import recordings
    from dmlink.recordings.writing.convert import left_behind, write, write_logs

    with recordings.open(options.recording, axis=options.axis, item=options.item) as recording:
        print(f"{write(recording, options.output.expanduser())}: {len(recording)} frames")
        if logs := write_logs(recording, options.output.expanduser()):
            print(f"{logs}: the numbers of other instruments")
        for line in (*recording.notes, *left_behind(recording, options.output)):
            print(line, file=sys.stderr)
    return 0
