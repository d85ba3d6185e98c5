"""`dmlink check`: runs an exported script over a recording and compares its windows with the cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dmlink.cli import option_types
from dmlink.cli.choice import add_choice

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "check",
        help="run an exported script in the simulated DigitalMicrograph, and compare it with its cell",
    )
    parser.add_argument("script", type=Path, help="the exported script")
    parser.add_argument("--data", type=Path, required=True, help="the recording to run it on")
    parser.add_argument(
        "--against", type=Path, help="the cell (.py, or .ipynb and --name); default: the one in the script"
    )
    parser.add_argument("--name", help="name of the live cell in that notebook")
    parser.add_argument(
        "--frames", type=option_types.count, default=50, help="number of frames to compare (%(default)s)"
    )
    parser.add_argument("-o", "--output", type=Path, help="the picture to write; default: SCRIPT.png")
    parser.add_argument("--overwrite", action="store_true", help="replace the picture if it exists")
    add_choice(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check the script; return 0 if it is equal to the cell."""
    from dmlink import recordings
    from dmlink.comparison import check
    from dmlink.program import notebook_file

    picture = options.output or options.script.with_suffix(".png")
    with recordings.open(options.data, axis=options.axis, item=options.item) as recording:
        frames = [recording[i] for i in range(min(len(recording), options.frames))]
    cell = notebook_file.program(options.against, options.name) if options.against else None
    result = check(options.script, frames, cell, picture, overwrite=options.overwrite)
    print(result)
    windows = len({comparison.window for comparison in result})
    verdict = "all equal" if result.equal else "NOT equal" if result else "nothing to compare"
    print(
        f"{len(result)} comparisons of {len(frames)} frames in {windows} windows: {verdict}. Compared with "
        f"{options.against or 'the cell in the script'}; their picture: {picture}."
    )
    return 0 if result.equal else 1
