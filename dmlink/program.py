"""Program: a notebook cell as a module that stands alone, with `process(frame, info, state)`."""

from __future__ import annotations

import ast
import difflib
import linecache
import re
import sys
import traceback
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dmlink.capture import Capture
from dmlink.celltext import CellText, Line, is_plain, split_lines
from dmlink.indm.results import Result, as_result
from dmlink.parameter import Parameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np

    from dmlink.indm.info import Info

__all__ = ["Instance", "Parameter", "Program"]

_MAX_FRAMES = 8  # lines of a traceback that help; an endless recursion has a thousand
_MAX_SAID = 2000  # characters of an error's own words
_READ_ONLY = (
    "frame is read-only: make another of it (frame = frame - 1), or write frame = frame.copy() first."
)
_EMPTY_STATE = "state is empty before the first frame: state.setdefault(name, value) gives it a first value."


@dataclass(frozen=True)
class Program:
    """A live cell as a Python module: imports, parameters, definitions and `process`.

    Made by `from_cell`; it holds text and plain arrays only, so it can be pickled and sent to a worker.

    Attributes
    ----------
    name : str
    text : str
        The cell as written.
    parameters : dict of str to Parameter
    notes : tuple of str
        What the user should know but need not act upon.
    arrays : dict of str to array
        The notebook's arrays that are no part of the source, by the name under which it uses them.
    modules : frozenset of str
        What the source imports. Kept, as threads must not ask `ast` for it: in Python 3.11 two threads in
        `ast.parse` break each other (SystemError: AST constructor recursion depth mismatch).
    """

    name: str
    text: str
    parameters: dict[str, Parameter]
    notes: tuple[str, ...] = ()
    arrays: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)
    modules: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    _head: tuple[Line, ...] = field(default=(), repr=False)
    _tail: tuple[Line, ...] = field(default=(), repr=False)

    @classmethod
    def from_cell(
        cls,
        text: str,
        name: str = "cell",
        namespace: Mapping[str, Any] | None = None,
        taken: dict[str, Any] | None = None,
    ) -> Program:
        """Make the program of a cell, with what it uses of the notebook's variables `namespace`.

        What it used, by name, is entered into `taken`, if given; ABSENT stands for what was not there.

        Raises
        ------
        SyntaxError
            As Python raises it, with the cell's line.
        ValueError
            If the cell does what a live cell cannot, or uses what cannot be captured; the message begins
            with the cell's line.
        """
        if not name.isprintable() or not name.strip() or '"' in name or "\\" in name:
            raise ValueError(f"{name!r} cannot be the name of a cell: use letters, digits, _ and -.")
        cell = CellText(text, _filename(name))
        body = cell.body()
        capture = Capture(namespace or {}, cell.provided, cell.assigned)
        # the function has another name here so that the cell's own use of a `process` is seen
        source = "\n".join(["def _cell_(frame, info, state):", *(line for line, _ in body)])
        try:
            capture.use(source, cell.tree, cell.first_lines())
        finally:
            if taken is not None:
                taken |= capture.taken
        head: list[Line] = [(f'"""Live cell "{name}"."""', None), ("", None)]
        head += _import_lines(capture, cell)
        tail: list[Line] = [(f"# {_described(name, array)}", None) for name, array in capture.arrays.items()]
        for constant in capture.constants.values():
            tail += [(line, None) for line in constant.split("\n")]
        for definition in capture.definitions.values():
            tail += [("", None), ("", None), *((line, None) for line in definition.split("\n"))]
        tail += [("", None), ("", None), ("def process(frame, info, state):", None), *body]
        notes = (*cell.notes, *capture.notes)
        parameters = cell.parameters | capture.parameters
        modules = capture.parts | {module for module, _ in capture.imports.values()} | cell.modules
        program = cls(
            name,
            text,
            parameters,
            notes,
            capture.arrays,
            frozenset(modules),
            tuple(head),
            tuple(_tidy(tail)),
        )
        compile(program.source, program.filename, "exec", dont_inherit=True)
        return program

    @property
    def source(self) -> str:
        """The module's source, with the present values of the parameters."""
        return "".join(f"{line}\n" for line, _ in self._lines())

    @property
    def filename(self) -> str:
        """The file name that tracebacks show."""
        return _filename(self.name)

    def line_of(self, source_line: int) -> int | None:
        """Return the cell's line that became line `source_line` of the source; None if none did."""
        lines = self._lines()
        return lines[source_line - 1][1] if 0 < source_line <= len(lines) else None

    def with_values(self, **values: Any) -> Program:
        """Return this program with other values of its parameters; one beyond a bound becomes that bound.

        Raises
        ------
        ValueError
            If there is no such parameter, or the value is of the wrong type.
        """
        parameters = dict(self.parameters)
        for name, value in values.items():
            if name not in parameters:
                has = ", ".join(parameters) or "none"
                raise ValueError(f"The cell {self.name!r} has no parameter {name!r}. It has: {has}.")
            parameters[name] = parameters[name].with_value(value)
        return replace(self, parameters=parameters)

    def load(self) -> ModuleType:
        """Execute the source and return the module: call its `process`, set its parameters as attributes.

        Raises whatever the imports and captured definitions raise.
        """
        source = self.source
        module = ModuleType("live_cell_" + re.sub(r"\W", "_", self.name))
        # dataclasses and pickle look classes up by the name of their module
        sys.modules[module.__name__] = module
        # tracebacks, inspect and debuggers find the source of a module without a file here
        linecache.cache[self.filename] = (len(source), None, source.splitlines(True), self.filename)
        for name, array in self.arrays.items():
            array = array.view()  # noqa: PLW2901
            array.flags.writeable = False  # no frame may leave it changed for the next
            setattr(module, name, array)
        exec(compile(source, self.filename, "exec", dont_inherit=True), vars(module))  # noqa: S102
        return module

    def explain(self, exception: BaseException) -> str:
        """Return what went wrong, and where in the cell: its lines on the way, then the error itself."""
        source, cell = self._lines(), split_lines(self.text)
        where = []
        for frame, number in traceback.walk_tb(exception.__traceback__):
            if frame.f_code.co_filename != self.filename or number > len(source):
                continue
            line = source[number - 1][1]
            if line is not None:
                where.append(f"line {line}: {cell[line - 1].strip()}")
            elif frame.f_code.co_name != "<module>":
                where.append(f"in {frame.f_code.co_qualname}: {source[number - 1][0].strip()}")
        if len(where) > _MAX_FRAMES:
            where[_MAX_FRAMES // 2 : -_MAX_FRAMES // 2] = ["..."]
        said = "".join(traceback.format_exception_only(exception)).strip()
        if len(said) > _MAX_SAID:
            said = f"{said[:_MAX_SAID]} ..."
        return "\n".join([*where, said])

    def warned(self, message: Warning | str, category: type[Warning], filename: str, number: int) -> str:
        """Return a warning in a line, with the cell's line if it came from there."""
        said = f"{category.__name__}: {message}"
        line = self.line_of(number) if filename == self.filename else None
        return f"line {line}: {said}: {split_lines(self.text)[line - 1].strip()}" if line else said

    def _lines(self) -> list[Line]:
        parameters: list[Line] = [(p.assignment, p.line or None) for p in self.parameters.values()]
        if parameters:
            parameters = [("# Parameters", None), *parameters, ("", None)]
        return list(_tidy([*self._head, *parameters, *self._tail]))


class Instance:
    """A program loaded into this process, with its `state`.

    Raises whatever the imports and captured definitions raise.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._kind: tuple[Any, ...] = ()  # shape and dtype of the newest frame
        self._module = program.load()
        self.state: dict[str, Any] = {}
        self._shape: tuple[int, ...] | None = None

    def process(self, frame: np.ndarray, info: Info) -> Result | None:
        """Process one frame (h, w); the cell sees it read-only. Raises whatever the cell raises."""
        if frame.shape != self._shape:
            self.state.clear()
            self._shape = frame.shape
        self._kind = frame.shape, frame.dtype
        frame = frame.view()
        frame.flags.writeable = False
        try:
            result: Result | None = as_result(
                self._module.process(frame, info, self.state), self._program.name
            )
        except (ValueError, KeyError, AttributeError) as error:
            for note in self._advice(error, info):
                error.add_note(note)
            raise
        return result

    def explain(self, exception: BaseException) -> str:
        """Return what went wrong, where in the cell, and with which frame and parameters."""
        now = [f"{name} = {vars(self._module)[name]!r}" for name in self._program.parameters]
        frame = "frame {} {}".format(*self._kind) if self._kind else ""
        said = "; ".join([part for part in (frame, ", ".join(now)) if part])
        if len(said) > _MAX_SAID:
            said = f"{said[:_MAX_SAID]} ..."
        return f"{self._program.explain(exception)}\n{said}".rstrip()

    def set(self, values: Mapping[str, Any]) -> None:
        """Give the parameters named in `values` other values."""
        vars(self._module).update(values)

    def reset(self) -> None:
        """Empty `state`."""
        self.state.clear()

    def _advice(self, error: Exception, info: Info) -> Iterator[str]:
        """Yield what to do about an error that comes from how cells are given their frames."""
        if isinstance(error, ValueError) and "read-only" in str(error):
            yield _READ_ONLY
            if self._program.arrays:
                yield f"So are the notebook's arrays: {', '.join(self._program.arrays)}."
        elif isinstance(error, AttributeError) and error.obj is info:
            yield f"info has {', '.join(name for name in dir(info) if not name.startswith('_'))}."
        elif isinstance(error, AttributeError) and error.name:
            close = difflib.get_close_matches(error.name, dir(error.obj), 1)
            yield from (f"Did you mean {name!r}?" for name in close)
        elif isinstance(error, KeyError) and error.args[0] not in self.state:
            where = traceback.extract_tb(error.__traceback__)[-1]
            if where.filename == self._program.filename and "state[" in str(where.line):
                yield _EMPTY_STATE


def _described(name: str, array: np.ndarray) -> str:
    return f"{name} is the notebook's array of shape {array.shape}, {array.dtype}; it goes with this"


def _filename(name: str) -> str:
    return f"<live cell {name}>"


def _import_lines(capture: Capture, cell: CellText) -> list[Line]:
    """Return the module's imports: __future__, standard library, packages; the cell's own as written."""
    entries: list[tuple[tuple[int, bool, str], list[Line]]] = []

    def add(module: str, plain: bool, lines: list[Line]) -> None:
        root = module.partition(".")[0]
        group = 0 if root == "__future__" else 1 if root in sys.stdlib_module_names else 2
        entries.append(((group, not plain, module.lower()), lines))

    plain, written = set(capture.parts), set()
    named: dict[str, list[str]] = {}
    for statement in cell.imports:
        lines: list[Line] = [(cell.lines[row - 1], row) for row in cell.rows(statement)]
        module = statement.module or "" if isinstance(statement, ast.ImportFrom) else statement.names[0].name
        add(module, isinstance(statement, ast.Import), lines)
        if is_plain(statement):
            written |= {alias.name for alias in statement.names}
    for name, (module, attribute) in capture.imports.items():
        package, _, last = module.rpartition(".")
        if attribute:
            named.setdefault(module, []).append(attribute if attribute == name else f"{attribute} as {name}")
        elif name == module:
            plain.add(module)
        elif name == last and package:
            named.setdefault(package, []).append(last)
        elif name == module.partition(".")[0]:
            plain.add(module)
        else:
            add(module, True, [(f"import {module} as {name}", None)])
    for module in plain - written:
        if not any(other.startswith(f"{module}.") for other in plain | written):
            add(module, True, [(f"import {module}", None)])
    for module, names in named.items():
        add(module, False, [(f"from {module} import {', '.join(sorted(names))}", None)])

    result: list[Line] = []
    entries.sort(key=lambda entry: entry[0])
    for i, (key, lines) in enumerate(entries):
        if i and key[0] != entries[i - 1][0][0]:
            result.append(("", None))
        result += lines
    return [*result, ("", None)] if result else []


def _tidy(lines: Iterable[Line]) -> Iterator[Line]:
    """Drop a third empty line in a row above `process`, where a section had nothing to say."""
    empty = 0
    begun = False
    for text, line in lines:
        begun = begun or text == "def process(frame, info, state):"
        empty = 0 if text or line else empty + 1
        if begun or empty <= 2:
            yield text, line
