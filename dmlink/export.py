"""Export: a cell becomes one file that runs in DigitalMicrograph by itself."""

from __future__ import annotations

import ast
import re
from importlib.metadata import version
from pathlib import Path
from textwrap import indent
from typing import Protocol

from dmlink import needs
from dmlink.capture import RESULTS
from dmlink.kinds import KINDS
from dmlink.mechanics import START, given_names, mechanics
from dmlink.program import Program
from dmlink.scriptdata import beside, embedded, loaded, named, names, save

BELOW = "# " + "-" * 20 + " Nothing below needs to be changed " + "-" * 20

OPENING = {"open", "load", "loadtxt", "fromfile", "genfromtxt", "memmap", "imread", "read_csv", "Path"}
OF_NOTEBOOKS = {"IPython", "anywidget", "bqplot", "dmlink_widgets", "ipykernel", "ipywidgets"}
FUTURE = "from __future__ import annotations  # so that Python 3.7 reads newer ones\n"
HEADER = '''"""{name}: processes every frame of {of} in DigitalMicrograph.

{how}
Needs: {needs}.
Change the parameters and process() as you like. Made by dmlink {version}.
"""
'''
HOW = {
    "live": """\
How to run it: open this file in a script window (File > Open, language Python), click the live view, then
execute it. On GMS before 3.6.1 leave "Execute on background thread" unticked. A rectangular ROI on the live
view limits what is processed. Close the live view or the result to stop it; execute it again to start anew.
""",
    "batch": """\
How to run it: open this file in a script window (File > Open, language Python), set RECORDING, execute it. On
GMS before 3.6.1 leave "Execute on background thread" unticked. Close the windows of the results to stop it.
""",
}
OF = {"live": "the live view", "batch": "an in-situ recording"}
RECORDING = """\
# The recording: its NAME.dm4 with NAME.raw beside it, or the folder that Hour_00 is in
RECORDING = r\"\""""


class HasProgram(Protocol):
    """A live cell, as far as export is concerned."""

    @property
    def program(self) -> Program:
        """What runs."""


