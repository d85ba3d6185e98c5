"""Parameter: a value of a live cell that a slider, a box or a script can change."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, Literal

Kind = Literal["number", "integer", "switch", "choice", "text"]
Value = bool | int | float | str | None

_KINDS: dict[str, Kind] = {"bool": "switch", "int": "integer", "float": "number", "str": "text"}
_LONGEST_TEXT = 200  # characters; a longer text does not fit into a box
_ALLOWED = {
    "number": "a number",
    "integer": "a whole number",
    "switch": "True or False",
    "text": "text",
}
ANY_NUMBER, ANY_TEXT = "any number", "any text"
LIKE_ALLOWED = re.compile(rf"\S+ to \S|True or False|one of |{ANY_NUMBER}|{ANY_TEXT}")
OR_NONE = ", or None"
# At the beginning of a comment such as "px, of a particle", or "% of the width".
_UNITS = "%|1/nm|1/A|1/px|px|pm|nm|um|µm|mm|A|Å|mrad|degrees|°|keV|eV|kV|V|us|ms|s|Hz|K|°C|frames|counts"
_UNIT = re.compile(rf"({_UNITS})(?=[,;:]|$| of )")
FOUND = "found from the frame"  # the comment of an automatic parameter without its own


@dataclass(frozen=True)
class Parameter:
    """One annotated assignment at the top level of a cell.

    Attributes
    ----------
    name : str
    value : bool, int, float, str or None
        None if it is automatic and not set.
    kind : {"number", "integer", "switch", "choice", "text"}
        Shown as a slider or a box (both numbers), a checkbox, a drop-down, a line of text.
    minimum, maximum, step : float or None
        Bounds (inclusive) and step of a slider; None for a box, or if no step is given.
    choices : tuple
        The values of a "choice".
    comment : str
        The comment on the parameter's line, without the #.
    line : int
        The parameter's line in the cell, from 1; 0 if it comes from the notebook.
    automatic : bool
        Whether a slider can be set to None, for which the cell finds a value by itself.
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
    automatic: bool = False

    @classmethod
    def from_statement(cls, statement: ast.AnnAssign, comment: str = "") -> Parameter | None:
        """Return the parameter that an annotated assignment declares; None for an ordinary variable.

        Other annotations, such as `rings: np.ndarray = ...`, declare ordinary variables.

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
            value = ast.literal_eval(statement.value) if statement.value else ...
        except ValueError:
            value = ...
        if not isinstance(value, (bool, int, float, str)) and value is not None:
            raise ValueError(
                f"line {line}: '{written}' declares a parameter, so its value must be a plain number, True, "
                "False or text. For an ordinary variable, leave out the part after the colon."
            )
        if value is None and not isinstance(hint, ast.Tuple):
            raise ValueError(
                f"line {line}: '{written} = None': only a slider can be automatic, such as "
                f"{target.id}: (3, 99) = None."
            )
        try:
            bounds = None if named else ast.literal_eval(hint)
        except ValueError:
            raise ValueError(
                f"line {line}: in '{written}', write the bounds or choices as plain numbers or text."
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
        if checked.value != value:  # it was clipped
            raise ValueError(f"line {line}: {value!r} is outside {parameter.allowed} ('{written}').")
        return checked

    def with_value(self, value: Any) -> Parameter:
        """Return this parameter with another value, clipped to its bounds.

        Raises
        ------
        ValueError
            If the value is of the wrong type or not among the choices.
        """
        if value is None and self.automatic:
            return replace(self, value=None)
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
        wanted = self.allowed if self.kind == "choice" else _ALLOWED[self.kind] + " or None" * self.automatic
        raise ValueError(f"The parameter {self.name!r} takes {wanted}, not {value!r}.")

    @property
    def unit(self) -> str:
        """The unit that its comment begins with, such as "nm" in `# nm, width of the Gaussian`; or ""."""
        unit = _UNIT.match(self.comment)
        return unit[1] if unit else ""

    @property
    def help(self) -> str:
        """What its comment says besides: "width of the Gaussian"; or ""."""
        return self.comment[len(self.unit) :].lstrip(",;: ")

    @property
    def allowed(self) -> str:
        """The allowed values, in words; empty if the value itself shows its type."""
        if self.kind == "choice":
            return "one of " + ", ".join(literal(choice) for choice in self.choices)
        if self.kind == "switch":
            return "True or False"
        if self.minimum is None:
            return ""
        steps = "" if self.step is None else f" in steps of {self.step}"
        return f"{self.minimum} to {self.maximum}{steps}{OR_NONE * self.automatic}"

    @property
    def assignment(self) -> str:
        """The parameter as a line of a script, followed by the allowed values and its comment."""
        allowed = self.allowed
        if not allowed and LIKE_ALLOWED.match(
            self.comment
        ):  # else the comment would be taken for the allowed values
            allowed = ANY_TEXT if self.kind == "text" else ANY_NUMBER
        comment = ": ".join(part for part in (allowed, self.comment) if part)
        return f"{self.name} = {literal(self.value)}" + (f"  # {comment}" if comment else "")

    def _clamped(self, number: float) -> float:
        if self.minimum is not None and number < self.minimum:
            return self.minimum
        if self.maximum is not None and number > self.maximum:
            return self.maximum
        return number


def kind_of(value: Any) -> Kind | None:
    """Return the kind of parameter that a plain value of the notebook becomes; None if it is not plain."""
    plain = type(value) in (bool, int, float, str)
    if not plain or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, str) and (len(value) > _LONGEST_TEXT or not value.isprintable()):
        return None
    return _KINDS[type(value).__name__]


def literal(value: Value | bytes | None) -> str:
    """Return the source of a plain value: text in double quotes, inf and nan as calls."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    text = repr(value)
    # repr prefers single quotes; exported scripts use double quotes throughout
    if isinstance(value, str) and text[0] == "'" and '"' not in text:
        return f'"{text[1:-1]}"'
    return text


def _slider(parameter: Parameter, bounds: tuple[Any, ...]) -> Parameter:
    automatic = parameter.value is None or bounds[-1:] == (None,)
    bounds = bounds[:-1] if bounds[-1:] == (None,) else bounds
    numeric = all(isinstance(b, (int, float)) and not isinstance(b, bool) for b in bounds)
    if len(bounds) not in (2, 3) or not numeric or not bounds[0] < bounds[1] or (*bounds, 1)[2] <= 0:
        raise ValueError(
            f"The bounds of {parameter.name!r} must be (minimum, maximum) or (minimum, maximum, step), with "
            f"numbers, minimum < maximum and step > 0; not {bounds!r}."
        )
    whole = all(isinstance(number, int) for number in (*bounds, parameter.value or 0))
    low, high, step = (*bounds, None)[:3]
    kind: Kind = "integer" if whole else "number"
    comment = parameter.comment or FOUND * automatic
    slider = replace(parameter, kind=kind, minimum=low, maximum=high, step=step, comment=comment)
    return replace(slider, automatic=automatic)


def _drop_down(parameter: Parameter, choices: Any) -> Parameter:
    if (
        not isinstance(choices, list)
        or not choices
        or not all(isinstance(choice, (bool, int, float, str)) for choice in choices)
    ):
        raise ValueError(
            f"The choices of {parameter.name!r} must be a list of numbers or texts, not {choices!r}."
        )
    return replace(parameter, kind="choice", choices=tuple(choices))
