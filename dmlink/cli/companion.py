"""`dmlink companion`: the script that streams DigitalMicrograph's live view."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmlink import __version__
from dmlink.cli import option_types
from dmlink.cli.menu import add_menu, menu_path, write_menu

if TYPE_CHECKING:
    import argparse
    from pathlib import PurePath

    from dmlink.dm_menu import Item


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "companion", help="write the script that streams DigitalMicrograph's live view"
    )
    parser.add_argument("-o", "--output", type=Path, help="default: dm_companion.py, or dm_selftest.py")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    parser.add_argument(
        "--port", type=option_types.port, help="port to listen on; default: 52370 or the next free one"
    )
    parser.add_argument("--host", help="address to listen on, for other computers; an SSH tunnel is safer")
    parser.add_argument(
        "--camera",
        type=option_types.seconds,
        metavar="EXPOSURE",
        help="acquire from the camera directly, with this exposure (s), instead of using the live view",
    )
    parser.add_argument(
        "--compress",
        action="store_true",
        help="compress frames, for a slow network; GMS's Python needs the package numcodecs",
    )
    parser.add_argument(
        "--self-test",
        action="store_true",
        help="instead, write a script that finds out how your GMS behaves where nothing is documented",
    )
    add_menu(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the script."""
    from dmlink import bundle

    path: Path = options.output or Path("dm_selftest.py" if options.self_test else "dm_companion.py")
    menu = menu_path(options, path)
    with path.open("w" if options.overwrite else "x", encoding="utf-8", newline="\n") as file:
        file.write(
            bundle.selftest(DMLINK=__version__)
            if options.self_test
            else bundle.companion(options.port, **_set(options))
        )
    then = (
        "send us the file that it writes" if options.self_test else "copy the dmlink:// line that it prints"
    )
    print(f"Wrote {path}. In DigitalMicrograph: start the live view, open {path.name} in a script window")
    print(f"(File > Open), tick 'Execute on background thread', execute it, and {then}.")
    write_menu(options, menu, path, lambda place: _items(place, self_test=options.self_test))
    if options.host:
        print(
            f"Anyone who can reach {options.host} and has the token can see the live view and move its ROIs."
        )
    return 0


def _items(place: PurePath, *, self_test: bool) -> list[Item]:
    from dmlink.dm_menu import start, stop

    return [start("Self-test", place)] if self_test else [start("Start", place), stop()]


def _set(options: argparse.Namespace) -> dict[str, Any]:
    """Return the companion's settings that the options change."""
    host = {"HOST": options.host, "EXPOSE": True} if options.host else {}
    packing = {"COMPRESS": True} if options.compress else {}
    return host | packing | ({"FEED": "camera", "CAMERA_EXPOSURE": options.camera} if options.camera else {})
