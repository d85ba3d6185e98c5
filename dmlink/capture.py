"""Capture: what a live cell takes from its notebook, as the source code that makes it again."""

from __future__ import annotations

import ast
import builtins
import difflib
import inspect
import io
import math
import re
import symtable
import sys
import textwrap
from types import GeneratorType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.definition import definition_of
from dmlink.indm import info, memory, results
from dmlink.origin import import_of, is_module
from dmlink.parameter import Parameter, kind_of, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GIVEN = ("frame", "info", "state")
ABSENT = object()  # stands for a name that the notebook does not have
# What a cell may use without an import: the results, and what it remembers by.
RESULTS: dict[str, type] = {"Axis": info.Axis} | {
    name: kind
    for module in (results, memory)
    for name, kind in vars(module).items()
    if getattr(kind, "__module__", "") == module.__name__ and isinstance(kind, type)
}

# Beyond this, data belongs beside a script, not in it: 64 numbers are some six lines.
_MAX_ELEMENTS = 64
_MAX_LITERAL = 10_000
_MAX_BYTES = 256 << 20  # of arrays that go with a program: 8192 x 8192 float32

_IPYTHON = re.compile(r"get_ipython|display|In|Out|_+|_i+|_i?\d+|_[iod]h")
# NumPy loads its parts by itself in every version that we meet, so that `import numpy.fft` would be noise.
_LOADS_ITS_PARTS = {"numpy"}


