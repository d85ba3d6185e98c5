"""Read back: the program of an exported script, which may have been edited in DigitalMicrograph."""

from __future__ import annotations

import ast
import io
import itertools
import re
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dmlink.indm.outline import checked_outline
from dmlink.program.capture import RESULTS, free_names
from dmlink.program.cell_text import inside_strings, split_lines
from dmlink.program.parameter import ANY_NUMBER, ANY_TEXT, FOUND
from dmlink.program.program import Program
from dmlink.script.arrays import DATA_FILE, array_of, read_file, read_text
from dmlink.script.exporter import BELOW, FUTURE

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from dmlink.indm.outline import Outline

_RANGE = re.compile(r"(\S+) to (\S+?)(?: in steps of (\S+?))?(, or None)?(?:: (.*))?")
_ANY = re.compile(f"(?:{ANY_NUMBER}|{ANY_TEXT}): (.*)")
_FILLED_IN = re.compile(r'(\w+) = globals\(\)\["\1"\]')
_SWITCH = re.compile(r"True or False(?:: (.*))?")
_STARTS = {"process_live_view", "process_recording", "start"}  # the last one is from early releases
_IMPORTS = (ast.Import, ast.ImportFrom)


class Script(NamedTuple):
    """An exported script: the name of its cell, the parts above and below the line, the last call."""

    name: str
    above: str
    below: ast.Module
    call: ast.Call

    @property
    def is_live(self) -> bool:
        """Whether it processes the live view, not a recording."""
        return "process_recording" not in {call for call, _ in _calls(self.below)}


def read_program(path: str | Path) -> Program:
    """Return the program of an exported script, with all edits made to the script since.

    Everything above the dividing line counts: parameters, definitions, process(). None of it is executed.

    Raises
    ------
    ValueError
        If it is not an exported script, or its edits cannot be a live cell.
    OSError
        If its arrays are in a file that cannot be read.
    SyntaxError
        If it is not valid Python.
    """
    path = Path(path).expanduser()
    script = parts_of(path)
    tree = ast.parse(script.above, str(path))
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "process"]
    if len(functions) != 1:
        raise ValueError(
            f"{path} has {len(functions)} functions process(frame, info, state); it must have one."
        )
    process = functions[0]
    lines = script.above.split("\n")
    settings = _settings(script)
    assigned = _assignments(tree)
    parameters = dict(_parameters(lines))
    before = assigned.get(settings.get("before", ""))
    statements = [node for node in tree.body[1:] if node is not before]
    imports = list(itertools.takewhile(lambda node: isinstance(node, _IMPORTS), statements))
    head = ["\n".join(lines[row - 1] for row in _rows(node)) for node in imports]
    moved = {row for node in [tree.body[0], *imports] for row in _rows(node)}
    moved |= parameters.keys() | {lines.index("# Parameters") + 1} if parameters else set()
    for node in (assigned[name] for name in settings.values() if name in assigned):
        moved |= {*_rows(node), node.lineno - 1 if lines[node.lineno - 2].startswith("# ") else node.lineno}

    written = [text for text in parameters.values() if text]
    own_imports = [text for text in head if text != FUTURE.rstrip("\n")]
    cell = [own_imports, written, _body(script.above, tree, process)]
    arrays = _arrays(script, assigned, settings)
    return Program.from_definitions(
        "\n\n".join("\n".join(part) for part in cell if part),
        script.name,
        _definitions(lines, moved, tree, process),
        free_names(script.above) & RESULTS.keys() - arrays.keys(),
        arrays,
    )


def roi_of(path: str | Path) -> tuple[Outline | None, tuple[int, ...] | None]:
    """Return the outline and the rectangle (top, left, bottom, right) of an exported script's ROI, if any.

    Raises
    ------
    ValueError
        If it is not an exported script, or they are not what a script has there.
    """
    script = parts_of(path)
    named = {option.arg: option.value for option in script.call.keywords}
    assigned = _assignments(ast.parse(script.above, str(path)))
    place = assigned.get(_settings(script).get("roi", ""))
    fields = ast.literal_eval(named["outline"]) if "outline" in named else None
    rectangle = ast.literal_eval(place.value) if place else None
    if rectangle is not None and [type(v) for v in rectangle] != [int] * 4:
        raise ValueError(f"{path}: the ROI is {rectangle!r}; write (top, left, bottom, right) or None.")
    return checked_outline(*fields) if fields else None, rectangle


def parts_of(path: str | Path) -> Script:
    """Return the parts of an exported script.

    Raises
    ------
    ValueError
        If it is not an exported script.
    SyntaxError
        If the part below the dividing line is not valid Python.
    """
    text = "\n".join(split_lines(Path(path).expanduser().read_text(encoding="utf-8")))
    above, line, below = text.partition(BELOW)
    tree = ast.parse(below) if line else ast.Module([], [])
    names = [
        first.value for name, call in _calls(tree) if name in _STARTS for first in _constants(call.args[:1])
    ]
    calls = [call for node in tree.body if isinstance(node, ast.Expr) for _, call in _calls(node)]
    if not names or not calls:
        raise ValueError(f"{path} is not a script exported by dmlink: it has no line '{BELOW}'.")
    return Script(str(names[0]), above, tree, calls[-1])


def _calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield the calls of functions, with their names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node


def _constants(nodes: list[ast.expr]) -> Iterator[ast.Constant]:
    yield from (node for node in nodes if isinstance(node, ast.Constant))


def _settings(script: Script) -> dict[str, str]:
    """Return the variables above the line by meaning: "before", "recording", "roi", "arrays"."""
    options = script.call.keywords
    named = {str(option.arg): option.value.id for option in options if isinstance(option.value, ast.Name)}
    if not options:  # of an earlier release
        called = {name for name, _ in _calls(script.below)}
        named |= {"recording": "RECORDING"} if "process_recording" in called else {}
        named |= {"arrays": DATA_FILE} if "dmlink_arrays" in called else {}
    return named


