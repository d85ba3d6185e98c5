"""Parameter: a value of a live cell that a slider, a box or a script can change."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, Literal

Kind = Literal["number", "integer", "switch", "choice", "text"]
Value = bool | int | float | str

_KINDS: dict[str, Kind] = {"bool": "switch", "int": "integer", "float": "number", "str": "text"}
_LONGEST_TEXT = 200  # characters that one sees in a line of text
_WANTED = {
    "number": "a number",
    "integer": "a whole number",
    "switch": "True or False",
    "text": "text",
}
ANY_NUMBER, ANY_TEXT = "any number", "any text"
LIKE_ALLOWED = re.compile(rf"\S+ to \S|True or False|one of |{ANY_NUMBER}|{ANY_TEXT}")


@dataclass(frozen=True)
class Parameter:
    """One annotated assignment at the top level of a cell.

    Attributes
    ----------
    name : str
    value : bool, int, float or str
    kind : {"number", "integer", "switch", "choice", "text"}
        What may be set: a slider or a box, a checkbox, a drop-down, a line of text.
    minimum, maximum, step : float or None
        Bounds (inclusive) and step of a slider; None for a box, or where no step is given.
    choices : tuple
        What a "choice" chooses from.
    comment : str
        The comment on the parameter's line, without the #.
    line : int
        The parameter's line in the cell, from 1; 0 if it comes from the notebook.
    """

    name: str
    value: Value
    kind: Kind
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[Value, ...] = ()
    comment: str = ""
    line: int = 0

    @classmethod
    def from_statement(cls, statement: ast.AnnAssign, comment: str = "") -> Parameter | None:
        """Return the parameter that an annotated assignment declares; None for an ordinary variable.

        Ordinary are annotations that say nothing about parameters, such as `rings: np.ndarray = ...`.

        Raises
        ------
        ValueError
            If it looks like a parameter but is not one; the message begins with the cell's line.
        """
        hint, target, line = statement.annotation, statement.target, statement.lineno
        named = isinstance(hint, ast.Name) and hint.id in _KINDS
        if not isinstance(target, ast.Name) or not (named or isinstance(hint, (ast.Tuple, ast.List))):
            return None
        written = f"{target.id}: {ast.unparse(hint)}"
        try:
            value = ast.literal_eval(statement.value) if statement.value else None
        except ValueError:
            value = None
        if not isinstance(value, (bool, int, float, str)):
            raise ValueError(  # noqa: TRY004
                f"line {line}: '{written}' declares a parameter, and its value must be written out as a "
                "number, True, False or text. For an ordinary variable, leave out the part after the colon."
            )
        try:
            bounds = None if named else ast.literal_eval(hint)
        except ValueError:
            raise ValueError(
                f"line {line}: in '{written}', write the bounds or choices out as numbers or text."
            ) from None
        parameter = cls(target.id, value, "text", comment=comment, line=line)
        try:
            if isinstance(hint, ast.Name):
                parameter = replace(parameter, kind=_KINDS[hint.id])
            elif isinstance(bounds, tuple):
                parameter = _slider(parameter, bounds)
            else:
                parameter = _drop_down(parameter, bounds)
            checked = parameter.with_value(value)
        except ValueError as error:
            raise ValueError(f"line {line}: {error}") from None
        if checked.value != value:
            raise ValueError(f"line {line}: {value!r} is outside {parameter.allowed} ('{written}').")
        return checked

    def with_value(self, value: Any) -> Parameter:
        """Return this parameter with another value; one beyond a bound becomes that bound.

        Raises
        ------
        ValueError
            If the value is of the wrong type or not among the choices.
        """
        if self.kind == "choice":
            for choice in self.choices:
                if choice == value and isinstance(choice, str) == isinstance(value, str):
                    return replace(self, value=choice)
        elif self.kind in ("switch", "text") and isinstance(value, bool if self.kind == "switch" else str):
            return replace(self, value=value)
        elif self.kind in ("number", "integer") and isinstance(value, Real) and not isinstance(value, bool):
            number = float(value)
            whole = isinstance(value, Integral) or number.is_integer()
            if math.isfinite(number) and (whole or self.kind == "number"):
                if self.kind == "integer":
                    number = value if isinstance(value, int) else round(number)
                return replace(self, value=self._clamped(number))
        wanted = self.allowed if self.kind == "choice" else _WANTED[self.kind]
        raise ValueError(f"The parameter {self.name!r} takes {wanted}, not {value!r}.")

    @property
    def allowed(self) -> str:
        """The values allowed, in words; empty where the value itself shows it."""
        if self.kind == "choice":
            return "one of " + ", ".join(literal(choice) for choice in self.choices)
        if self.kind == "switch":
            return "True or False"
        if self.minimum is None:
            return ""
        steps = "" if self.step is None else f" in steps of {self.step}"
        return f"{self.minimum} to {self.maximum}{steps}"

    @property
    def assignment(self) -> str:
        """The parameter as a line of a script, what is allowed and the comment behind it."""
        allowed = self.allowed
        if not allowed and LIKE_ALLOWED.match(self.comment):  # or the comment would be read as that
            allowed = ANY_TEXT if self.kind == "text" else ANY_NUMBER
        said = ": ".join(part for part in (allowed, self.comment) if part)
        return f"{self.name} = {literal(self.value)}" + (f"  # {said}" if said else "")

    def _clamped(self, number: float) -> float:
        if self.minimum is not None and number < self.minimum:
            return self.minimum
        if self.maximum is not None and number > self.maximum:
            return self.maximum
        return number


def kind_of(value: Any) -> Kind | None:
    """Return the kind of parameter that a plain value of the notebook makes; None if it makes none."""
    plain = type(value) in (bool, int, float, str)
    if not plain or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, str) and (len(value) > _LONGEST_TEXT or not value.isprintable()):
        return None
    return _KINDS[type(value).__name__]


def literal(value: Value | bytes | None) -> str:
    """Return a plain value as it is written in a script: text in double quotes, inf and nan as calls."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    text = repr(value)
    # repr chooses single quotes whenever it can; the scripts that people read here use double ones
    if isinstance(value, str) and text[0] == "'" and '"' not in text:
        return f'"{text[1:-1]}"'
    return text


def _slider(parameter: Parameter, bounds: tuple[Any, ...]) -> Parameter:
    numeric = all(isinstance(b, (int, float)) and not isinstance(b, bool) for b in bounds)
    if len(bounds) not in (2, 3) or not numeric or not bounds[0] < bounds[1] or (*bounds, 1)[2] <= 0:
        raise ValueError(
            f"The bounds of {parameter.name!r} are (minimum, maximum) or (minimum, maximum, step): numbers, "
            f"the minimum below the maximum, the step above zero; not {bounds!r}."
        )
    whole = all(isinstance(number, int) for number in (*bounds, parameter.value))
    low, high, step = (*bounds, None)[:3]
    return replace(parameter, kind="integer" if whole else "number", minimum=low, maximum=high, step=step)


def _drop_down(parameter: Parameter, choices: Any) -> Parameter:
    if (
        not isinstance(choices, list)
        or not choices
        or not all(isinstance(choice, (bool, int, float, str)) for choice in choices)
    ):
        raise ValueError(
            f"The choices of {parameter.name!r} are a list of numbers or texts, not {choices!r}."
        )
    return replace(parameter, kind="choice", choices=tuple(choices))
