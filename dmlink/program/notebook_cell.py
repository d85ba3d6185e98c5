"""NotebookCell: a cell's text and the notebook's variables that it uses, which can change."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dmlink.program.capture import ABSENT
from dmlink.program.import_path import is_edited, own_modules
from dmlink.program.program import Program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmlink.program.import_path import Imported


class Change(NamedTuple):
    """The names that the notebook changed, and the new program; without names, the program is the same.

    `reloaded` are the names of the user's own modules that were imported again.
    """

    names: tuple[str, ...]
    program: Program
    reloaded: tuple[str, ...] = ()

    def values_only(self, running: Program) -> bool:
        """Return whether this differs from the running program only in values of parameters."""
        if self.reloaded:
            return False
        before, now = running.parameters, self.program.parameters
        return (
            before.keys() == now.keys()
            and all(replace(before[name], value=p.value) == p for name, p in now.items())
            and _same(running, replace(self.program, parameters=before))
        )


class NotebookCell:
    """Builds a cell's program, and rebuilds it when the notebook changes a variable that it uses.

    Parameters
    ----------
    text : str or Program
        The cell's text; or its program, which uses no variables of the notebook.
    name : str
    namespace : mapping of str to object
        The notebook's variables; `change` reads them again.

    Attributes
    ----------
    program : Program
        The last program that could be built.

    Raises
    ------
    SyntaxError, ValueError
        If the text cannot become a program; the message has the cell's line.
    """

    def __init__(self, text: str | Program, name: str, namespace: Mapping[str, Any]) -> None:
        self._text = text.text if isinstance(text, Program) else text
        self._name, self._namespace = name, namespace
        self._taken: dict[str, Any] = {}  # the value of each name when last looked at
        self._inside: dict[str, Any] = {}  # contents of the values that can change inside
        self._modules: dict[str, Imported] = {}  # the user's own that it uses
        self.program = text if isinstance(text, Program) else self._make()

    def change(self, running: Program) -> Change | None:
        """Return the notebook's changes to names that the cell uses; None if there are none.

        Parameters keep the values of the `running` program, unless the notebook changed them. Cheap if
        nothing changed: only identities and the contents of lists, dicts and arrays are compared.

        Raises
        ------
        SyntaxError, ValueError
            If the cell can no longer become a program; `program` stays the last good one.
        """
        now = own_modules(self._modules)
        reloaded = tuple(name for name, module in now.items() if module != self._modules.get(name, module))
        self._modules |= now
        names = (*(name for name in self._taken if self._differs(name)), *reloaded)
        if not names:
            return None
        before, self.program = self.program, self._make()
        kept = {
            name: running.parameters[name].value
            for name, parameter in self.program.parameters.items()
            if before.parameters.get(name) == parameter and name in running.parameters
        }
        # For example, the same definition was executed again.
        same = not reloaded and _same(before, self.program)
        return Change(() if same else names, self.program.with_values(**kept), reloaded)

    def edited(self) -> tuple[str, ...]:
        """Return the user's own modules whose files have changed since the notebook imported them."""
        return tuple(sorted(name for name, module in self._modules.items() if is_edited(module)))

    def _make(self) -> Program:
        taken: dict[str, Any] = {}
        program: Program | None = None
        try:
            program = Program.from_cell(self._text, self._name, self._namespace, taken)
        finally:  # also after a failure, so that it is reported only once, not after every notebook cell
            self._taken = taken if program else self._taken | taken
            self._inside = {name: _inside(value) for name, value in self._taken.items()}
        self._modules = own_modules(program.modules)
        return program

    def _differs(self, name: str) -> bool:
        value = self._namespace.get(name, ABSENT)
        if value is not self._taken[name]:
            return True
        kept = self._inside[name]
        if isinstance(kept, _Contents):
            return not kept.are_in(value)
        return kept is not None and bool(kept != _inside(value))


def _same(a: Program, b: Program) -> bool:
    return (
        a.source == b.source
        and a.parameters == b.parameters
        and a.arrays.keys() == b.arrays.keys()
        and all(_equal(a.arrays[name], b.arrays[name]) for name in a.arrays)
    )


class _Contents:
    """The bytes of an array, to see whether it changes; NaN equals NaN.

    A bytearray compares itself by memcmp, whereas NumPy's == would first fill an array of booleans.
    """

    def __init__(self, array: np.ndarray) -> None:
        self._kind = array.shape, array.dtype
        self._bytes = bytearray(_flat(array))

    def are_in(self, array: np.ndarray) -> bool:
        """Return whether the array is unchanged."""
        return self._kind == (array.shape, array.dtype) and self._bytes == _flat(array)


def _inside(value: Any) -> Any:
    """Return the contents of a mutable value; None for other values."""
    if type(value) is np.ndarray and not value.dtype.hasobject:
        return _Contents(value)
    if type(value) in (list, dict, set):
        try:
            return pickle.dumps(value)
        except Exception:  # noqa: BLE001 - its items cannot be captured either
            return None
    return None


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return (a.shape, a.dtype) == (b.shape, b.dtype) and a.tobytes() == b.tobytes()


def _flat(array: np.ndarray) -> memoryview:
    """Return the bytes of an array, copied if it is not contiguous."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
