"""`dmlink export`: a live cell becomes a stand-alone script for DigitalMicrograph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dmlink import ipynb
from dmlink.export import export
from dmlink.needs import PYTHON_OF_GMS

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("export", help="turn a live cell into a script for DigitalMicrograph")
    parser.add_argument("file", type=Path, help="a notebook (.ipynb), or a file with the cell's text (.py)")
    parser.add_argument("name", nargs="?", help="name of the live cell in the notebook")
    parser.add_argument("-o", "--output", type=Path, help="the script to write; default: NAME_dm.py")
    parser.add_argument(
        "--target", choices=("live", "batch"), default="live", help="the live view, or an in-situ recording"
    )
    parser.add_argument(
        "--gms", choices=PYTHON_OF_GMS, help="the version of GMS that the script has to run in"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the script if it exists")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Export the cell."""
    program = ipynb.program(options.file, options.name)
    output = options.output or Path(f"{program.name}_dm.py")
    path = export(program, output, options.target, gms=options.gms, overwrite=options.overwrite)
    for note in program.notes:
        print(f"Note: {note}")
    print(f"{path} is written. Open it in a script window of DigitalMicrograph and execute it.")
    return 0
