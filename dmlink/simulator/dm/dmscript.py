"""DM-script: runs the text that Python scripts pass to `ExecuteScriptString`, with a set of functions."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from dmlink.simulator.dm.dmscript_functions import Functions, number_text
from dmlink.simulator.dm.dmscript_syntax import Expression, Parser, ScriptError, Statement
from dmlink.simulator.dm.images import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dmlink.simulator.dm.workspace import Workspace

_INITIAL = {"string": "", "number": 0.0, "realnumber": 0.0}
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "-": operator.sub, "*": operator.mul, "/": operator.truediv, "==": operator.eq, "!=": operator.ne,
    "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip


class _Break(Exception):  # noqa: N818 - it is a way out of a loop
    pass


class _Return(Exception):  # noqa: N818 - it is a way out of a function
    def __init__(self, value: Any) -> None:
        self.value = value


class Reference:
    """A variable as an argument, into which a function writes its result."""

    def __init__(self, names: dict[str, Any], name: str) -> None:
        self._names = names
        self._name = name

    @property
    def value(self) -> Any:
        """The variable's value."""
        return self._names[self._name]

    def set(self, value: Any) -> None:
        """Give the variable a value."""
        self._names[self._name] = value


class DMScript:
    """One text of DM-script: declarations, loops, functions and calls; the names in it are its own."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._functions = Functions(workspace)
        self._defined: dict[str, tuple[list[tuple[str, str, bool]], list[Statement]]] = {}
        self._names: dict[str, Any] = {}
        self._colour: set[str] = set()  # variables declared RGBimage

    def execute(self, text: str) -> None:
        """Run `text`.

        Raises
        ------
        ValueError
            If the text is not ASCII, on which GMS can crash.
        RuntimeError
            If it does not understand the text: "Error in line N" and the reason.
        """
        if not text.isascii():
            raise ValueError("ExecuteScriptString: text that goes to DM-script must be ASCII.")
        try:
            parser = Parser(text)
            statements = parser.statements()
            self._defined = parser.functions
            self._run(statements)
        except ScriptError as error:
            raise RuntimeError(f"Error in line {error.line}\n{error}") from None
        except (_Break, _Return):
            pass  # the text ends there

    def _run(self, statements: Iterable[Statement]) -> None:
        for statement in statements:
            try:
                getattr(self, "_run_" + statement[0])(*statement[2:])
            except ScriptError as error:  # noqa: PERF203 - to add the line number
                error.line = error.line or statement[1]
                raise
            except (TypeError, ValueError, LookupError, ZeroDivisionError, RuntimeError) as error:
                raise ScriptError(str(error), statement[1]) from None

    def _run_block(self, statements: list[Statement]) -> None:
        self._run(statements)

    def _run_if(self, condition: Expression, then: list[Statement], otherwise: list[Statement]) -> None:
        self._run(then if self._value(condition) else otherwise)

    def _run_while(self, condition: Expression, body: list[Statement]) -> None:
        try:
            while self._value(condition):
                self._run(body)
        except _Break:
            pass

    def _run_for(
        self, start: Statement, condition: Expression, step: Statement, body: list[Statement]
    ) -> None:
        self._run([start])
        self._run_while(condition, [("block", start[1], body), step])

    def _run_break(self, _: Expression) -> None:
        raise _Break

    def _run_return(self, value: Expression) -> None:
        raise _Return(self._value(value))

    def _run_declare(self, kind: str, parts: list[tuple[str, str, Expression | None]]) -> None:
        for name, mark, value in parts:
            if kind == "rgbimage":
                self._colour.add(name)
            if value is None:
                self._names[name] = _INITIAL.get(kind)
            else:
                self._assign(name, mark, self._value(value), declared=True)

    def _run_assign(self, target: Expression, mark: str, value: Expression) -> None:
        if target[0] != "name":
            raise ScriptError(f"{mark!r} should follow a variable.")
        name, new = target[1].lower(), self._value(value)
        if mark in {"=", ":="}:
            self._assign(name, mark, new, declared=False)
        else:
            self._assign(name, "=", _joined(mark[0], self._value(target), new), declared=False)

    def _run_expression(self, expression: Expression) -> None:
        self._value(expression)

    def _assign(self, name: str, mark: str, value: Any, *, declared: bool) -> None:
        if not declared and name not in self._names:
            raise ScriptError(f"The variable {name!r} is not declared.")
        old = self._names.get(name)
        if mark == "=" and isinstance(value, Image) and value.rgb and name not in self._colour:
            raise ScriptError(f"{name!r} must be declared RGBimage to be assigned colours.")
        if mark == "=" and not declared and isinstance(old, Image):
            if not isinstance(value, Image) or old.memory.shape != value.memory.shape or old.rgb != value.rgb:
                raise ScriptError(f"{name!r} can be assigned only an image of its own size and type.")
            old.memory[...] = value.memory
        else:
            self._names[name] = value

    def _value(self, expression: Expression) -> Any:
        kind, what, *rest = expression
        if kind == "value":
            return what
        if kind == "name":
            return self._named(what)
        if kind == "unary":
            value = self._value(rest[0])
            return -value if what == "-" else float(not value)
        if kind == "assigned":
            self._run_assign(what, "=", rest[0])
            return self._value(what)
        if kind == "binary":
            return self._binary(what, *rest)
        return self._call(what.lower(), what, rest[0])

    def _binary(self, mark: str, left: Expression, right: Expression) -> Any:
        if mark == "&&":
            return float(bool(self._value(left)) and bool(self._value(right)))
        if mark == "||":
            return float(bool(self._value(left)) or bool(self._value(right)))
        return _joined(mark, self._value(left), self._value(right))

    def _named(self, what: str) -> Any:
        name = what.lower()
        if name in self._names:
            return self._names[name]
        for image in self._workspace.living_images():
            if image.label.lower() == name:
                return image
        raise ScriptError(f"Unknown name {what!r}.")

    def _call(self, name: str, what: str, arguments: list[Expression]) -> Any:
        if name in self._defined:
            return self._call_defined(name, arguments)
        function = self._functions.find(name)
        if function is None:
            raise ScriptError(f"The simulator does not know the function {what!r}.")
        outputs = self._functions.outputs(name, len(arguments))
        values = [
            self._reference(argument, what) if i in outputs else self._value(argument)
            for i, argument in enumerate(arguments)
        ]
        return function(*values)

    def _reference(self, argument: Expression, what: str) -> Reference:
        if argument[0] != "name" or argument[1].lower() not in self._names:
            raise ScriptError(f"{what} needs declared variables to write into.")
        return Reference(self._names, argument[1].lower())

    def _call_defined(self, name: str, arguments: list[Expression]) -> Any:
        parameters, body = self._defined[name]
        if len(parameters) != len(arguments):
            raise ScriptError(f"{name} takes {len(parameters)} arguments, not {len(arguments)}.")
        outer = self._names
        inner = {own: self._value(argument) for (_, own, _), argument in zip(parameters, arguments)}
        self._names = inner
        try:
            self._run(body)
        except _Return as end:
            return end.value
        finally:
            self._names = outer
            for (_, own, by_reference), argument in zip(parameters, arguments):
                if by_reference and argument[0] == "name":
                    outer[argument[1].lower()] = inner[own]
        return None


def _joined(mark: str, left: Any, right: Any) -> Any:
    """Return the result of an operator; + joins texts, and texts with numbers."""
    if mark == "+" and (isinstance(left, str) or isinstance(right, str)):
        return number_text(left) + number_text(right)
    if mark == "+":
        return left + right
    result = _OPERATORS[mark](left, right)
    return float(result) if isinstance(result, bool) else result