def _arrays(
    script: Script, assigned: dict[str, ast.Assign], settings: dict[str, str]
) -> dict[str, np.ndarray]:
    """Return the arrays of a script by name, from its own text or from their file."""
    if name := settings.get("arrays"):
        if name not in assigned:
            raise ValueError(f"The script has no line '{name} = ...', which says where its arrays are.")
        return read_file(ast.literal_eval(assigned[name].value))
    arrays: dict[str, np.ndarray] = {}
    for option in script.call.keywords:
        if option.arg == "arrays":
            arrays = read_text(option.value)
    for name, node in _assignments(script.below).items():
        if isinstance(node.value, ast.Call):  # of an earlier release
            text, dtype, shape = map(ast.literal_eval, node.value.args)
            arrays[name] = array_of(dtype, shape, text)
    return arrays


def _assignments(tree: ast.Module) -> dict[str, ast.Assign]:
    """Return the last assignment of each single variable, by name."""
    nodes = [node for node in tree.body if isinstance(node, ast.Assign)]
    return {target.id: node for node in nodes for target in node.targets if isinstance(target, ast.Name)}


def _rows(node: ast.stmt) -> range:
    return range(_first(node), (node.end_lineno or node.lineno) + 1)


def _definitions(lines: list[str], moved: set[int], tree: ast.Module, process: ast.FunctionDef) -> list[str]:
    """Return the lines of everything around process(), placed above it, as in a program."""
    rows = [row for row in range(1, process.lineno) if row not in moved]
    begin = next((row for row in rows if lines[row - 1].strip()), process.lineno)
    above = [lines[row - 1] for row in rows if row >= begin]
    behind = tree.body[tree.body.index(process) + 1 :]
    below = ["", "", *lines[_first(behind[0]) - 1 : behind[-1].end_lineno]] if behind else []
    while above and not above[-1].strip():
        above.pop()
    gap = ["", ""] if above and not lines[begin - 3].strip() else []  # a definition, not a constant
    return [*gap, *above, *below]


def _first(node: ast.stmt) -> int:
    return int(min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]))


def _parameters(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield each row below "# Parameters", and the declaration in it as in a cell, if there is one."""
    if "# Parameters" not in lines:
        return
    for row, line in enumerate(
        lines[lines.index("# Parameters") + 1 :], start=lines.index("# Parameters") + 2
    ):
        if not line.strip():
            return
        statement = ast.parse(line).body
        if not statement:
            yield row, ""
            continue
        assigned = statement[0]
        if not isinstance(assigned, ast.Assign) or not isinstance(assigned.targets[0], ast.Name):
            raise ValueError(f"line {row}: '{line}' is not a parameter: write NAME = VALUE on one line.")  # noqa: TRY004
        name, value = assigned.targets[0].id, ast.get_source_segment(line, assigned.value) or ""
        comment = next((t.string[1:].strip() for t in _tokens(line) if t.type == tokenize.COMMENT), "")
        try:
            hint, own = _declared(comment, ast.literal_eval(value))
        except ValueError:
            raise ValueError(
                f"line {row}: {name} = {value} is not a plain value: write a number or a text."
            ) from None
        yield row, f"{name}: {hint} = {value}" + (f"  # {own}" if own else "")


def _declared(comment: str, value: object) -> tuple[str, str]:
    """Return a parameter's annotation and its own comment, from the comment in the script."""
    if match := _ANY.fullmatch(comment):
        return type(value).__name__, match[1]
    if match := _RANGE.fullmatch(comment):
        try:
            bounds = [ast.literal_eval(bound) for bound in match.groups()[:3] if bound]
        except (ValueError, SyntaxError):
            bounds = []
        if bounds and all(isinstance(bound, (int, float)) for bound in bounds):
            # None is added to the bounds if the value does not show that it may be None
            may_be = ["None"] if match[4] and value is not None else []
            own = match[5] if match[5] != FOUND else ""
            return f"({', '.join([*map(repr, bounds), *may_be])})", own or ""
    if match := _SWITCH.fullmatch(comment):
        return "bool", match[1] or ""
    if comment.startswith("one of "):
        parts = comment.removeprefix("one of ").split(": ")
        for n in range(len(parts), 0, -1):
            try:
                choices = list(ast.literal_eval(f"({': '.join(parts[:n])},)"))
            except (ValueError, SyntaxError):
                continue
            return repr(choices), ": ".join(parts[n:])
    return type(value).__name__, comment


def _body(text: str, tree: ast.Module, process: ast.FunctionDef) -> list[str]:
    """Return the lines of process() as in a cell: not indented, and without the last `return`."""
    inside = set(inside_strings(_tokens(text)))
    lines = text.rstrip().split("\n")
    last = process.body[-1]
    if isinstance(last, ast.Return) and last.value is not None:
        line = lines[last.lineno - 1]
        start = len(line.encode()[: last.col_offset].decode())
        lines[last.lineno - 1] = line[:start] + line[start:].removeprefix("return ")
    first = (process.body[0].lineno if process.lineno == process.body[0].lineno else process.lineno + 1) - 1
    behind = tree.body[tree.body.index(process) + 1 :]  # definitions added below process()
    end = _first(behind[0]) - 1 if behind else len(lines)
    body = "\n".join(lines[first:end]).rstrip().split("\n")
    lines = [line if row in inside else line[4:] for row, line in enumerate(body, start=first + 1)]
    while lines and _FILLED_IN.fullmatch(lines[0]):  # what export added before the cell's own lines
        del lines[0]
    return lines


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(text + "\n").readline)
