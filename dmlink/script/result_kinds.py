"""Result kinds: which kinds of result a cell can have, if its text determines that.

An exported script contains the mechanics of these kinds, or of all kinds where the text does not determine
them.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KINDS = {
    "Scalar", "Profile", "Image", "Points", "Boxes", "Overlay", "Several", "Table", "Text", "Event"
}  # fmt: skip
# What an expression can be is a set of kinds of result and of plain values, which become one of these kinds.
PLAIN: dict[str, set[str]] = {
    "none": set(),
    "number": {"Scalar"},
    "array": {"Scalar", "Profile", "Image"},  # a 0-D array is a number
    "list": {"Profile", "Image"},  # of numbers
    "dict": {"Scalar"},  # of numbers
    "rows": {"Table", "Profile"},  # a list of dicts; an empty list is a profile
    "text": {"Text"},
}
NUMERIC = {"number", "array", "list"}
CHANGEABLE = {"list", "dict", "rows", "Several"}

OF_INFO = {"index": "number", "time": "number", "scale": "number", "origin": "number", "unit": "text"}
OF_BUILTINS = {"bool": "number", "float": "number", "int": "number", "len": "number", "str": "text"}
# Methods of arrays and functions of NumPy that return a number if no axis is given; an array; the same kind.
REDUCING = {"all", "any", "argmax", "argmin", "max", "mean", "min", "prod", "ptp", "std", "sum", "var"}
REDUCING |= {"count_nonzero", "median", "nanmax", "nanmean", "nanmedian", "nanmin", "nanstd", "nansum"}
KEEPING = {"clip", "copy", "cumsum", "diff", "flatten", "ravel", "reshape", "round", "squeeze", "transpose"}
ELEMENTWISE = {"abs", "exp", "hypot", "log", "log10", "log1p", "maximum", "minimum", "sqrt", "square"}


def kinds_of(tree: ast.Module, parameters: Mapping[str, object]) -> set[str] | None:
    """Return which kinds of result process() can return; None if its text does not determine them.

    Parameters
    ----------
    tree : ast.Module
        The program.
    parameters : mapping of str to object
        The values of its parameters.
    """
    try:
        can_be = _Reader(tree, parameters).returned()
    except _UnknownError:
        return None
    return set().union(*(PLAIN.get(one, {one}) for one in can_be))


class _UnknownError(Exception):
    """The text does not determine what an expression can be."""


class _Reader:
    """Follows the variables of process() to the values assigned to them."""

    def __init__(self, tree: ast.Module, parameters: Mapping[str, object]) -> None:
        process = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "process")
        self._last = process.body[-1]
        self._nodes = [node for statement in process.body for node in ast.walk(statement)]
        self._parents = {child: node for node in ast.walk(process) for child in ast.iter_child_nodes(node)}
        self._assigned: dict[str, list[ast.expr]] = defaultdict(list)
        self._can_be: dict[str, set[str] | None] = {"frame": {"array"}}  # None: bound in another way, too
        for node in self._nodes:
            self._bind(node)
        self._parameters = parameters
        self._numpy, self._results, self._builtins = _outside(tree, set(self._can_be))
        self._follow()

    def returned(self) -> set[str]:
        """Return what the last line can be."""
        if isinstance(self._last, ast.Return) and self._last.value:
            return self._of(self._last.value)
        return {"none"}

    def _bind(self, node: ast.AST) -> None:
        """Record the names that a node binds."""
        names: list[str | None] = []
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            if value := self._value_of(node):
                self._assigned[node.id].append(value)
                self._can_be.setdefault(node.id, set())
            else:
                names = [node.id]
        elif not isinstance(node, ast.keyword):
            names = [getattr(node, field, None) for field in ("name", "asname", "arg", "rest")]
        self._can_be |= {name.partition(".")[0]: None for name in names if isinstance(name, str)}

    def _value_of(self, target: ast.Name) -> ast.expr | None:
        """Return the value that a statement of process() assigns to a name; None if it binds it otherwise."""
        statement = self._parents[target]
        if isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            return None if self._is_inside_function(statement) else statement.value
        match statement, self._parents[statement]:
            case ast.Tuple(targets), ast.Assign(_, ast.Tuple(values)) if len(targets) == len(values):
                starred = any(isinstance(one, ast.Starred) for one in targets + values)
                return None if starred or self._is_inside_function(target) else values[targets.index(target)]
        return None

    def _is_inside_function(self, node: ast.AST) -> bool:
        function = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
        while (node := self._parents[node]) in self._parents:
            if isinstance(node, function):
                return True
        return False

    def _all(self, nodes: Iterable[ast.expr]) -> set[str]:
        return set().union(*map(self._of, nodes))

    def _of(self, node: ast.expr) -> set[str]:
        """Return what an expression can be."""
        match node:
            case ast.Constant(None):
                return {"none"}
            case ast.Constant(bool() | int() | float()):
                return {"number"}
            case ast.Constant(str()) | ast.JoinedStr() | ast.BinOp(ast.Constant(str()), ast.Mod(), _):
                return {"text"}
            case ast.Name(name):
                return self._named(name)
            case ast.IfExp(_, first, second):
                return self._all([first, second])
            case ast.BoolOp(_, parts):
                return self._all(parts)
            case ast.UnaryOp(ast.Not(), _) | ast.Compare(
                _, [ast.Is() | ast.IsNot() | ast.In() | ast.NotIn()], _
            ):
                return {"number"}
            case ast.UnaryOp(_, part):
                return _numeric(self._of(part))
            case ast.BinOp(first, operator, second):
                can_be = self._all([first, second])
                return can_be if can_be == {"text"} and isinstance(operator, ast.Add) else _numeric(can_be)
            case ast.Compare(first, _, others):
                return _numeric(self._all([first, *others]))
            case ast.Subscript(part, _):
                return _numeric(self._of(part)) | {"array"}
            case ast.Attribute(part, attribute):
                return self._attribute(part, attribute)
            case ast.Call():
                return self._called(node)
            case ast.Dict() | ast.DictComp():
                return _of_dict(self._items(node))
            case ast.Tuple([_, *_]):
                return self._items(node) | {"Several"}
            case ast.List(parts) if parts and all(isinstance(part, ast.Dict) for part in parts):
                return {"rows"}
            case ast.ListComp(ast.Dict(), _):
                return {"rows"}
            case ast.List(parts):
                return {"list"} if _numeric(self._all(parts)) else set()
            case ast.ListComp(part, _):
                return {"list"} if _numeric(self._of(part)) else set()
        raise _UnknownError

    def _named(self, name: str) -> set[str]:
        if name not in self._can_be and name in self._parameters:
            return {"text"} if isinstance(self._parameters[name], str) else {"number"}
        if (can_be := self._can_be.get(name)) is None:
            raise _UnknownError
        return can_be

    def _follow(self) -> None:
        """Find out what each variable can be: all that is assigned to it, also through other variables."""
        before = None
        while before != self._can_be:
            before = dict(self._can_be)
            for name, values in self._assigned.items():
                try:
                    can_be = self._named(name) | self._all(values)
                    if can_be & CHANGEABLE and not _are_tuples(values):
                        can_be |= self._changes(name)
                    self._can_be[name] = can_be
                except _UnknownError:
                    self._can_be[name] = None

    def _changes(self, name: str) -> set[str]:
        """Return what a list or dict can become by changes to its items."""
        items: set[str] = set()
        for node in self._nodes:
            if not (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)):
                continue
            use = self._parents[node]
            while isinstance(use, (ast.BoolOp, ast.IfExp)):
                use = self._parents[use]
            around = self._parents[use]
            if isinstance(use, ast.Subscript) and use.value is node:
                if isinstance(around, (ast.Assign, ast.AugAssign)) and use is not around.value:
                    items |= self._of(around.value)
            elif isinstance(use, ast.Attribute) and use.attr == "update" and isinstance(around, ast.Call):
                items |= self._all(option.value for option in around.keywords if option.arg)
                items |= set().union(*map(self._items, around.args))
            elif (
                isinstance(use, ast.Call)
                and getattr(use.func, "id", "") in self._builtins & OF_BUILTINS.keys()
            ):
                continue  # len(name)
            elif use is not self._last and not isinstance(use, (ast.If, ast.While, ast.Compare, ast.UnaryOp)):
                raise _UnknownError  # it may be changed there
        return _of_dict(items) if items else items

    def _items(self, node: ast.expr) -> set[str]:
        """Return what the items of a dict or tuple can be."""
        match node:
            case ast.Dict(keys, values) if None not in keys:
                return self._all(values)
            case ast.DictComp(_, value, _):
                return self._of(value)
            case ast.Tuple(values):
                return set().union(
                    *(self._items(v) if isinstance(v, ast.Starred) else self._of(v) for v in values)
                )
            case ast.IfExp(_, first, second):
                return self._items(first) | self._items(second)
            case ast.Starred(ast.Name(name)) if _are_tuples(self._assigned.get(name, [])) and self._named(
                name
            ):
                return set().union(*map(self._items, self._assigned[name]))
        raise _UnknownError

    def _attribute(self, part: ast.expr, attribute: str) -> set[str]:
        match part:
            case ast.Name("info") | ast.Attribute(ast.Name("info"), "x" | "y") if attribute in OF_INFO:
                return {OF_INFO[attribute]}
            case ast.Name(name) if name in self._numpy and attribute in {"e", "inf", "nan", "pi"}:
                return {"number"}
            case _ if attribute in {"T", "imag", "ndim", "real", "size"}:
                return _numeric(self._of(part))
        raise _UnknownError

    def _called(self, call: ast.Call) -> set[str]:
        """Return what a call can return."""
        match call:
            case ast.Call(ast.Name("Several"), [items, *_]) if "Several" in self._results:
                return self._items(items) | {"Several"}
            case ast.Call(ast.Name(name)) if name in self._results:
                return {name}
            case ast.Call(ast.Name("dict"), [ast.Call(ast.Name("zip"), [_, values])]) if self._builtins >= {
                "dict",
                "zip",
            }:
                return _of_dict(self._items(values))
            case ast.Call(ast.Name(name)) if name in self._builtins & OF_BUILTINS.keys():
                return {OF_BUILTINS[name]}
            case ast.Call(ast.Attribute(ast.Name(name), function), [part, *more]) if name in self._numpy:
                pass  # like the method
            case ast.Call(ast.Attribute(part, function), more):
                pass
            case _:
                raise _UnknownError
        can_be, alone = _numeric(self._of(part)), not (more or call.keywords)
        if function in REDUCING:
            return {"number"} if alone else {"array"}
        if function in KEEPING and not call.keywords:
            return {"array"}
        if function in ELEMENTWISE and not call.keywords:
            return _numeric(can_be | self._all(more))
        if function in {"array", "asarray"} and alone:
            return {"array"}
        if function == "astype" and [OF_BUILTINS.get(getattr(kind, "id", "")) for kind in more] == ["number"]:
            return {"array"}
        raise _UnknownError


def _outside(tree: ast.Module, inside: set[str]) -> tuple[set[str], set[str], set[str]]:
    """Return the names that only stand for NumPy, for kinds of result and for builtins in process()."""
    numpy, results, others = set[str](), set[str](), set(inside)
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            ours = (node.module or "").partition(".")[0] == "dmlink"
            for alias in node.names:
                (results if ours and alias.name in KINDS else others).add(alias.asname or alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                (numpy if alias.name == "numpy" else others).add(alias.asname or alias.name)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            others.add(node.name)
        else:
            named = (n for n in ast.walk(node) if isinstance(n, ast.Name))
            others |= {n.id for n in named if isinstance(n.ctx, ast.Store)}
    return numpy - others, results - others, {*OF_BUILTINS, "dict", "zip"} - others


def _are_tuples(values: list[ast.expr]) -> bool:
    return bool(values) and all(isinstance(value, ast.Tuple) for value in values)


def _numeric(can_be: set[str]) -> set[str]:
    """Return what arithmetic with these values gives."""
    if not can_be <= NUMERIC:
        raise _UnknownError
    return {"array"} if can_be - {"number"} else {"number"}


def _of_dict(items: set[str]) -> set[str]:
    if items == {"number"}:
        return {"dict"}
    return items | {"Several"} | ({"dict"} if items <= NUMERIC | {"none"} else set())
