"""NotebookCell: a cell's text and the notebook whose names it uses, which can change."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dmlink.capture import ABSENT
from dmlink.program import Program

if TYPE_CHECKING:
    from collections.abc import Mapping


class Change(NamedTuple):
    """What the notebook has changed: the names, and the program with them. No names: nothing that matters."""

    names: tuple[str, ...]
    program: Program

    def values_only(self, running: Program) -> bool:
        """Say whether the values of parameters are all that is different in the program that runs."""
        before, now = running.parameters, self.program.parameters
        return (
            before.keys() == now.keys()
            and all(replace(before[name], value=p.value) == p for name, p in now.items())
            and _same(running, replace(self.program, parameters=before))
        )


class NotebookCell:
    """Makes a cell's program, and makes it anew when a name of the notebook that it uses has changed.

    Parameters
    ----------
    text, name : str
        The cell, and what it is called.
    namespace : mapping of str to object
        The notebook's variables; looked at again by `change`.

    Attributes
    ----------
    program : Program
        As the notebook's names were when a good one was last made of them.

    Raises
    ------
    SyntaxError, ValueError
        If the text cannot become a program; with the cell's line.
    """

    def __init__(self, text: str, name: str, namespace: Mapping[str, Any]) -> None:
        self._text, self._name, self._namespace = text, name, namespace
        self._taken: dict[str, Any] = {}  # what each name was at the last look
        self._inside: dict[str, Any] = {}  # of those whose contents can change
        self.program = self._make()

    def change(self, running: Program) -> Change | None:
        """Look what the notebook has changed of what the cell uses; None if all is as it was.

        Parameters of the program that is `running` keep their values, but for those that the notebook
        changed. Cheap where nothing was assigned: identities are compared, and what is in lists, dicts and
        arrays.

        Raises
        ------
        SyntaxError, ValueError
            If the cell can no longer become a program; the one that was made last stays.
        """
        names = tuple(name for name in self._taken if self._differs(name))
        if not names:
            return None
        before, self.program = self.program, self._make()
        kept = {
            name: running.parameters[name].value
            for name, parameter in self.program.parameters.items()
            if before.parameters.get(name) == parameter and name in running.parameters
        }
        same = _same(before, self.program)  # the same definitions once more
        return Change(() if same else names, self.program.with_values(**kept))

    def _make(self) -> Program:
        taken: dict[str, Any] = {}
        program: Program | None = None
        try:
            program = Program.from_cell(self._text, self._name, self._namespace, taken)
        finally:  # also when it fails: to be said once, not after every cell of the notebook
            self._taken = taken if program else self._taken | taken
            self._inside = {name: _inside(value) for name, value in self._taken.items()}
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
    """What was in an array, as its bytes: NaN equals NaN, and a comparison reads the memory once.

    A bytearray compares itself with any memory by memcmp; NumPy's == would fill an array of booleans first.
    """

    def __init__(self, array: np.ndarray) -> None:
        self._kind = array.shape, array.dtype
        self._bytes = bytearray(_flat(array))

    def are_in(self, array: np.ndarray) -> bool:
        """Say whether the array is as it was."""
        return self._kind == (array.shape, array.dtype) and self._bytes == _flat(array)


def _inside(value: Any) -> Any:
    """Return what can change inside a value without its becoming another object; None if nothing can."""
    if type(value) is np.ndarray and not value.dtype.hasobject:
        return _Contents(value)
    if type(value) in (list, dict, set):
        try:
            return pickle.dumps(value)
        except Exception:  # noqa: BLE001 - whatever is in there cannot be captured either
            return None
    return None


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return (a.shape, a.dtype) == (b.shape, b.dtype) and a.tobytes() == b.tobytes()


def _flat(array: np.ndarray) -> memoryview:
    """Return the bytes of an array; a copy of them if it does not lie in one piece."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
