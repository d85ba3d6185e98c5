"""Mechanics: what an exported script needs of dmlink.indm, below the line, to run its cell by itself."""

from __future__ import annotations

import ast
import functools
import re
import sys
from typing import TYPE_CHECKING

from dmlink import bundle
from dmlink.kinds import KINDS, kinds_of

if TYPE_CHECKING:
    from dmlink.program import Program

Definition = ast.FunctionDef | ast.ClassDef

MODULES = {  # of dmlink.indm; a later one's definition takes the place of an earlier one's
    "live": ("scriptresults", "scriptwindow", "livescript", "memory"),
    "batch": ("scriptresults", "scriptwindow", "livescript", "batchscript", "memory"),
}
READ = {"live": ("tags", "line"), "batch": ("tags",)}  # of `info`, where a cell asks for it
# What a bare value can mean, in the order in which it is tried.
MEANINGS = ("Text", "Scalar", "Several", "Table", "Figure", "Profile", "Image")
START = {"live": "process_live_view", "batch": "process_recording"}


def mechanics(program: Program, target: str) -> str:
    """Return the definitions that the script of a program needs, and the call that starts it."""
    tree = ast.parse(program.source)
    given = given_names(tree)
    kinds = sorted(given | {"Axis"})
    meanings = _meanings(program, tree, given)
    alone = meanings or sorted(given & KINDS)  # marks are no bare value's meaning
    meaning = alone[0] if len(alone) == 1 and alone != ["Several"] else "as_result"
    about = {name: f"read_{name}" for name in READ[target] if re.search(rf"\b{name}\b", program.source)}
    needed = [START[target], *kinds, *meanings, meaning, *about.values()]
    definitions = _needed(needed, MODULES[target], program.source)
    if "def as_result(" in definitions:
        definitions += f"\n\nMEANINGS = [{', '.join(meanings)}]"
    told = "".join(f", {name}={read}" for name, read in about.items())
    call = f"{START[target]}({program.name!r}, sys._getframe(1), [{', '.join(kinds)}], {meaning}{told})"
    return f"{definitions}\n{call}"


def given_names(tree: ast.Module) -> set[str]:
    """Return the names that a program takes from dmlink."""
    imports = (node for node in tree.body if isinstance(node, ast.ImportFrom))
    ours = (node for node in imports if (node.module or "").partition(".")[0] == "dmlink")
    return {alias.name for node in ours for alias in node.names}


def _meanings(program: Program, tree: ast.Module, given: set[str]) -> list[str]:
    """Return the kinds that a bare value can mean: those that the program can need, or names itself."""
    kinds = kinds_of(tree, {name: parameter.value for name, parameter in program.parameters.items()})
    if kinds is None:
        packages = {module.partition(".")[0] for module in program.modules} - {"numpy", "dmlink"}
        figures = {"Figure"} if packages - sys.stdlib_module_names else set()
        kinds = set(MEANINGS) - {"Figure"} | figures
    return [kind for kind in MEANINGS if kind in kinds | given]


@functools.cache
def _parts(
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
    parts, lines, definitions = _parts(modules)
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
    rows: set[int] = set()
    for m in methods:
        named = len(
            re.findall(rf"{m.name}\b", text)
        )  # ImageHandleDataChangedEvent names HandleDataChangedEvent
        if named == len(re.findall(rf"\bdef {m.name}\b", text)) and not m.name.startswith("_"):
            first = min([m.lineno, *(decorator.lineno for decorator in m.decorator_list)])
            rows.update(range(first - 1, (m.end_lineno or m.lineno) + 1))
    return rows


def _brief(source: str) -> str:
    """Return a module as a reader in DM wants it: one line of each docstring."""
    lines = source.split("\n")
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    for node in sorted(nodes, key=lambda node: -node.lineno):
        if doc := ast.get_docstring(node):
            said = node.body[0]
            lines[said.lineno - 1 : said.end_lineno] = [f'{" " * said.col_offset}"""{doc.splitlines()[0]}"""']
    return "\n".join(lines)
