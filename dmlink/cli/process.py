"""`dmlink process`: runs a live cell on a whole recording."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmlink.cli.choice import add_choice

if TYPE_CHECKING:
    import argparse

    from dmlink.frame import Roi


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("process", help="run a live cell on every frame of a recording")
    parser.add_argument("recording", type=Path)
    parser.add_argument(
        "cell",
        help="CELL.py, or NOTEBOOK.ipynb:NAME, of which only imports, functions, classes and constants are "
        "executed",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="a new folder for the results")
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="set a parameter, such as n=5, log=True, window=hann, or diameter=None for an automatic one",
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="a Dask scheduler; default: all cores of this computer"
    )
    parser.add_argument(
        "--roi",
        metavar="ROI",
        help="process only this ROI: the name of one that was recorded, or top,left,bottom,right in pixels",
    )
    parser.add_argument("--follow", action="store_true", help="process the recording while it is written")
    parser.add_argument(
        "--idle",
        type=float,
        default=30.0,
        metavar="S",
        help="with --follow: end after this many seconds without a new frame (30)",
    )
    add_choice(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Process the recording; call it again after an interruption to continue."""
    from dmlink import recordings
    from dmlink.batch import process, process_growing

    if options.follow:
        if any(option is not None for option in (options.axis, options.item, options.roi)):
            raise ValueError("--follow processes whole frames in order; leave --axis, --item and --roi out.")
        out = process_growing(
            options.recording,
            options.cell,
            options.output,
            options.scheduler,
            parameters=_values(options.set),
            idle=options.idle,
        )
        print(f"{out}: {', '.join(sorted(path.name for path in out.iterdir()))}")
        return 0
    with recordings.open(options.recording, axis=options.axis, item=options.item) as recording:
        frames = recording if options.roi is None else recording.part(_roi(options.roi))
        out = process(
            frames, options.cell, options.output, options.scheduler, parameters=_values(options.set)
        )
    print(f"{out}: {', '.join(sorted(path.name for path in out.iterdir()))}")
    return 0


def _roi(text: str) -> str | Roi:
    """Return the ROI of --roi: four numbers are a rectangle, anything else is a name."""
    from dmlink.frame import Roi

    numbers = text.split(",")
    if len(numbers) != 4 or not all(number.strip().isdecimal() for number in numbers):
        return text
    top, left, bottom, right = map(int, numbers)
    if top >= bottom or left >= right:
        raise ValueError(f"--roi {text}: top must be above bottom, and left must be left of right.")
    return Roi(top, left, bottom, right)


def _values(settings: list[str]) -> dict[str, Any]:
    """Return the values of NAME=VALUE: numbers, True, False and None as in Python, anything else as text."""
    values: dict[str, Any] = {}
    for setting in settings:
        name, equal, value = setting.partition("=")
        if not equal or not name.strip():
            raise ValueError(f"--set {setting}: write NAME=VALUE.")
        try:
            values[name.strip()] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            values[name.strip()] = value.strip()
    return values
