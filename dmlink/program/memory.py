"""Memory: whether a program keeps anything from one frame to the next, judged by its source."""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Methods and attributes of lists, dicts, sets and arrays that change nothing
_READING = set(
    "all any argmax argmin argsort astype copy count cumsum difference dot dtype flatten get index "  # noqa: SIM905
    "intersection isdisjoint issubset issuperset items keys max mean min nbytes ndim nonzero prod ptp round "
    "searchsorted shape size std sum symmetric_difference tobytes tolist union values var".split()
)
_COMPUTING = ast.BinOp, ast.BoolOp, ast.Compare, ast.UnaryOp, ast.If, ast.IfExp, ast.While
_MUTABLE = ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.Call
_Path = tuple[ast.AST, ...]  # a node after its ancestors, outermost first


def keeps(source: str) -> bool:
    """Return whether a program with this source may keep something from one frame to the next.

    It can do so in `state`, or by changing the notebook's variables: with `global`, in lists, dicts, sets and
    arrays, and in attributes of functions and classes. A list counts as unchanged if it is only indexed,
    iterated, compared, used in arithmetic, or passed to a builtin or to an imported module's function.
    """
    tree = ast.parse(source)
    modules = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    lists: dict[str, ast.expr] = {}
    defined = {"cls"}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if isinstance(node.value, ast.Lambda):
                defined.add(node.targets[0].id)
            elif isinstance(node.value, _MUTABLE):
                lists[node.targets[0].id] = node.value
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            defined.add(node.name)
    return any(_keeps(path, lists, defined, modules) for path in _paths(tree))


def _paths(node: ast.AST, above: _Path = ()) -> Iterator[_Path]:
    path = (*above, node)
    yield path
    for child in ast.iter_child_nodes(node):
        yield from _paths(child, path)


def _keeps(path: _Path, lists: dict[str, ast.expr], defined: set[str], modules: set[str]) -> bool:
    node = path[-1]
    if isinstance(node, ast.Global):
        return True
    if isinstance(node, ast.arguments):  # a default value is made once
        defaults = [*node.defaults, *filter(None, node.kw_defaults)]
        return any(isinstance(default, _MUTABLE) for default in defaults)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        if node.id == "state" or (node.id in defined and _is_stored(path[-2])):
            return True
        if node.id in lists:
            made = lists[node.id]
            inside = sum(isinstance(part, _MUTABLE) for part in ast.walk(made)) - 1
            nested = inside > isinstance(made, ast.Call)  # np.array([1, 2]) has one
            return not _reads(path, modules, nested=nested)
    return False


def _is_stored(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)


def _reads(path: _Path, modules: set[str], *, nested: bool) -> bool:
    """Return whether the list at the end of `path` is only read; `nested` if it has others inside."""
    node, parent = path[-1], path[-2]
    if isinstance(parent, ast.Attribute):
        return parent.attr in _READING and not nested
    if isinstance(parent, ast.Subscript) and parent.value is node:
        if not isinstance(parent.ctx, ast.Load):
            return False
        return not nested or _reads(path[:-1], modules, nested=True)
    if isinstance(parent, (ast.For, ast.comprehension)):
        return parent.iter is node and not nested
    if isinstance(parent, ast.Call):
        return parent.func is not node and _changes_nothing(parent.func, modules)
    return isinstance(parent, (ast.Subscript, *_COMPUTING))


def _changes_nothing(function: ast.expr, modules: set[str]) -> bool:
    """Return whether it is a builtin, or a function of an imported module."""
    if isinstance(function, ast.Name):
        return function.id in modules or hasattr(builtins, function.id)
    while isinstance(function, ast.Attribute):
        function = function.value
    return isinstance(function, ast.Name) and function.id in modules
