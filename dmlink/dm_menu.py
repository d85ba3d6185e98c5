"""Menu: DM-script that adds Python scripts to a menu of DigitalMicrograph."""

from __future__ import annotations

from pathlib import PurePath, PureWindowsPath
from typing import NamedTuple

MENU = "dmlink"
HEAD = """\
// Adds to the menu "{menu}" of DigitalMicrograph: {labels}.
// Open this file in a script window (File > Open) and execute it.
//
// What we know: ExecutePythonScriptString(text, 1) was seen in scripts that ran in GMS 3.43; AddScriptToMenu
// is in published DM-scripts. Not tried by us in a real GMS: the two together; whether the items are still
// there after a restart of DigitalMicrograph (if not, execute this file again); whether Stop finds what Start
// has started (if not, press Ctrl+Shift+Q). If an item does nothing, open the .py in a script window and
// execute it.

"""


class Item(NamedTuple):
    """An item of the menu: its label, and the Python that it runs on the background thread."""

    label: str
    python: str


def start(label: str, path: PurePath) -> Item:
    """Return the item that runs a script's file, at `path` on the microscope's computer."""
    place = path.as_posix()  # Windows accepts /, too, and it needs no escaping
    return Item(
        label,
        f"path = {place!a}\n"
        "try:\n"
        "    with open(path, encoding='utf-8') as file:\n"
        "        text = file.read()\n"
        "except OSError as error:\n"
        "    print('dmlink: %s cannot be read (%s). Write the menu again; if the script has moved, with "
        "--menu-folder.' % "
        "(ascii(path), error.strerror))\n"
        "else:\n"
        "    exec(compile(text, path, 'exec'), globals())\n",
    )


def stop(label: str = "Stop") -> Item:
    """Return the item that ends the companion."""
    return Item(
        label,
        "running = globals().get('dmlink_companion_running')\n"
        "if hasattr(running, 'stop'):\n"
        "    running.stop = True\n"
        "    print('dmlink: stopping the companion.')\n"
        "else:\n"
        "    print('dmlink: found no companion here; press Ctrl+Shift+Q to stop it.')\n",
    )


def menu_script(items: list[Item]) -> str:
    """Return DM-script, in ASCII only, that adds these items to the menu `MENU`."""
    labels = ", ".join(_plain(item.label) for item in items)
    lines = [
        f"AddScriptToMenu({_quoted(_run(item.python))}, {_quoted(_plain(item.label))}, {_quoted(MENU)}, "
        '"", 0)\n'
        for item in items
    ]
    return HEAD.format(menu=MENU, labels=labels) + "".join(lines)


def at(folder: str, name: str) -> PurePath:
    """Return the future path of a file; `folder` may be on another computer, with a drive."""
    path = PureWindowsPath(folder)
    return path / name if path.drive or "\\" in folder else PurePath(folder) / name


def _run(python: str) -> str:
    return f"ExecutePythonScriptString({_quoted(python)}, 1)"


def _quoted(text: str) -> str:
    """Return a text as a DM-script string, which can contain only ASCII."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _plain(text: str) -> str:
    return text.encode("ascii", "replace").decode()
