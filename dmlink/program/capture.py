"""Capture: the notebook's variables that a live cell uses, as source code that recreates them."""

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
from types import FunctionType, GeneratorType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.frame import Axis
from dmlink.indm import memory, results
from dmlink.program.definition import definition_of
from dmlink.program.import_path import import_of, is_module
from dmlink.program.parameter import Parameter, kind_of, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GIVEN = ("frame", "info", "state")
ABSENT = object()  # stands for a name that the notebook does not have
# Classes that a cell may use without an import: results, and memories for its state.
RESULTS: dict[str, type] = {"Axis": Axis} | {
    name: kind
    for module in (results, memory)
    for name, kind in vars(module).items()
    if getattr(kind, "__module__", "") == module.__name__ and isinstance(kind, type)
}

_MAX_ELEMENTS = 64  # of an array that is written into the source: some six lines
_MAX_LITERAL = 10_000  # characters
_MAX_BYTES = 256 << 20  # of all arrays of a program: 8192 x 8192 float32

# Names that IPython, ipykernel and VS Code add to the notebook: __vsc_ipynb_file__, __session__ ...
_IPYTHON = re.compile(r"get_ipython|display|In|Out|_+|_i+|_i?\d+|_[iod]h|__\w+__|_VSCODE_\w+")
# Packages that replace builtins, such as open, exit and input.
_ENVIRONMENTS = {"IPython", "ipykernel", "google", "pyodide_kernel", "xpython"}  # google.colab
# NumPy imports its submodules by itself in every version that we support; `import numpy.fft` would be noise.
_IMPORTS_SUBMODULES = {"numpy"}


