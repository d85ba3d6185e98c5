"""Export: a cell becomes one file that runs in DigitalMicrograph by itself."""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from textwrap import indent
from typing import Protocol, TypeGuard

from dmlink import bundle, needs
from dmlink.capture import RESULTS
from dmlink.kinds import KINDS, kinds_of
from dmlink.program import Program
from dmlink.scriptdata import beside, embedded, loaded, named

Definition = ast.FunctionDef | ast.ClassDef

BELOW = "# " + "-" * 20 + " Nothing below needs to be changed " + "-" * 20

MECHANICS = {  # modules of dmlink.indm; a later one's definition takes the place of an earlier one's
    "live": ("scriptresults", "scriptwindow", "livescript", "memory"),
    "batch": ("scriptresults", "scriptwindow", "livescript", "batchscript", "memory"),
}
READ = {"live": ("tags", "line"), "batch": ("tags",)}  # of `info`, where a cell asks for it
# What a bare value can mean, in the order in which it is tried.
MEANINGS = ("Text", "Scalar", "Several", "Table", "Figure", "Profile", "Image")
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
START = {"live": "start", "batch": "process_recording"}
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
        If the text is not a live cell, or cannot run in that version of GMS: with the cell's line.
    """
    path = Path(path)
    if isinstance(cell, str):
        cell = Program.from_cell(cell, path.stem)
    program = cell if isinstance(cell, Program) else cell.program
    if gms:
        _refuse_newer(program, gms)
    try:
        data = (
            "" if embedded(program.arrays) is not None else beside(program.arrays, path, overwrite=overwrite)
        )
        text = script(program, target, data)
        with path.open("w" if overwrite else "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError as error:
        raise FileExistsError(
            f"{error.filename} exists. Choose another name, or allow it to be replaced (overwrite=True, "
            "--overwrite)."
        ) from None
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
    tree = ast.parse(program.source)
    given = {alias.name for node in tree.body if _is_ours(node) for alias in node.names}
    kinds = sorted(given | {"Axis"})
    meanings = _meanings(program, tree, given)
    alone = meanings or sorted(given & KINDS)  # marks are no bare value's meaning
    meaning = alone[0] if len(alone) == 1 and alone != ["Several"] else "as_result"
    about = {name: f"read_{name}" for name in READ[target] if re.search(rf"\b{name}\b", program.source)}
    needed = [START[target], *kinds, *meanings, meaning, *about.values()]
    mechanics = _needed(needed, MECHANICS[target], program.source)
    if "def as_result(" in mechanics:
        mechanics += f"\n\nMEANINGS = [{', '.join(meanings)}]"
    told = "".join(f", {name}={read}" for name, read in about.items())
    call = f"{START[target]}({program.name!r}, sys._getframe(1), [{', '.join(kinds)}], {meaning}{told})"
    function = f"def dmlink_live():\n{indent(mechanics, '    ')}\n    {call}"
    return f"{above}\n\n{BELOW}\n\n{function}\n\n\n{arrays}dmlink_live()\n"


def _meanings(program: Program, tree: ast.Module, given: set[str]) -> list[str]:
    """Return the kinds that a bare value can mean: those that the program can need, or names itself."""
    kinds = kinds_of(tree, {name: parameter.value for name, parameter in program.parameters.items()})
    if kinds is None:
        packages = {module.partition(".")[0] for module in program.modules} - {"numpy", "dmlink"}
        figures = {"Figure"} if packages - sys.stdlib_module_names else set()
        kinds = set(MEANINGS) - {"Figure"} | figures
    return [kind for kind in MEANINGS if kind in kinds | given]


def _is_ours(node: ast.stmt) -> TypeGuard[ast.ImportFrom]:
    return isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "dmlink"


@functools.cache
def _mechanics(
    modules: tuple[str, ...],
) -> tuple[list[bundle.Part], list[str], dict[str, Definition]]:
    """Return modules taken apart, their lines together, and their definitions by name."""
    parts = [bundle.part(module) for module in modules]
    body = "\n".join(_brief(part.body) for part in parts)
    definitions = {n.name: n for n in ast.parse(body).body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    return parts, body.split("\n"), definitions


def _needed(names: list[str], modules: tuple[str, ...], source: str) -> str:
    """Return the definitions of the mechanics that these need in turn, and the imports of those.

    Methods that neither they nor the program `source` name are left out.
    """
    parts, lines, definitions = _mechanics(modules)
    unnamed: set[int] = set()  # rows of such methods: what only they need is not needed either
    while True:
        taken = _reached(names, definitions, unnamed)
        rows = [
            [row for row in range(n.lineno, (n.end_lineno or n.lineno) + 1) if row not in unnamed]
            for n in taken
        ]
        found = "\n\n".join("\n".join(lines[row - 1] for row in some) for some in rows)
        more = _unnamed_methods(taken, f"{source}\n{found}") - unnamed
        if not more:
            break
        unnamed |= more
    merged: dict[str, set[str]] = {"sys": {""}}
    for part in parts:
        for module, imported in part.imports.items():
            used = {name for name in imported if re.search(rf"\b{(name or module).split(' ')[-1]}\b", found)}
            if used and module != "__future__" and imported != {"Any"}:
                merged.setdefault(module, set()).update(used - {"Any"})
    return f"{bundle.import_lines([merged])}\n{found}"


def _reached(names: list[str], definitions: dict[str, Definition], unnamed: set[int]) -> list[Definition]:
    """Return the definitions of these names, and those that they need in turn, but for rows `unnamed`."""
    reached, waiting = set(), [*names]
    while waiting:
        name = waiting.pop()
        if name in definitions and name not in reached:
            reached.add(name)
            nodes = (node for node in ast.walk(definitions[name]) if isinstance(node, ast.Name))
            waiting += [node.id for node in nodes if node.lineno not in unnamed]
    return [node for name, node in definitions.items() if name in reached]


def _unnamed_methods(definitions: list[Definition], text: str) -> set[int]:
    """Return the rows of those methods, each with the empty line before it, that `text` at most defines."""
    methods = [m for node in definitions for m in node.body if isinstance(m, ast.FunctionDef)]
    words, defined = Counter(re.findall(r"\w+", text)), Counter(re.findall(r"\bdef (\w+)", text))
    rows: set[int] = set()
    for m in methods:
        if words[m.name] == defined[m.name] and not m.name.startswith(("_", "Handle")):
            first = min([m.lineno, *(decorator.lineno for decorator in m.decorator_list)])
            rows.update(range(first - 1, (m.end_lineno or m.lineno) + 1))
    return rows


def _refuse_elsewhere(program: Program) -> None:
    """Refuse what is not there: notebooks, files by relative paths, results for more than to be called."""
    tree = ast.parse(program.source)
    given = KINDS & {alias.name for node in tree.body if _is_ours(node) for alias in node.names}
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


def _brief(source: str) -> str:
    """Return a module as a reader in DM wants it: one line of each docstring."""
    lines = source.split("\n")
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    for node in sorted(nodes, key=lambda node: -node.lineno):
        if doc := ast.get_docstring(node):
            said = node.body[0]
            lines[said.lineno - 1 : said.end_lineno] = [f'{" " * said.col_offset}"""{doc.splitlines()[0]}"""']
    return "\n".join(lines)