class Capture:
    """The names that a program needs beside those that its cell makes.

    Parameters
    ----------
    namespace : mapping of str to object
        The notebook's variables.
    provided : mapping of str to str
        What the cell itself puts at the module's level: its parameters and imports. The value is the
        module that an import binds, else "".
    assigned : mapping of str to int
        Variables of the cell and the lines that assign them; a function of the notebook cannot see them.

    Attributes
    ----------
    imports : dict of str to tuple
        (module, attribute or "") of each name that an import makes.
    parts : set of str
        Submodules to import beside, such as "scipy.ndimage".
    parameters : dict of str to Parameter
        The plain numbers, texts and switches.
    arrays : dict of str to array
        Copies of the arrays that are too large to be written out.
    constants, definitions : dict of str to str
        Source of each name; definitions come after what they use.
    taken : dict of str to object
        What each name was in the notebook; ABSENT where it was not there.
    notes : list of str
        What the user should know.
    """

    def __init__(
        self, namespace: Mapping[str, Any], provided: Mapping[str, str], assigned: Mapping[str, int]
    ) -> None:
        self.namespace = namespace
        self.provided = provided
        self.assigned = assigned
        self.imports: dict[str, tuple[str, str]] = {}
        self.parts: set[str] = set()
        self.parameters: dict[str, Parameter] = {}
        self.arrays: dict[str, np.ndarray] = {}
        self.taken: dict[str, Any] = {}
        self.constants: dict[str, str] = {}
        self.definitions: dict[str, str] = {}
        self.notes: list[str] = []
        self._underway: set[str] = set()

    def use(self, source: str, tree: ast.Module, lines: Mapping[str, int]) -> None:
        """Capture what `source`, the cell as a function, takes from outside itself.

        `tree` is the cell's syntax tree, `lines` where in the cell a name is first used.

        Raises
        ------
        ValueError
            If a name is not defined or cannot be captured; the message begins with the cell's line.
        """
        for name in sorted(free_names(source), key=lambda name: (lines.get(name, 0), name)):
            line = lines.get(name, 1)
            if name in RESULTS:
                self._give(name, line)
            else:
                self._take(name, line, user="")
        self._import_parts(tree)

    def _give(self, name: str, line: int) -> None:
        """Provide a result class, which in a cell goes before a name of the notebook."""
        if name in self.provided:
            return
        self.taken[name] = self.namespace.get(name, ABSENT)
        if self.namespace.get(name, RESULTS[name]) is not RESULTS[name]:
            self.notes.append(
                f"line {line}: {name} is dmlink's here, not the notebook's; "
                f"to use that one, import it under another name."
            )
        self.imports[name] = (RESULTS[name].__module__, name)

    def _take(self, name: str, line: int, user: str) -> None:
        """Capture one name of the notebook, for the cell or for the definition `user`."""
        where = f"line {line}: {user!r} uses {name!r}, which" if user else f"line {line}: {name!r}"
        if name in self.provided or name == "__name__":
            return
        if user and name in GIVEN:
            raise ValueError(f"{where} is given to the cell only: pass it to {user!r} as an argument.")
        if user and name in self.assigned:
            raise ValueError(
                f"{where} the cell assigns on line {self.assigned[name]}: pass it to {user!r} as an argument."
            )
        if _IPYTHON.fullmatch(name):
            raise ValueError(f"{where} belongs to the notebook; a live cell runs outside it.")
        self.taken[name] = self.namespace.get(name, ABSENT)
        if name not in self.namespace and name in RESULTS:
            self.imports[name] = (RESULTS[name].__module__, name)
            return
        if name not in self.namespace:
            if not hasattr(builtins, name):
                what = f"{where} is" if user else f"line {line}: name {name!r} is"
                raise ValueError(
                    f"{what} not defined, neither in the cell nor in the notebook.{self._meant(name)}"
                )
            return
        value = self.namespace[name]
        if value is getattr(builtins, name, self):
            return
        if name == "process":
            raise ValueError(f"{where} has the name of the program's own function: rename it.")
        origin = import_of(value)
        if origin:
            if self.imports.get(name, origin) != origin:
                raise ValueError(f"{where} is dmlink's in the cell: import it under another name.")
            self.imports[name] = origin
        elif not any(name in known for known in (self.constants, self.parameters, self.arrays)) and (
            name not in self.definitions and name not in self._underway
        ):
            self._write(name, value, line, where)

    def _meant(self, name: str) -> str:
        """Ask whether a name that is there was meant."""
        there = {*GIVEN, *RESULTS, *self.assigned, *self.provided, *self.namespace, *dir(builtins)}
        close = difflib.get_close_matches(name, sorted(there), 1, 0.8)
        return f" Did you mean {close[0]!r}?" if close else ""

    def _write(self, name: str, value: Any, line: int, where: str) -> None:
        """Capture a value as parameter, array or source, a definition as source."""
        kind = kind_of(value)
        if kind is not None and value != getattr(math, name, None):  # pi is no parameter
            self.parameters[name] = Parameter(name, value, kind)
            return
        if type(value) is np.ndarray and value.dtype.kind in "biufc" and value.size > _MAX_ELEMENTS:
            self._keep(name, value, where)
            return
        if not (isinstance(value, type) or hasattr(value, "__code__") or hasattr(value, "__wrapped__")):
            try:
                self.constants[name] = f"{name} = {self._literal(value)}"
            except (TypeError, RecursionError):
                raise ValueError(f"{where} is {_what(value)}") from None
            except ValueError as error:
                raise ValueError(f"{where} {error}") from None
            if len(self.constants[name]) > _MAX_LITERAL:
                raise ValueError(f"{where} is too much data to write into a program: {_MAKE_IT}")
            return
        source = definition_of(name, value, self.namespace)
        if source is None:
            real = getattr(value, "__name__", "")
            if real == name or self.namespace.get(real) is not value:
                raise ValueError(f"{where} {_why_not(value)}")
            self._take(real, line, user=name)
            self.definitions[name] = f"{name} = {real}"
            return
        self._underway.add(name)
        tree = ast.parse(source)
        for needed in sorted(free_names(source)):
            self._take(needed, line, user=name)
        self._import_parts(tree)
        self.definitions[name] = source
        if getattr(getattr(value, "__code__", None), "co_flags", 0) & 0x1000000:  # CO_FUTURE_ANNOTATIONS
            self.imports["annotations"] = ("__future__", "annotations")

    def _keep(self, name: str, value: np.ndarray, where: str) -> None:
        """Take a copy of an array along; it is no part of the source."""
        total = value.nbytes + sum(array.nbytes for array in self.arrays.values())
        if total > _MAX_BYTES:
            raise ValueError(
                f"{where} makes {total / 1e6:.0f} MB of arrays; at most {_MAX_BYTES / 1e6:.0f} MB go with a "
                "cell: load it inside the cell, and keep it in state from frame to frame."
            )
        self.arrays[name] = value.copy()

    def _import_parts(self, tree: ast.AST) -> None:
        """Import the submodules that `tree` reaches as attributes, `scipy.ndimage.label`.

        Some packages load them when asked, in some versions; an import says it for all.
        """
        for chain in _chains(tree):
            module, attribute = self.imports.get(chain[0], (self.provided.get(chain[0], ""), ""))
            path = f"{module}.{attribute}" if attribute else module
            if not path or path.partition(".")[0] in _LOADS_ITS_PARTS or path not in sys.modules:
                continue
            for part in chain[1:]:
                has = getattr(sys.modules.get(path), part, None)
                path = f"{path}.{part}"
                # os.path is a module of another name: not a part of os that needs an import
                if getattr(has, "__name__", path) != path or not is_module(path):
                    break
                self.parts.add(path)

    def _literal(self, value: Any) -> str:
        """Write a plain value as source; TypeError if it is none, ValueError if there is too much of it."""
        kind = type(value)
        if value is None or value is ... or kind in (bool, int, float, str, bytes):
            return "..." if value is ... else literal(value)
        if kind is complex:
            return f"complex({literal(value.real)}, {literal(value.imag)})"
        if kind in (range, slice):
            return f"{kind.__name__}({value.start!r}, {value.stop!r}, {value.step!r})"
        if kind is dict:
            return "{" + ", ".join(f"{self._literal(k)}: {self._literal(v)}" for k, v in value.items()) + "}"
        if kind in (tuple, list, set, frozenset):
            inside = ", ".join(self._literal(item) for item in value)
            if kind is tuple:
                return f"({inside},)" if len(value) == 1 else f"({inside})"
            if kind is list:
                return f"[{inside}]"
            return f"{kind.__name__}([{inside}])"
        if kind is np.ndarray or isinstance(value, np.generic):
            return self._array(value)
        raise TypeError

    def _array(self, value: Any) -> str:
        if value.dtype.kind not in "biufc" or value.dtype.itemsize > 8 + 8 * (value.dtype.kind == "c"):
            raise TypeError
        if value.size > _MAX_ELEMENTS:
            raise ValueError(
                f"holds an array of {value.size} numbers: give an array of more than {_MAX_ELEMENTS} a name "
                "of its own."
            )
        if (
            self.imports.get("np", ("numpy", "")) != ("numpy", "")
            or self.provided.get("np", "numpy") != "numpy"
        ):
            raise ValueError("is an array, and needs the name np for NumPy, which is something else here.")
        if "np" not in self.provided:
            self.imports["np"] = ("numpy", "")
        dtype = value.dtype.name if value.dtype.isnative else value.dtype.str
        if value.size == 0:
            return f'np.zeros({value.shape}, dtype="{dtype}")'
        numbers = self._literal(value.tolist())
        if isinstance(value, np.generic):
            return f"np.{'bool_' if dtype == 'bool' else dtype}({numbers})"
        written = f'np.array({numbers}, dtype="{dtype}")'
        return textwrap.fill(written, 100, subsequent_indent="    ", break_long_words=False)


