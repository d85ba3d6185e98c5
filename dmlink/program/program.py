"""Program: a notebook cell as a stand-alone module with `process(frame, info, state)`."""

from __future__ import annotations

import ast
import linecache
import re
import sys
import traceback
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from dmlink.program.capture import RESULTS, Capture
from dmlink.program.cell_text import CellText, SourceLine, is_plain, split_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np

    from dmlink.program.parameter import Parameter

_MAX_FRAMES = 8  # of a traceback: an endless recursion has a thousand
_MAX_MESSAGE = 2000  # characters of an error message


@dataclass(frozen=True)
class Program:
    """A live cell as a Python module: imports, parameters, definitions and `process`.

    Made by `from_cell`. It contains only text and plain arrays, so it can be pickled and sent to a worker.

    Attributes
    ----------
    name : str
    text : str
        The cell as written.
    parameters : dict of str to Parameter
    notes : tuple of str
        Remarks for the user that need no action.
    arrays : dict of str to array
        The notebook's arrays that the cell uses, by name; they are not part of the source.
    modules : frozenset of str
        Imports of the source. Stored because threads must not parse the source to find them: in Python 3.11,
        two threads in `ast.parse` disturb each other (SystemError: AST constructor recursion depth mismatch).
    """

    name: str
    text: str
    parameters: dict[str, Parameter]
    notes: tuple[str, ...] = ()
    arrays: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)
    modules: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    _head: tuple[SourceLine, ...] = field(default=(), repr=False)
    _tail: tuple[SourceLine, ...] = field(default=(), repr=False)

    @classmethod
    def from_cell(
        cls,
        text: str,
        name: str = "cell",
        namespace: Mapping[str, Any] | None = None,
        taken: dict[str, Any] | None = None,
    ) -> Program:
        """Make a program from a cell and the notebook's variables (`namespace`) that it uses.

        The variables used are added to `taken`, if given; ABSENT stands for a missing one.

        Raises
        ------
        SyntaxError
            If it is not valid Python; with the cell's line.
        ValueError
            If the cell does something that a live cell cannot do, or uses something that cannot be captured;
            the message begins with the cell's line.
        """
        _refuse_name(name)
        cell = CellText(text, _filename(name))
        body = cell.body()
        capture = Capture(namespace or {}, cell.provided, cell.assigned)
        # named _cell_, not process, so that a `process` that the cell uses is captured
        source = "\n".join(["def _cell_(frame, info, state):", *(line for line, _ in body)])
        try:
            capture.use(source, cell.tree, cell.first_lines())
        finally:
            if taken is not None:
                taken |= capture.taken
        head: list[SourceLine] = [(f'"""Live cell "{name}"."""', None), ("", None)]
        head += _import_lines(capture, cell)
        tail: list[SourceLine] = [
            (f"# {_described(name, array)}", None) for name, array in capture.arrays.items()
        ]
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

    @classmethod
    def from_definitions(
        cls,
        text: str,
        name: str,
        definitions: list[str],
        results: Iterable[str],
        arrays: dict[str, np.ndarray],
    ) -> Program:
        """Make a program from a cell and the lines that define what it uses, which are not executed.

        `results` are the classes of RESULTS that cell and definitions use without an import.

        Raises
        ------
        SyntaxError, ValueError
            As from `from_cell`.
        """
        cell = CellText(text, _filename(name))
        capture = Capture({}, cell.provided, cell.assigned)
        capture.imports = {result: (RESULTS[result].__module__, result) for result in results}
        head: list[SourceLine] = [(f'"""Live cell "{name}"."""', None), ("", None)]
        head += _import_lines(capture, cell)
        lines = [*definitions, "", "", "def process(frame, info, state):"]
        tail = [*((line, None) for line in lines), *cell.body()]
        modules = {RESULTS[result].__module__ for result in results} | cell.modules
        program = cls(
            name,
            text,
            cell.parameters,
            tuple(cell.notes),
            arrays,
            frozenset(modules),
            tuple(head),
            tuple(tail),
        )
        compile(program.source, program.filename, "exec", dont_inherit=True)
        return program

    @property
    def source(self) -> str:
        """The module's source, with the current values of the parameters."""
        return "".join(f"{line}\n" for line, _ in self._lines())

    @property
    def filename(self) -> str:
        """The file name that tracebacks show."""
        return _filename(self.name)

    def line_of(self, source_line: int) -> int | None:
        """Return the line of the cell that line `source_line` of the source comes from, or None."""
        lines = self._lines()
        return lines[source_line - 1][1] if 0 < source_line <= len(lines) else None

    def with_values(self, **values: Any) -> Program:
        """Return this program with other values of its parameters, clipped to their bounds.

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
        """Execute the source and return the module; its parameters are attributes.

        Raises whatever its imports and definitions raise.
        """
        source = self.source
        module = ModuleType("live_cell_" + re.sub(r"\W", "_", self.name))
        # Dataclasses and pickle look up classes by their module's name.
        sys.modules[module.__name__] = module
        # Tracebacks, inspect and debuggers find the source of a module without a file here.
        linecache.cache[self.filename] = (len(source), None, source.splitlines(True), self.filename)
        for name, array in self.arrays.items():
            array = array.view()  # noqa: PLW2901
            array.flags.writeable = False  # so that no frame changes it for the next
            setattr(module, name, array)
        exec(compile(source, self.filename, "exec", dont_inherit=True), vars(module))  # noqa: S102
        return module

    def explain(self, exception: BaseException) -> str:
        """Return an error with its traceback in the lines of the cell."""
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
        message = "".join(traceback.format_exception_only(exception)).strip()
        return "\n".join([*where, shortened(message)])

    def warned(self, message: Warning | str, category: type[Warning], filename: str, number: int) -> str:
        """Return a warning as one line of text, with the cell's line if it comes from there."""
        warning = f"{category.__name__}: {message}"
        line = self.line_of(number) if filename == self.filename else None
        return f"line {line}: {warning}: {split_lines(self.text)[line - 1].strip()}" if line else warning

    def _lines(self) -> list[SourceLine]:
        parameters: list[SourceLine] = [(p.assignment, p.line or None) for p in self.parameters.values()]
        if parameters:
            parameters = [("# Parameters", None), *parameters, ("", None)]
        return list(_tidy([*self._head, *parameters, *self._tail]))


