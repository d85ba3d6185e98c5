"""Menu: the options that add a script to a menu in DigitalMicrograph."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path, PurePath

    from dmlink.dm_menu import Item


def add_menu(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--menu",
        action="store_true",
        help="also write a .s file, which adds the script to a menu in DigitalMicrograph",
    )
    parser.add_argument(
        "--menu-folder",
        metavar="FOLDER",
        help="the script's folder on the microscope's computer, if it is not this one; implies --menu",
    )


def menu_path(options: argparse.Namespace, script: Path) -> Path | None:
    """Return the path of the menu's .s file; None without a menu.

    Raises
    ------
    FileExistsError
        If it exists, without --overwrite.
    """
    if not (options.menu or options.menu_folder):
        return None
    path = script.with_suffix(".s")
    if path.exists() and not options.overwrite:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    return path


def write_menu(
    options: argparse.Namespace, path: Path | None, script: Path, items: Callable[[PurePath], list[Item]]
) -> None:
    """Write the menu's .s file, if wanted, and print how to use it."""
    from dmlink.dm_menu import MENU, at, menu_script

    if path is None:
        return
    place = at(options.menu_folder, script.name) if options.menu_folder else script.absolute()
    with path.open("w" if options.overwrite else "x", encoding="ascii", newline="\r\n") as file:
        file.write(menu_script(items(place)))
    print(f"Wrote {path}. Execute it in DigitalMicrograph to add the menu {MENU!r}, which runs {place}.")
    print(f"It has not been tried in a real GMS yet; opening {script.name} and executing it always works.")
