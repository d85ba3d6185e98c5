"""Notebook file: the program of a live cell in a .ipynb file, or in its own .py file, without a kernel."""

from __future__ import annotations

import ast
import linecache
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dmlink.program.program import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

SWITCHES = {"--lossless", "--waterfall", "--show-in-dm"}  # options of %%live without a value
_MAGIC = re.compile(r"(?m)^[%!].*$")
DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


def program(path: str | Path, name: str | None = None) -> Program:
    """Return the program of the live cell `name` in a notebook; `name` may be omitted if there is only one.

    Any other file is the text of one cell, named `name` or like the file. Only the notebook's imports and
    definitions are executed, including decorators, default values, class bodies and the imported modules; the
    cell can use these and plain constants, but nothing that the notebook computes.

    Raises
    ------
    ValueError, SyntaxError
        If there is no such cell, or it needs something that the notebook computes.
    """
    path = Path(path)
    if path.suffix != ".ipynb":
        return Program.from_cell(_text(path), name or path.stem)
    cells = [str(cell.source) for cell in _read(path).cells if cell.cell_type == "code"]
    live = dict(_live(cells))
    if name is None and len(live) == 1:
        name = next(iter(live))
    if name not in live:
        there = ", ".join(live) or "none"
        which = "name one of its live cells" if name is None else f"there is no live cell {name!r}"
        raise ValueError(f"{path}: {which}. It has: {there}.")
    names, failed = namespace(path, cells)
    try:
        return Program.from_cell(live[name], name, names)
    except ValueError as error:
        raise ValueError(" ".join([f"{error}", *_why(path, str(error), failed)])) from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not a cell's text in UTF-8: {error.reason} at byte {error.start}."
        ) from None


def _read(path: Path) -> Any:
    import nbformat  # noqa: PLC0415 - takes a second

    try:
        return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, KeyError) as error:
        raise ValueError(f"{path} is not a Jupyter notebook: {str(error).splitlines()[0]}.") from None


def _live(cells: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of the live cells."""
    for source in cells:
        first, _, body = source.lstrip().partition("\n")
        magic, _, options = first.partition(" ")
        if magic == "%%live":
            yield from ((name, body) for name in _positional(options)[:1])


def _positional(options: str) -> list[str]:
    """Return the words on the magic's line that are neither options nor their values."""
    found, value_follows = [], False
    for word in shlex.split(options):
        if word.startswith("--"):
            value_follows = "=" not in word and word not in SWITCHES
        elif value_follows:
            value_follows = False
        else:
            found.append(word)
    return found


def namespace(path: Path, cells: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the names that the cells define, and the errors of definitions that failed.

    They are executed in a module whose source `inspect` can find.
    """
    text = "\n\n".join(_definitions(cells))
    module = ModuleType("__main__")
    module.__file__ = f"<{path.name}>"
    linecache.cache[module.__file__] = (len(text), None, text.splitlines(keepends=True), module.__file__)
    flags = annotations.compiler_flag if "from __future__ import annotations" in text else 0
    main, sys.modules["__main__"] = sys.modules["__main__"], module
    failed = []
    try:
        for node in ast.parse(text).body:
            try:
                code = compile(ast.Module([node], []), module.__file__, "exec", flags, dont_inherit=True)
                exec(code, vars(module))  # noqa: S102
            except Exception as error:  # noqa: BLE001 - the live cell may not need it
                failed.append(f"'{ast.unparse(node).splitlines()[0]}': {type(error).__name__}: {error}")
    finally:
        sys.modules["__main__"] = main
    return vars(module), failed


def _definitions(cells: list[str]) -> Iterator[str]:
    for source in cells:
        try:
            tree = ast.parse(source if source.startswith("%%") else _MAGIC.sub("pass", source))
        except SyntaxError:  # a cell magic, or an error
            continue
        for node in tree.body:
            assigned = isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value
            if isinstance(node, DEFINITIONS) or (assigned and _is_plain(assigned)):
                first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
                yield "\n".join(source.splitlines()[first - 1 : node.end_lineno])


def _why(path: Path, error: str, failed: list[str]) -> Iterator[str]:
    if "not defined" in error:
        yield (
            f"Only imports, functions, classes and constants of {path.name} are executed, so the results of "
            "its computations are missing."
        )
        yield from (f"This failed: {what}." for what in failed)


def _is_plain(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True