def export(
    cell: HasProgram | Program | str,
    path: str | Path,
    target: str = "live",
    *,
    gms: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a cell as a stand-alone script for DigitalMicrograph.

    Parameters
    ----------
    cell : LiveCell, Program or str
        What to export; a text is taken for a cell that uses nothing of the notebook.
    path : str or Path
        The file to write.
    target : {"live", "batch"}
        "live" processes the live view, "batch" a recording of Gatan's in-situ software.
    gms : {"3.4", "3.5", "3.6"}, optional
        The version of GMS that it has to run in: a cell that needs a newer Python is refused. Without it the
        script says itself what it needs.
    overwrite : bool
        Whether a script that exists may be replaced, with the file of its arrays if it has one.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    FileExistsError
        If the file exists, or one that is not the script's where its arrays would be.
    ValueError, SyntaxError
        If the text is not a live cell, or cannot run in that version of GMS: with the cell's line.
    """
    path = Path(path)
    if isinstance(cell, str):
        cell = Program.from_cell(cell, path.stem)
    program = cell if isinstance(cell, Program) else cell.program
    if gms:
        _refuse_newer(program, gms)
    data = beside(path) if embedded(program.arrays) is None else None
    text = script(program, target, str(data or ""))
    _refuse_existing(path, data, overwrite=overwrite)
    if data:
        save(program.arrays, data)
    with path.open("w" if overwrite else "x", encoding="utf-8", newline="\n") as file:
        file.write(text)
    return path


def script(program: Program, target: str = "live", data: str = "") -> str:
    """Return the text of the stand-alone script of a program.

    `data` is the file with its arrays; they are part of the text if there is none.

    Raises
    ------
    ValueError
        If there is no such target, or the cell uses what cannot be in DigitalMicrograph.
    """
    if target not in START:
        raise ValueError(f"{target!r} is not a target of an export; there are: 'live', 'batch'.")
    own = _without_dmlink(program)
    _refuse_elsewhere(program)
    if FUTURE.partition("  #")[0] not in own:
        own = f"{FUTURE}\n{own}"
    for line in [RECORDING] * (target == "batch") + [named(data)] * bool(data):
        own = own.replace("\n\n", f"\n\n{line}\n\n", 1)
    arrays = (loaded() if data else embedded(program.arrays) or "") if program.arrays else ""
    header = HEADER.format(
        name=program.name, of=OF[target], how=HOW[target], needs="{needs}", version=version("dmlink")
    )
    above = f"{header}\n{own}\n"
    below_header = "\n" * len(needs.versions(above))  # lines that the header will have more
    above = above.replace(
        "{needs}", ".\nNeeds: ".join([needs.packages(above), *needs.versions(below_header + above)]), 1
    )
    function = f"def dmlink_live():\n{indent(mechanics(program, target), '    ')}"
    return f"{above}\n\n{BELOW}\n\n{function}\n\n\n{arrays}dmlink_live()\n"


def _refuse_existing(path: Path, data: Path | None, *, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} exists. Choose another name, or allow it to be replaced (overwrite=True, --overwrite)."
        )
    if data and data.exists() and not names(path, data):
        raise FileExistsError(
            f"{data} exists, where the arrays of {path.name} would be, and is not that script's. Move it, or "
            "choose another name for the script."
        )


def _refuse_elsewhere(program: Program) -> None:
    """Refuse what is not there: notebooks, files by relative paths, results for more than to be called."""
    tree = ast.parse(program.source)
    given = KINDS & given_names(tree)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            modules = [getattr(node, "module", None), *(alias.name for alias in node.names)]
            if OF_NOTEBOOKS & {(module or "").partition(".")[0] for module in modules}:
                raise ValueError(
                    f"{_at(program, node)}: '{ast.unparse(node)}' belongs to notebooks; there is none in "
                    "DigitalMicrograph. Give the cell a parameter or a result instead."
                )
        if isinstance(node, ast.Name) and node.id in given and id(node) not in called:
            raise ValueError(f"{_at(program, node)}: {node.id} is called in a script, and nothing else.")
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in OPENING:
            path = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            if isinstance(path, str) and not re.match(r"[A-Za-z]:|[\\/~]", path):
                raise ValueError(
                    f"{_at(program, node)}: {path!r} is looked for in DigitalMicrograph's folder, such as "
                    "C:\\Windows\\system32: write the whole path that the file has there."
                )


def _at(program: Program, node: ast.expr | ast.stmt) -> str:
    line = program.line_of(node.lineno)
    return f"line {line}" if line else "In what the cell uses"


def _refuse_newer(program: Program, gms: str) -> None:
    if gms not in needs.PYTHON_OF_GMS:
        raise ValueError(f"GMS {gms!r} is not known; there is: {', '.join(needs.PYTHON_OF_GMS)}.")
    has = needs.PYTHON_OF_GMS[gms]
    for newer, what, line in needs.newer_python(program.source):
        if newer > has:
            cell = program.line_of(line)
            raise ValueError(
                f"{f'line {cell}' if cell else 'In what the cell uses'}: {what} needs Python "
                f"{newer[0]}.{newer[1]}; GMS {gms} has Python {has[0]}.{has[1]}."
            )


def _without_dmlink(program: Program) -> str:
    """Return the program without its docstring and its imports of results, which the mechanics provide.

    Raises
    ------
    ValueError
        If it uses more of dmlink than that.
    """
    lines = program.source.split("\n")
    drop = {1}  # the header takes the docstring's place
    given: set[str] = set()
    for node in ast.walk(ast.parse(program.source)):
        if isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        if not any(module.partition(".")[0] == "dmlink" for module in modules):
            continue
        results = all(alias.name in RESULTS and not alias.asname for alias in node.names)
        if isinstance(node, ast.Import) or not results or node.col_offset:
            cell = program.line_of(node.lineno)
            raise ValueError(
                f"{f'line {cell}: ' if cell else ''}'{ast.unparse(node)}' cannot be exported: dmlink is not "
                f"there in DigitalMicrograph. {', '.join(RESULTS)} can be used without an import."
            )
        drop |= {*range(node.lineno, (node.end_lineno or node.lineno) + 1)}
        given |= {alias.name for alias in node.names}
    text = "\n".join(line for number, line in enumerate(lines, start=1) if number not in drop)
    early = (given | program.arrays.keys()).intersection(
        compile(text, program.filename, "exec", dont_inherit=True).co_names
    )
    if early:  # by a default value or a base class; the mechanics stand below it
        raise ValueError(
            f"The definitions that this cell uses need {', '.join(sorted(early))} while they are made, which "
            "cannot be exported: use it inside the function or inside the cell."
        )
    head, process, body = text.strip("\n").partition("def process(frame, info, state):")
    return re.sub(r"\n{4,}", "\n\n\n", head) + process + body
