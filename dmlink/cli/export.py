"""`dmlink export`: a live cell becomes a stand-alone script for DigitalMicrograph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dmlink.cli.menu import add_menu, menu_path, write_menu
from dmlink.gms_versions import PYTHON_OF_GMS

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("export", help="turn a live cell into a script for DigitalMicrograph")
    parser.add_argument(
        "file",
        type=Path,
        help="a file with the cell's text (.py), or a notebook (.ipynb), of which imports, functions, "
        "classes and constants are executed, and nothing else",
    )
    parser.add_argument("name", nargs="?", help="name of the live cell in the notebook")
    parser.add_argument("-o", "--output", type=Path, help="the script to write; default: NAME_dm.py")
    parser.add_argument(
        "--target", choices=("live", "batch"), default="live", help="the live view, or an in-situ recording"
    )
    parser.add_argument(
        "--gms", choices=PYTHON_OF_GMS, help="the version of GMS in which the script has to run"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the script if it exists")
    add_menu(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Export the cell."""
    from dmlink.dm_menu import start
    from dmlink.program import notebook_file
    from dmlink.script import export

    program = notebook_file.program(options.file, options.name)
    output = options.output or Path(f"{program.name}_dm.py")
    menu = menu_path(options, output)
    path = export(program, output, options.target, gms=options.gms, overwrite=options.overwrite)
    for note in program.notes:
        print(f"Note: {note}")
    print(f"Wrote {path}. Open it in a script window of DigitalMicrograph and execute it.")
    write_menu(options, menu, path, lambda place: [start(program.name, place)])
    return 0