def free_names(source: str) -> set[str]:
    """Return the names that `source` reads and does not define at its own level; nested scopes count."""

    def scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
        yield table
        for child in table.get_children():
            yield from scopes(child)

    module = symtable.symtable(source, "<cell>", "exec")
    own = {
        s.get_name() for s in module.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()
    }
    symbols = (symbol for table in scopes(module) for symbol in table.get_symbols())
    return {s.get_name() for s in symbols if s.is_global() and s.is_referenced()} - own


_MAKE_IT = "make it inside the cell, and keep it in state from frame to frame."


def _what(value: Any) -> str:
    """Say what an object is that cannot be written as source, and what to do instead."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    if isinstance(value, io.IOBase):
        return "an open file, which cannot go with the cell: open it inside the cell."
    if isinstance(value, GeneratorType):
        return "a generator, which cannot go with the cell: " + _MAKE_IT
    if isinstance(value, ModuleType):
        return "a module that cannot be imported by its name."
    if isinstance(value, (dict, list, tuple, set, frozenset, np.ndarray)):
        of = f"a {kind.__name__} of more than plain numbers and text"
        return f"{of}, which cannot go with the cell: {_MAKE_IT}"
    of = "" if package in ("builtins", "__main__") else f" of {package}"
    do = _MAKE_IT
    if package in ("ipywidgets", "traitlets", "anywidget"):
        do = "take its value (n = slider.value), or make it a parameter (n: (0, 10) = 5)."
    if package == "dmlink":
        do = "a live cell is given its frames as frame, and what is known of them as info."
    return f"an object ({kind.__name__}{of}), which cannot go with the cell: {do}"


def _why_not(value: Any) -> str:
    """Say why a function or class has no source of its own."""
    function = inspect.unwrap(value)
    inner = getattr(getattr(function, "__code__", None), "co_freevars", ())
    if getattr(function, "__closure__", None):
        return (
            f"is made inside another function, whose variables it uses ({', '.join(inner)}): "
            "define it at the top level of a cell, with these as arguments."
        )
    return "has no definition of its own at the top level of a cell (def, class, or name = lambda)."


def _chains(tree: ast.AST) -> Iterator[list[str]]:
    """Yield every `a.b.c` in `tree` as ["a", "b", "c"]."""
    for node in ast.walk(tree):
        chain: list[str] = []
        link = node
        while isinstance(link, ast.Attribute):
            chain.insert(0, link.attr)
            link = link.value
        if chain and isinstance(link, ast.Name):
            yield [link.id, *chain]
