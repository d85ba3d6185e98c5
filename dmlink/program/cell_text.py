"""CellText: a cell split into parameters, imports and the body of a function."""

from __future__ import annotations

import ast
import io
import re
import textwrap
import token
import tokenize
from typing import TYPE_CHECKING, NamedTuple

from dmlink.program.capture import GIVEN
from dmlink.program.parameter import Parameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: A line of a program's source, and the number of the cell's line that it comes from, if any.
SourceLine = tuple[str, "int | None"]


class CellText:
    """A cell split into its parameters, its imports, and the rest, which becomes the function's body."""

    def __init__(self, text: str, filename: str) -> None:
        self.lines = split_lines(text)
        first = next((line for line in self.lines if line.strip()), "")
        if first[:1].isspace():  # a cell written as an indented string
            self.lines = split_lines(textwrap.dedent("\n".join(self.lines)))
        text = "\n".join(self.lines) + "\n"
        try:
            self.tree = ast.parse(text, filename)
        except SyntaxError as error:
            _refuse_commands(self.lines, error.lineno or 1)
            raise
        if not self.tree.body:
            raise ValueError("line 1: the cell is empty.")
        self.uses = {statement: list(_uses(statement)) for statement in self.tree.body}
        for node in ast.walk(self.tree):
            _refuse_statements(node)
        compile(text, filename, "exec", dont_inherit=True)

        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        self.comments = {t.start[0]: t.string.lstrip("#").strip() for t in tokens if t.type == token.COMMENT}
        self.inside_strings = set(inside_strings(tokens))
        self.parameters = self._find_parameters()
        self.imports = self._find_imports()
        self.provided = dict.fromkeys(self.parameters, "") | {
            alias.asname or alias.name.partition(".")[0]: _module_of(statement, alias)
            for statement in self.imports
            for alias in statement.names
        }
        self.assigned: dict[str, int] = {}
        self.filled_in: list[str] = []  # automatic parameters that the cell assigns
        for name, line, owner in self._bindings():
            if name in ("info", "state"):
                raise ValueError(f"line {line}: dmlink sets {name!r}: choose another name for yours.")
            if name in self.parameters and owner is not self._declaration(self.parameters[name]):
                self.filled_in += [name] if name not in self.filled_in else []
            if name not in self.provided or name in self.filled_in:
                self.assigned.setdefault(name, line)
        self._refuse_memory()
        self.notes: list[str] = []
        last = self.tree.body[-1]
        if not isinstance(last, ast.Expr):
            names = [use.name for use in self.uses[last] if use.bound and use.name in self.assigned]
            do = f" To see {names[0]!r}, add a last line with only this name." if names else ""
            self.notes.append(f"The cell's last line is not an expression, so there is no result.{do}")

    def body(self) -> list[SourceLine]:
        """Return the lines of the function: as written, indented, with the last expression returned."""
        moved = {row for p in self.parameters.values() for row in self.rows(self._declaration(p))}
        moved |= {row for statement in self.imports for row in self.rows(statement)}
        last = self.tree.body[-1]
        result: list[SourceLine] = []
        for row, line in enumerate(self.lines, start=1):
            if row in moved:
                continue
            text = line
            if isinstance(last, ast.Expr) and row == last.lineno:
                start = len(line.encode()[: last.col_offset].decode())
                text = f"{line[:start]}return {line[start:]}"
            if row not in self.inside_strings:
                text = f"    {text}" if text.strip() else ""
                # Leave no gap where lines were moved.
                if not text and (not result or (row - 1 in moved and not result[-1][0])):
                    continue
            result.append((text, row))
        while result and not result[-1][0]:
            result.pop()
        # An automatic parameter that the cell assigns is a local variable, set again for every frame.
        result[:0] = [(f"    {filled_in(name)}", self.parameters[name].line) for name in self.filled_in]
        kept = [s for s in self.tree.body if s.lineno not in moved]
        return result if kept else [*result, ("    return None", None)]

    def first_lines(self) -> dict[str, int]:
        """Return the line on which each name is first read."""
        lines: dict[str, int] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name):
                lines[node.id] = min(node.lineno, lines.get(node.id, node.lineno))
        return lines

    def _find_parameters(self) -> dict[str, Parameter]:
        parameters: dict[str, Parameter] = {}
        for statement in self.tree.body:
            if not isinstance(statement, ast.AnnAssign):
                continue
            comment = " ".join(filter(None, (self.comments.get(row) for row in self.rows(statement))))
            parameter = Parameter.from_statement(statement, comment)
            if parameter is None:
                continue
            name, line = parameter.name, parameter.line
            if name in (*GIVEN, "process"):
                raise ValueError(
                    f"line {line}: {name!r} has its own meaning in a live cell: choose another name."
                )
            for other, other_line, owner in self._bindings():
                if other == name and owner is not statement and not parameter.automatic:
                    first, second = sorted((line, other_line))
                    raise ValueError(
                        f"line {second}: {name!r} is also assigned on line {first}; only its slider sets a "
                        "parameter. Choose another name for the changed value."
                    )
            if not self._alone(statement):
                raise ValueError(f"line {line}: write the parameter {name!r} on a line of its own.")
            parameters[name] = parameter
        return parameters

    def _find_imports(self) -> list[ast.Import | ast.ImportFrom]:
        """Return the imports that can move to the top because nothing else in the cell binds their names."""
        found = []
        for statement in self.tree.body:
            if not isinstance(statement, (ast.Import, ast.ImportFrom)) or not self._alone(statement):
                continue
            mine = {use.name for use in self.uses[statement] if use.bound}
            others = [owner for name, _, owner in self._bindings() if name in mine and owner is not statement]
            same = all(is_plain(owner) for owner in (statement, *others))
            if mine.isdisjoint((*GIVEN, "process")) and (same or not others):
                found.append(statement)
        return found

    def _refuse_memory(self) -> None:
        """Refuse `count = count + 1` where only the previous frame could have set `count`."""
        bound: set[str] = {*GIVEN, *self.filled_in}
        for statement, uses in self.uses.items():
            simple = isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr))
            if simple and not any(isinstance(node, ast.NamedExpr) for node in ast.walk(statement)):
                for name, line, _ in (use for use in uses if not use.bound):
                    if name in self.assigned and name not in bound:
                        raise ValueError(
                            f"line {line}: {name!r} is read before the cell assigns it; to keep a value from "
                            "frame to frame, put it in state."
                        )
            bound |= {use.name for use in uses if use.bound}

    def _bindings(self) -> Iterator[tuple[str, int, ast.stmt]]:
        for statement, uses in self.uses.items():
            yield from ((use.name, use.line, statement) for use in uses if use.bound)

    def _declaration(self, parameter: Parameter) -> ast.stmt:
        return next(s for s in self.tree.body if s.lineno == parameter.line)

    @property
    def modules(self) -> set[str]:
        """The modules named by its imports at the top."""
        plain = {a.name for s in self.imports if isinstance(s, ast.Import) for a in s.names}
        return plain | {s.module for s in self.imports if isinstance(s, ast.ImportFrom) and s.module}

    def rows(self, statement: ast.stmt) -> range:
        """Return the lines that a statement occupies."""
        return range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)

    def _alone(self, statement: ast.stmt) -> bool:
        """Return whether no other statement shares the lines of `statement`."""
        rows = set(self.rows(statement))
        others = (s for s in self.tree.body if s is not statement)
        return all(rows.isdisjoint(self.rows(other)) for other in others)


