"""Definition: the source of a function or class that a notebook defines at the top level of a cell."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def definition_of(name: str, value: Any, namespace: Mapping[str, Any]) -> str | None:
    """Return the source of the top-level definition of `name` that created `value`; None if not found."""
    functions = [inspect.unwrap(value)]
    if isinstance(value, type):
        functions = [inspect.unwrap(f) for f in vars(value).values() if isinstance(f, FunctionType)]
    for function in functions:
        code = getattr(function, "__code__", None)
        if code is None:
            continue
        text = "".join(linecache.getlines(code.co_filename))
        for node in reversed(_binders(name, text)):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            inside = first <= code.co_firstlineno <= (node.end_lineno or 0)
            if inside and (isinstance(value, (type, FunctionType)) or getattr(node, "decorator_list", [])):
                return _source(node, text)
    # Classes without methods and decorated objects do not have their file; `In` has the notebook's cells.
    for cell in reversed(namespace.get("In", [])):
        # definitions in a live cell stay in that cell
        text = "" if cell.startswith("%%live") else re.sub(r"(?m)^[%!].*$", "pass", cell)
        nodes = _binders(name, text)
        if nodes:
            fits = isinstance(nodes[-1], ast.ClassDef) if isinstance(value, type) else _decorated(nodes[-1])
            return _source(nodes[-1], text) if fits else None
    return None


def _decorated(node: ast.stmt) -> bool:
    return bool(getattr(node, "decorator_list", []))


def _binders(name: str, text: str) -> list[ast.stmt]:
    """Return the top-level statements of `text` that define or assign `name`."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return []

    def binds(node: ast.stmt) -> bool:
        targets: Iterable[ast.expr] = getattr(node, "targets", [])
        return getattr(node, "name", "") == name or any(getattr(t, "id", "") == name for t in targets)

    return [node for node in body if binds(node)]


def _source(node: ast.stmt, text: str) -> str | None:
    """Return a definition as written, with its decorators; None if it is something else."""
    if isinstance(node, ast.Assign):
        alone = len(node.targets) == 1 and isinstance(node.value, ast.Lambda)
        return ast.get_source_segment(text, node) if alone else None
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return None
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return "\n".join(text.split("\n")[first - 1 : node.end_lineno])