class HasProgram(Protocol):
    """Something made of a Program, such as a live cell."""

    @property
    def program(self) -> Program:
        """The program that runs."""


def program_of(cell: HasProgram | Program) -> Program:
    """Return the program of a live cell, or the program itself."""
    return cell if isinstance(cell, Program) else cell.program


def shortened(message: str) -> str:
    """Return a message, cut off if it is too long to read."""
    return message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]} ..."


def _refuse_name(name: str) -> None:
    """Refuse a name that cannot be a file's, or that would choose a folder."""
    if not name.isprintable() or not name.strip() or name.startswith(".") or set(name) & set('<>:"/\\|?*'):
        raise ValueError(
            f"{name!r} cannot be the name of a cell, nor of the files named after it: use letters, digits, _ "
            "and -. To choose a folder, give a path when you export the cell."
        )


def _described(name: str, array: np.ndarray) -> str:
    return f"{name} is the notebook's array of shape {array.shape}, {array.dtype}; it goes with this"


def _filename(name: str) -> str:
    return f"<live cell {name}>"


def _import_lines(capture: Capture, cell: CellText) -> list[SourceLine]:
    """Return the module's imports: __future__, standard library, packages; the cell's own unchanged."""
    entries: list[tuple[tuple[int, bool, str], list[SourceLine]]] = []

    def add(module: str, plain: bool, lines: list[SourceLine]) -> None:
        root = module.partition(".")[0]
        group = 0 if root == "__future__" else 1 if root in sys.stdlib_module_names else 2
        entries.append(((group, not plain, module.lower()), lines))

    plain, written = set(capture.parts), set()
    named: dict[str, list[str]] = {}
    for statement in cell.imports:
        lines: list[SourceLine] = [(cell.lines[row - 1], row) for row in cell.rows(statement)]
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

    result: list[SourceLine] = []
    entries.sort(key=lambda entry: entry[0])
    for i, (key, lines) in enumerate(entries):
        if i and key[0] != entries[i - 1][0][0]:
            result.append(("", None))
        result += lines
    return [*result, ("", None)] if result else []


def _tidy(lines: Iterable[SourceLine]) -> Iterator[SourceLine]:
    """Drop a third empty line in a row above `process`, which an empty section leaves."""
    empty = 0
    begun = False
    for text, line in lines:
        begun = begun or text == "def process(frame, info, state):"
        empty = 0 if text or line else empty + 1
        if begun or empty <= 2:
            yield text, line