class _Use(NamedTuple):
    name: str
    line: int
    bound: bool


def _uses(node: ast.AST, hidden: frozenset[str] = frozenset()) -> Iterator[_Use]:
    """Yield the names that `node` binds and reads in the cell's own scope; `hidden` are a comprehension's.

    Raises ValueError for a statement that works only inside a function.
    """
    parts: Iterable[ast.AST] = ast.iter_child_nodes(node)
    line = getattr(node, "lineno", 0)
    if isinstance(node, ast.Name) and node.id not in hidden:
        yield _Use(node.id, line, bound=not isinstance(node.ctx, ast.Load))
    elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        yield _Use(node.target.id, line, bound=False)
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        if not isinstance(node, ast.Lambda):
            yield _Use(node.name, line, bound=True)
        # the body is another scope; decorators and defaults are evaluated in this one
        parts = [
            *getattr(node, "decorator_list", []),
            *node.args.defaults,
            *filter(None, node.args.kw_defaults),
        ]
    elif isinstance(node, ast.ClassDef):
        yield _Use(node.name, line, bound=True)
        parts = [*node.decorator_list, *node.bases, *node.keywords]
    elif isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        targets = (part for generator in node.generators for part in ast.walk(generator.target))
        hidden |= {part.id for part in targets if isinstance(part, ast.Name)}
        if any(generator.is_async for generator in node.generators):
            raise ValueError(f"line {line}: 'async' does not work in a live cell.")
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            yield _Use(alias.asname or alias.name.partition(".")[0], line, bound=True)
    elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
        yield _Use(node.name, line, bound=True)
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield _Use(node.rest, line, bound=True)
    elif type(node) in _FUNCTIONS_ONLY:
        raise ValueError(f"line {line}: {_FUNCTIONS_ONLY[type(node)]}")
    for part in parts:
        yield from _uses(part, hidden)