class Capture:
    """The names from outside the cell that its program needs.

    Parameters
    ----------
    namespace : mapping of str to object
        The notebook's variables.
    provided : mapping of str to str
        Names that the cell itself defines at module level: its parameters and imports. The value is the
        module that an import binds, otherwise "".
    assigned : mapping of str to int
        Variables of the cell and the lines that assign them; the notebook's functions cannot see them.

    Attributes
    ----------
    imports : dict of str to tuple
        (module, attribute or "") of each imported name.
    parts : set of str
        Submodules to import in addition, such as "scipy.ndimage".
    parameters : dict of str to Parameter
        The plain numbers, texts and switches.
    arrays : dict of str to array
        Copies of the arrays that are too large for the source.
    constants, definitions : dict of str to str
        Source of each name; definitions come after what they use.
    taken : dict of str to object
        The notebook's value of each name; ABSENT if it has none.
    notes : list of str
        Remarks for the user.
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
        self._in_progress: set[str] = set()
        self._globals: set[str] = set()  # that functions of the notebook set

    def use(self, source: str, tree: ast.Module, lines: Mapping[str, int]) -> None:
        """Capture the names that `source`, the cell as a function, uses from outside.

        `tree` is the cell's syntax tree, `lines` the line of the cell on which each name is first used.

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
        """Provide a result class; in a cell it takes precedence over a name of the notebook."""
        if name in self.provided:
            return
        self.taken[name] = self.namespace.get(name, ABSENT)
        if self.namespace.get(name, RESULTS[name]) is not RESULTS[name]:
            self.notes.append(
                f"line {line}: {name} is dmlink's here, not the notebook's; to use the notebook's, import it "
                "under another name."
            )
        self.imports[name] = (RESULTS[name].__module__, name)

    def _take(self, name: str, line: int, user: str) -> None:
        """Capture one name of the notebook, for the cell or for the definition `user`."""
        where = f"line {line}: {user!r} uses {name!r}, which" if user else f"line {line}: {name!r}"
        if name == "__name__" or (name in self.provided and not (user and name in self.assigned)):
            return
        if user and name in GIVEN:
            raise ValueError(f"{where} only the cell has: pass it to {user!r} as an argument.")
        if user and name in self.assigned:
            raise ValueError(
                f"{where} the cell assigns on line {self.assigned[name]}: pass it to {user!r} as an argument."
            )
        ours = name.startswith("__") and name not in self.namespace  # __import__
        if _IPYTHON.fullmatch(name) and not ours:
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
        if _is_builtin(name, value):
            return
        if name == "process":
            raise ValueError(f"{where} is the name of the program's own function: rename it.")
        try:
            origin = import_of(value)
        except Exception:  # noqa: BLE001 - its attributes can raise anything
            raise ValueError(f"{where} is {_refusal(value)}") from None
        if origin:
            if self.imports.get(name, origin) != origin:
                raise ValueError(f"{where} is dmlink's in the cell: import it under another name.")
            self.imports[name] = origin
        elif not any(name in known for known in (self.constants, self.parameters, self.arrays)) and (
            name not in self.definitions and name not in self._in_progress
        ):
            self._write(name, value, line, where)

    def _meant(self, name: str) -> str:
        """Suggest a similar name that exists."""
        there = {*GIVEN, *RESULTS, *self.assigned, *self.provided, *self.namespace, *dir(builtins)}
        close = difflib.get_close_matches(name, sorted(there), 1, 0.8)
        return f" Did you mean {close[0]!r}?" if close else ""

    def _write(self, name: str, value: Any, line: int, where: str) -> None:
        """Capture a value as a parameter, an array or source; a definition as source."""
        kind = kind_of(value)
        if kind is not None and name not in self._globals and value != getattr(math, name, None):  # pi
            self.parameters[name] = Parameter(name, value, kind)
            return
        if type(value) is np.ndarray and value.dtype.kind in "biufc" and value.size > _MAX_ELEMENTS:
            self._keep(name, value, where)
            return
        if not _is_definition(value):
            try:
                self.constants[name] = f"{name} = {self._literal(value)}"
            except (TypeError, RecursionError):
                raise ValueError(f"{where} is {_refusal(value)}") from None
            except ValueError as error:
                raise ValueError(f"{where} {error}") from None
            if len(self.constants[name]) > _MAX_LITERAL:
                raise ValueError(f"{where} is too much data to write into a program: {_CREATE_IT}")
            return
        source = definition_of(name, value, self.namespace)
        if source is None:
            real = getattr(value, "__name__", "")
            if real == name or self.namespace.get(real) is not value:
                raise ValueError(f"{where} {_why_not(value)}")
            self._take(real, line, user=name)
            self.definitions[name] = f"{name} = {real}"
            return
        self._in_progress.add(name)
        tree = ast.parse(source)
        self._refuse_setting(tree, where)
        for needed in sorted(free_names(source)):
            self._take(needed, line, user=name)
        self._set_by_functions(tree)
        self._import_parts(tree)
        self.definitions[name] = source
        if getattr(getattr(value, "__code__", None), "co_flags", 0) & 0x1000000:  # CO_FUTURE_ANNOTATIONS
            self.imports["annotations"] = ("__future__", "annotations")

    def _refuse_setting(self, tree: ast.AST, where: str) -> None:
        """Refuse a function that sets a parameter of the cell."""
        for name in _globals(tree) & self.provided.keys():
            raise ValueError(
                f"{where} sets {name!r} ('global {name}'), which belongs to the cell: rename it."
            )

    def _set_by_functions(self, tree: ast.AST) -> None:
        """Turn parameters that functions set with `global` into variables, so that no box sets them too."""
        self._globals |= _globals(tree)
        for name in self._globals & self.parameters.keys():
            self.constants[name] = f"{name} = {literal(self.parameters.pop(name).value)}"

    def _keep(self, name: str, value: np.ndarray, where: str) -> None:
        """Capture a copy of an array, apart from the source."""
        total = value.nbytes + sum(array.nbytes for array in self.arrays.values())
        if total > _MAX_BYTES:
            raise ValueError(
                f"{where} brings the arrays to {total / 1e6:.0f} MB; a cell can use at most "
                f"{_MAX_BYTES / 1e6:.0f} MB: load it inside the cell, and keep it in state."
            )
        self.arrays[name] = value.copy()

    def _import_parts(self, tree: ast.AST) -> None:
        """Import the submodules that `tree` uses as attributes, as in `scipy.ndimage.label`.

        Only some packages, in some versions, import them on first use.
        """
        for chain in _chains(tree):
            module, attribute = self.imports.get(chain[0], (self.provided.get(chain[0], ""), ""))
            path = f"{module}.{attribute}" if attribute else module
            if not path or path.partition(".")[0] in _IMPORTS_SUBMODULES or path not in sys.modules:
                continue
            for part in chain[1:]:
                has = getattr(sys.modules.get(path), part, None)
                path = f"{path}.{part}"
                # os.path is a module of another name, not a submodule that needs an import
                if getattr(has, "__name__", path) != path or not is_module(path):
                    break
                self.parts.add(path)

    def _literal(self, value: Any) -> str:
        """Return a plain value as source; TypeError if it is not plain, ValueError if it is too large."""
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
                f"contains an array of {value.size} numbers: assign an array of more than {_MAX_ELEMENTS} to "
                "a variable."
            )
        if (
            self.imports.get("np", ("numpy", "")) != ("numpy", "")
            or self.provided.get("np", "numpy") != "numpy"
        ):
            raise ValueError("is an array, which needs the name np for NumPy, but np is something else here.")
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
    """Return the names that `source` reads, in nested scopes too, and does not define at module level."""

    def scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
        yield table
        for child in table.get_children():
            yield from scopes(child)

    module = symtable.symtable(source, "<cell>", "exec")
    own = {
        s.get_name() for s in module.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()
    }
    symbols = (symbol for table in scopes(module) for symbol in table.get_symbols())
    return {s.get_name() for s in symbols if _is_global(s) and s.is_referenced()} - own


