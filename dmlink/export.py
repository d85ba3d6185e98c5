"""Export: a cell becomes one file that runs in DigitalMicrograph by itself."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import version
from pathlib import Path
from textwrap import indent
from typing import Protocol

from dmlink import bundle
from dmlink.program import Program

BELOW = "# " + "-" * 20 + " Nothing below needs to be changed " + "-" * 20

DISTRIBUTIONS = {
    "cv2": "opencv-python",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "PIL": "pillow",
}

HEADER = '''"""{name}: processes every frame of the live view in DigitalMicrograph.

How to run it: open this file in a script window (File > Open, language Python), click the live view, then
execute it. On GMS before 3.6.1 leave "Execute on background thread" unticked. A rectangular ROI on the live
view limits what is processed. Closing the live view stops it; executing it again starts it anew.

Needs: {needs}.
Change the parameters and process() as you like. Made by dmlink {version}.
"""
'''


class HasProgram(Protocol):
    """A live cell, as far as export is concerned."""

    @property
    def program(self) -> Program:
        """What runs."""


def export(
    cell: HasProgram | Program | str, path: str | Path, target: str = "live", *, overwrite: bool = False
) -> Path:
    """Write a cell as a stand-alone script for DigitalMicrograph.

    Parameters
    ----------
    cell : LiveCell, Program or str
        What to export; a text is taken for a cell that uses nothing of the notebook.
    path : str or Path
        The file to write.
    target : {"live"}
        "live" processes the live view.
    overwrite : bool
        Whether a file that exists may be replaced.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    FileExistsError
        If the file exists.
    ValueError, SyntaxError
        If the text is not a live cell.
    """
    path = Path(path)
    if isinstance(cell, str):
        cell = Program.from_cell(cell, path.stem)
    program = cell if isinstance(cell, Program) else cell.program
    text = script(program, target)
    try:
        with path.open("w" if overwrite else "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise FileExistsError(
            f"{path} exists. Choose another name, or allow it to be replaced (overwrite=True, --overwrite)."
        ) from None
    return path


def script(program: Program, target: str = "live") -> str:
    """Return the text of the stand-alone script of a program."""
    if target != "live":
        raise ValueError(f"{target!r} is not a target of an export; there is: 'live'.")
    names = ("info", "results", "gms", "livescript")
    parts = [bundle.part(name) for name in names]
    mechanics = "\n\n".join(part.body for part in parts)
    own = re.sub(r"^from dmlink\.indm\.\w+ import .*\n", "", program.source, flags=re.MULTILINE)
    own = own.split("\n", 1)[1].strip("\n")  # without the docstring: the header takes its place
    imports = bundle.import_lines([part.imports for part in parts]).replace(
        "from __future__ import annotations\n\n", ""
    )
    future = "from __future__ import annotations\n\n"
    if "from __future__ import annotations\n" in own:
        future = ""
    header = HEADER.format(name=program.name, needs=_needs(program), version=version("dmlink"))
    return (
        f"{header}\n{future}{own}\n\n\n{BELOW}\n\n{imports}\n\n"
        f"def dmlink_live(process, name, script):\n{indent(mechanics, '    ')}\n"
        f"    start(process, name, script)\n\n\n"
        f"dmlink_live(process, {program.name!r}, globals())\n"
    )


def _needs(program: Program) -> str:
    """Return what the script imports, and where GMS's Python gets it."""
    tree = ast.parse(program.source)
    modules = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    modules |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    packages = {module.partition(".")[0] for module in modules} - {"dmlink", "__future__", "numpy"}
    packages = {package for package in packages if package not in sys.stdlib_module_names}
    if not packages:
        return "NumPy, which comes with GMS"
    names = " ".join(sorted(DISTRIBUTIONS.get(package, package) for package in packages))
    return f"NumPy, which comes with GMS, and in its environment GMS_VENV_PYTHON: pip install {names}"