_FUNCTIONS_ONLY: dict[type[ast.AST], str] = {
    ast.Return: "'return' is not needed: the cell's last line is its result.",
    ast.Yield: "'yield' works only inside a function.",
    ast.YieldFrom: "'yield' works only inside a function.",
    ast.Await: "'await' does not work in a live cell.",
    ast.AsyncFor: "'async' does not work in a live cell.",
    ast.AsyncWith: "'async' does not work in a live cell.",
    ast.Nonlocal: "'nonlocal' works only inside a function.",
}


def _refuse_statements(node: ast.AST) -> None:
    if isinstance(node, ast.Global):
        names = ", ".join(node.names)
        raise ValueError(  # noqa: TRY004
            f"line {node.lineno}: 'global {names}' does not work in a live cell; to keep a value from frame "
            "to frame, put it in state."
        )
    if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
        raise ValueError(f"line {node.lineno}: import the names that the cell uses, instead of *.")


def _refuse_commands(lines: list[str], number: int) -> None:
    """Refuse a line that works only in a notebook."""
    line = lines[number - 1].strip() if number <= len(lines) else ""
    if re.match(r"([\w., ]+=\s*)?[%!]|\?", line) or re.fullmatch(r"[\w.%]+\?{1,2}", line):
        raise ValueError(
            f"line {number}: '{line}' is a notebook command; a live cell runs outside the notebook. "
            "Put it in another cell."
        ) from None


def filled_in(name: str) -> str:
    """Return the statement with which process() reads an automatic parameter that it may set."""
    return f'{name} = globals()["{name}"]'


def split_lines(text: str) -> list[str]:
    """Split text into lines as Python's grammar does; str.splitlines splits at more characters."""
    return re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))


def inside_strings(tokens: Iterable[tokenize.TokenInfo]) -> Iterator[int]:
    """Yield the rows that begin inside a string: indenting them would change the string."""
    starts: list[int] = []
    opening = {getattr(token, name, -1) for name in ("FSTRING_START", "TSTRING_START")}
    closing = {getattr(token, name, -1) for name in ("FSTRING_END", "TSTRING_END")}
    for item in tokens:
        if item.type in opening:
            starts.append(item.start[0])
        elif item.type in closing:
            yield from range(starts.pop() + 1, item.end[0] + 1)
        elif item.type == token.STRING:
            yield from range(item.start[0] + 1, item.end[0] + 1)


def is_plain(statement: ast.stmt) -> bool:
    """Return whether a statement is a plain `import a.b`; several of these may bind the same name."""
    return isinstance(statement, ast.Import) and not any(alias.asname for alias in statement.names)


def _module_of(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    if isinstance(statement, ast.ImportFrom):
        return f"{statement.module}.{alias.name}"
    return alias.name if alias.asname else alias.name.partition(".")[0]
