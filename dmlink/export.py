"""Export: a cell becomes one file that runs in DigitalMicrograph by itself."""

from __future__ import annotations

import ast
import re
from importlib.metadata import version
from pathlib import Path
from textwrap import indent
from typing import Protocol

from dmlink import bundle, needs
from dmlink.capture import RESULTS
from dmlink.program import Program

BELOW = "# " + "-" * 20 + " Nothing below needs to be changed " + "-" * 20

MECHANICS = ("info", "results", "memory", "gms", "window", "livescript")  # modules of dmlink.indm
FUTURE = "from __future__ import annotations\n\n"
HEADER = '''"""{name}: processes every frame of the live view in DigitalMicrograph.

How to run it: open this file in a script window (File > Open, language Python), click the live view, then
execute it. On GMS before 3.6.1 leave "Execute on background thread" unticked. A rectangular ROI on the live
view limits what is processed. Close the live view or the result to stop it; execute it again to start anew.

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
    """Return the text of the stand-alone script of a program.

    Raises
    ------
    ValueError
        If there is no such target, or the cell uses what cannot be in DigitalMicrograph.
    """
    if target != "live":
        raise ValueError(f"{target!r} is not a target of an export; there is: 'live'.")
    own = _without_dmlink(program)
    if FUTURE not in f"{own}\n":
        own = FUTURE + own
    header = HEADER.format(name=program.name, needs="{needs}", version=version("dmlink"))
    above = f"{header}\n{own}\n"
    below_header = "\n" * len(needs.versions(above))  # lines that the header will have more
    above = above.replace(
        "{needs}", ".\nNeeds: ".join([needs.packages(above), *needs.versions(below_header + above)]), 1
    )
    parts = [bundle.part(name) for name in MECHANICS]
    imports = bundle.import_lines([{"sys": {""}}, *(part.imports for part in parts)]).replace(FUTURE, "")
    bodies = [f"# {part.doc.splitlines()[0]}\n\n{_brief(part.body)}" for part in parts]
    below = indent("\n\n".join([imports, *bodies]), "    ")
    return (
        f"{above}\n\n{BELOW}\n\n"
        f"def dmlink_live(name):\n{below}\n"
        f"    start(name, sys._getframe(1))\n\n\n"
        f"dmlink_live({program.name!r})\n"
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
    early = given.intersection(compile(text, program.filename, "exec", dont_inherit=True).co_names)
    if early:  # by a default value or a base class; the mechanics stand below it
        raise ValueError(
            f"The definitions that this cell uses need {', '.join(sorted(early))} while they are made, which "
            "cannot be exported: use it inside the function or inside the cell."
        )
    head, process, body = text.strip("\n").partition("def process(frame, info, state):")
    return re.sub(r"\n{4,}", "\n\n\n", head) + process + body


def _brief(source: str) -> str:
    """Return a module as a reader in DM wants it: one line of each docstring, no words to our own tools."""
    source = re.sub(r"  # noqa: [A-Z0-9, ]+ - ", "  # ", source)
    source = re.sub(r"  # (noqa|type): .*", "", source)
    lines = source.split("\n")
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    for node in sorted(nodes, key=lambda node: -node.lineno):
        if doc := ast.get_docstring(node):
            said = node.body[0]
            lines[said.lineno - 1 : said.end_lineno] = [f'{" " * said.col_offset}"""{doc.splitlines()[0]}"""']
    return "\n".join(lines)
