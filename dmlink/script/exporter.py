"""Exporter: writes a cell as one file that runs in DigitalMicrograph on its own."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dmlink import __version__
from dmlink.gms_versions import PYTHON_OF_GMS
from dmlink.program.capture import RESULTS
from dmlink.program.program import Program, program_of
from dmlink.recordings.writing.file_names import write_text
from dmlink.script import requirements
from dmlink.script.arrays import DATA_FILE, as_text, file_beside, path_setting, refers_to, save
from dmlink.script.mechanics import LAST, asks_for_mask, free_word, given_names, mechanics
from dmlink.script.result_kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmlink.indm.outline import Outline
    from dmlink.program.program import HasProgram

BELOW = "# " + "-" * 20 + " Nothing below needs to be changed " + "-" * 20

OPENING = {"open", "load", "loadtxt", "fromfile", "genfromtxt", "memmap", "imread", "read_csv", "Path"}
OF_NOTEBOOKS = {"IPython", "anywidget", "bqplot", "dmlink_widgets", "ipykernel", "ipywidgets"}
FUTURE = "from __future__ import annotations  # so that Python 3.7 reads newer ones\n"
BEFORE = "{} = globals().copy()  # DM's scripts share their names: the others get theirs back"
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
view limits what is processed. Close the live view or the result to stop it; execute it again to restart it.
""",
    "batch": """\
How to run it: open this file in a script window (File > Open, language Python), set RECORDING, and execute
it. On GMS before 3.6.1 leave "Execute on background thread" unticked. Close the result windows to stop it.
""",
}
OF_MASK = {
    "live": """\
It looks at the {} in the first rectangular ROI on the live view; move and resize that as you like.
""",
    "batch": """\
It looks at the {} in ROI, below.
""",
}
OF = {"live": "the live view", "batch": "an in-situ recording"}
RECORDING = """\
# The recording: its NAME.dm4 with NAME.raw beside it, or the folder that Hour_00 is in
{} = r\"\""""
ROI = """\
# The part of each frame that is processed: (top, left, bottom, right) in pixels, or None for all of it
{} = {}"""


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
        What to export; a str is the text of a cell that uses no variables of a notebook.
    path : str or Path
        The file to write.
    target : {"live", "batch"}
        "live" processes the live view, "batch" an in-situ recording of Gatan's software.
    gms : {"3.4", "3.5", "3.6"}, optional
        The version of GMS in which it must run: a cell that needs a newer Python is refused. Without it, the
        script's header says what it needs.
    overwrite : bool
        Whether an existing script may be replaced, with the file of its arrays if it has one.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    FileExistsError
        If the file exists, or if another file has the name of its arrays file.
    ValueError, SyntaxError
        If the text is not a live cell, or cannot run in that version of GMS: with the cell's line.
    """
    path = Path(path).expanduser()
    if isinstance(cell, str):
        cell = Program.from_cell(cell, path.stem)
    program = program_of(cell)
    if gms:
        _refuse_newer(program, gms)
    data = file_beside(path) if as_text(program.arrays) is None else None
    drawn = getattr(cell, "outline", None), getattr(cell, "rectangle", None)
    text = script(program, target, str(data or ""), *drawn)
    _refuse_existing(path, data, overwrite=overwrite)
    if data:
        save(program.arrays, data)
    write_text(path, text, overwrite=overwrite)
    return path


def script(
    program: Program,
    target: str = "live",
    data: str = "",
    outline: Outline | None = None,
    rectangle: Sequence[int] | None = None,
) -> str:
    """Return the text of the stand-alone script of a program.

    `data` is the path of the file with its arrays; without one they are part of the text. `outline` is what
    is drawn in the cell's ROI, and `rectangle` its (top, left, bottom, right). A live script takes the first
    rectangle on its live view instead, with this outline in it; a recording has no ROIs of its own.

    Raises
    ------
    ValueError
        If there is no such target, or the cell uses something that DigitalMicrograph does not have.
    """
    if target not in LAST:
        raise ValueError(f"{target!r} is not a target of an export; use 'live' or 'batch'.")
    imports, rest = _without_dmlink(program)
    _refuse_missing(program)
    if FUTURE.partition("  #")[0] not in imports:
        imports = f"{FUTURE}\n{imports}".strip("\n")
    settings = {"before": free_word("dmlink_before", program)}
    lines: list[str] = []
    if target == "batch":
        settings["recording"] = free_word("RECORDING", program)
        lines.append(RECORDING.format(settings["recording"]))
        if rectangle or asks_for_mask(program):
            settings["roi"] = free_word("ROI", program)
            place = tuple(int(v) for v in rectangle) if rectangle else None
            lines.append(ROI.format(settings["roi"], place))
    if data:
        settings["arrays"] = free_word(DATA_FILE, program)
        lines.append(path_setting(settings["arrays"], data))
    of_mask = OF_MASK[target].format(outline.kind) if outline and asks_for_mask(program) else ""
    header = HEADER.format(
        name=program.name,
        of=OF[target],
        how=HOW[target] + of_mask,
        needs="{needs}",
        version=__version__,
    )
    future = max(n.end_lineno or 0 for n in ast.parse(imports).body if _is_future(n))
    first, others = imports.split("\n")[:future], imports.split("\n")[future:]
    parts = ["\n".join(first), BEFORE.format(settings["before"]), "\n".join(others).strip("\n"), *lines]
    own = "\n\n".join(part for part in parts if part)
    above = f"{header}\n{own}\n{rest}"
    below_header = "\n" * len(requirements.versions(above))  # lines that these add to the header
    above = above.replace(
        "{needs}",
        ".\nNeeds: ".join([requirements.packages(above), *requirements.versions(below_header + above)]),
        1,
    )
    arrays = "" if data else as_text(program.arrays) or ""
    return f"{above}\n\n\n{BELOW}\n\n{mechanics(program, target, settings, arrays, outline)}"


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _refuse_existing(path: Path, data: Path | None, *, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} exists. Choose another name, or allow it to be replaced (overwrite=True, --overwrite)."
        )
    if data and data.exists() and not refers_to(path, data):
        raise FileExistsError(
            f"{data} exists and belongs to something else; the arrays of {path.name} would be written there. "
            "Move it, or choose another name for the script."
        )


def _refuse_missing(program: Program) -> None:
    """Refuse what DM does not support: notebooks, relative paths, results used other than by calling them."""
    tree = ast.parse(program.source)
    given = KINDS & given_names(tree)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            modules = [getattr(node, "module", None), *(alias.name for alias in node.names)]
            if OF_NOTEBOOKS & {(module or "").partition(".")[0] for module in modules}:
                raise ValueError(
                    f"{_at(program, node.lineno)}: '{ast.unparse(node)}' belongs to notebooks; there is none "
                    "in DigitalMicrograph. Give the cell a parameter or a result instead."
                )
        if isinstance(node, ast.Name) and node.id in given and id(node) not in called:
            raise ValueError(f"{_at(program, node.lineno)}: {node.id} can only be called in a script.")
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in OPENING:
            path = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            if isinstance(path, str) and not re.match(r"[A-Za-z]:|[\\/~]", path):
                raise ValueError(
                    f"{_at(program, node.lineno)}: DigitalMicrograph would look for {path!r} in its working "
                    "folder, such as C:\\Windows\\system32: write the full path on the microscope's computer."
                )


def _at(program: Program, source_line: int) -> str:
    line = program.line_of(source_line)
    return f"line {line}" if line else "In a definition that the cell uses"


def _refuse_newer(program: Program, gms: str) -> None:
    if gms not in PYTHON_OF_GMS:
        raise ValueError(f"GMS {gms!r} is not known; choose one of {', '.join(PYTHON_OF_GMS)}.")
    has = PYTHON_OF_GMS[gms]
    for newer, what, line in requirements.newer_python(program.source):
        if newer > has:
            raise ValueError(
                f"{_at(program, line)}: {what} needs Python {newer[0]}.{newer[1]}; GMS {gms} has Python "
                f"{has[0]}.{has[1]}."
            )


def _without_dmlink(program: Program) -> tuple[str, str]:
    """Return the program's imports without those of results, and the rest, with preceding empty lines.

    The header and the mechanics of the script replace its docstring and these imports.

    Raises
    ------
    ValueError
        If it uses anything else from dmlink.
    """
    lines = program.source.split("\n")
    tree = ast.parse(program.source)
    drop = {1}  # the docstring
    given: set[str] = set()
    for node in ast.walk(tree):
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
            raise ValueError(
                f"{_at(program, node.lineno)}: '{ast.unparse(node)}' cannot be exported: there is no dmlink "
                f"in DigitalMicrograph. {', '.join(RESULTS)} can be used without an import."
            )
        drop |= {*range(node.lineno, (node.end_lineno or node.lineno) + 1)}
        given |= {alias.name for alias in node.names}
    kept = [line for number, line in enumerate(lines, start=1) if number not in drop]
    early = (given | program.arrays.keys()).intersection(
        compile("\n".join(kept), program.filename, "exec", dont_inherit=True).co_names
    )
    if early:  # in a default value or a base class; the mechanics are defined below it
        raise ValueError(
            f"The definitions that this cell uses need {', '.join(sorted(early))} when executed, which "
            "cannot be exported: use it inside the function or inside the cell."
        )
    imports = itertools.takewhile(lambda node: isinstance(node, (ast.Import, ast.ImportFrom)), tree.body[1:])
    end = max([1, *(node.end_lineno or 1 for node in imports)])
    head = [line for number, line in enumerate(lines[:end], start=1) if number not in drop]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(head).strip("\n")), "\n".join(lines[end:]).rstrip("\n")