def _is_global(symbol: symtable.Symbol) -> bool:
    """Return whether a symbol is global, also in a function called "top".

    At least up to Python 3.13, `symtable` takes every scope of that name for the module, and its local
    symbols for global ones.
    """
    return symbol.is_global() and (symbol.is_declared_global() or not symbol.is_local())


_CREATE_IT = "create it inside the cell, and keep it in state from frame to frame."


def _refusal(value: Any) -> str:
    """Return why an object cannot be captured, and what to do instead."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    if isinstance(value, io.IOBase):
        return "an open file, which cannot be captured: open the file inside the cell."
    if isinstance(value, GeneratorType):
        return "a generator, which cannot be captured: " + _CREATE_IT
    if isinstance(value, ModuleType):
        return "a module that cannot be imported by name."
    if isinstance(value, (dict, list, tuple, set, frozenset, np.ndarray)):
        of = f"a {kind.__name__} with more than plain numbers and text"
        return f"{of}, which cannot be captured: {_CREATE_IT}"
    of = "" if package in ("builtins", "__main__") else f" of {package}"
    do = _CREATE_IT
    if package in ("ipywidgets", "traitlets", "anywidget"):
        do = "take its value (n = slider.value), or make it a parameter (n: (0, 10) = 5)."
    if package == "dmlink":
        do = "a live cell gets its frames as frame, and their calibration and time as info."
    return f"an object ({kind.__name__}{of}), which cannot be captured: {do}"


def _why_not(value: Any) -> str:
    """Return why no source was found for a function or class."""
    function = inspect.unwrap(value)
    inner = getattr(getattr(function, "__code__", None), "co_freevars", ())
    if getattr(function, "__closure__", None):
        return (
            f"is defined inside another function, whose variables it uses ({', '.join(inner)}): "
            "define it at the top level of a cell, with these as arguments."
        )
    return "has no definition of its own at the top level of a cell (def, class, or name = lambda)."


def _is_builtin(name: str, value: Any) -> bool:
    """Return whether it is the builtin with this name, or the notebook's replacement for it."""
    if not hasattr(builtins, name) or value is getattr(builtins, name):
        return hasattr(builtins, name)
    # IPython's `open` wraps the builtin and has its `__module__`.
    home = value.__globals__.get("__name__") if type(value) is FunctionType else type(value).__module__
    return str(home).partition(".")[0] in _ENVIRONMENTS


def _is_definition(value: Any) -> bool:
    try:
        return isinstance(value, type) or hasattr(value, "__code__") or hasattr(value, "__wrapped__")
    except Exception:  # noqa: BLE001 - its attributes can raise anything
        return False


def _globals(tree: ast.AST) -> set[str]:
    """Return the names that functions in `tree` declare global."""
    return {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}


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
