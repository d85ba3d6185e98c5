"""Read back: an exported script, perhaps edited in DigitalMicrograph, becomes a cell again."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

from dmlink import ipynb
from dmlink.cell import LiveCell
from dmlink.celltext import inside_strings, split_lines
from dmlink.export import BELOW, FUTURE
from dmlink.parameter import ANY_NUMBER, ANY_TEXT
from dmlink.scriptdata import DATA_FILE, arrays_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_RANGE = re.compile(r"(\S+) to (\S+?)(?: in steps of (\S+?))?(?:: (.*))?")
_ANY = re.compile(f"(?:{ANY_NUMBER}|{ANY_TEXT}): (.*)")
_SWITCH = re.compile(r"True or False(?:: (.*))?")


def read_script(path: str | Path) -> LiveCell:
    """Return the cell that an exported script was made of, with what has been changed in it since.

    What stands above the line counts: parameters, definitions, process(). The script's imports and
    definitions are executed, as when a notebook is run; process() is not. Of a script that was not changed,
    the cell has the same program, so that it is exported as the same script again.

    Raises
    ------
    ValueError
        If it is no such script, or what it has become cannot be a live cell: with the cell's line.
    SyntaxError
        As Python raises it.
    """
    path = Path(path)
    name, above, below = parts_of(path)
    above = above.replace(f"{FUTURE}\n", "")
    tree = ast.parse(above, str(path))
    process = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "process"]
    if len(process) != 1:
        raise ValueError(
            f"{path} has {len(process)} functions process(frame, info, state); it should have one."
        )
    lines = above.split("\n")
    parameters = list(_parameters(lines))
    names = {row for row, _ in parameters}
    imports, definitions = [], []
    for node in tree.body:
        text = "\n".join(lines[_first(node) - 1 : node.end_lineno])
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imports.append(text)
        elif (
            node is not process[0]
            and node.lineno not in names
            and not isinstance(node, ast.Expr)
            and not text.startswith((f"{DATA_FILE} =", "RECORDING ="))
        ):
            definitions.append(text)
    arrays = arrays_of(above, below)
    namespace, failed = ipynb.namespace(path, [*imports, *definitions])
    if failed:
        raise ValueError(f"{path}: this failed: {failed[0]}.")
    namespace |= arrays
    head = [line for line in imports if not line.startswith("from __future__")]
    written = [text for _, text in parameters]
    parts = ["\n".join(part) for part in (head, written, _body(above, tree, process[0])) if part]
    return LiveCell("\n\n".join(parts), name, namespace)


def parts_of(path: str | Path) -> tuple[str, str, str]:
    """Return the name of an exported script's cell, and what stands above and below its line.

    Raises
    ------
    ValueError
        If it is no such script.
    """
    text = "\n".join(split_lines(Path(path).read_text(encoding="utf-8")))
    above, _, below = text.partition(BELOW)
    name = re.search(
        r"^ *(?:start|process_live_view|process_recording)\((.+?), sys\._getframe", below, re.MULTILINE
    )
    if not name:
        raise ValueError(f"{path} is not a script that dmlink has exported: it has no line '{BELOW}'.")
    return ast.literal_eval(name[1]), above, below


def _first(node: ast.stmt) -> int:
    return int(min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]))


def _parameters(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield row and text of the parameters, as a cell declares them."""
    if "# Parameters" not in lines:
        return
    for row, line in enumerate(
        lines[lines.index("# Parameters") + 1 :], start=lines.index("# Parameters") + 2
    ):
        if not line.strip():
            return
        statement = ast.parse(line).body
        if not statement:
            continue
        assigned = statement[0]
        if not isinstance(assigned, ast.Assign) or not isinstance(assigned.targets[0], ast.Name):
            raise ValueError(f"line {row}: '{line}' is not a parameter: write NAME = VALUE on one line.")  # noqa: TRY004
        name, value = assigned.targets[0].id, ast.get_source_segment(line, assigned.value) or ""
        comment = next((t.string[1:].strip() for t in _tokens(line) if t.type == tokenize.COMMENT), "")
        try:
            hint, said = _declared(comment, ast.literal_eval(value))
        except ValueError:
            raise ValueError(
                f"line {row}: {name} = {value} is not a value: write a number or a text."
            ) from None
        yield row, f"{name}: {hint} = {value}" + (f"  # {said}" if said else "")


def _declared(comment: str, value: object) -> tuple[str, str]:
    """Return a parameter's annotation and its own comment, from the comment that the export wrote."""
    if match := _ANY.fullmatch(comment):
        return type(value).__name__, match[1]
    if match := _RANGE.fullmatch(comment):
        try:
            bounds = [ast.literal_eval(bound) for bound in match.groups()[:3] if bound]
        except (ValueError, SyntaxError):
            bounds = []
        if bounds and all(isinstance(bound, (int, float)) for bound in bounds):
            return f"({', '.join(map(repr, bounds))})", match[4] or ""
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
    """Return the lines of process() as those of a cell: not indented, the last value not returned."""
    inside = set(inside_strings(_tokens(text)))
    lines = text.rstrip().split("\n")
    last = process.body[-1]
    if isinstance(last, ast.Return) and last.value is not None:
        line = lines[last.lineno - 1]
        start = len(line.encode()[: last.col_offset].decode())
        lines[last.lineno - 1] = line[:start] + line[start:].removeprefix("return ")
    first = (process.body[0].lineno if process.lineno == process.body[0].lineno else process.lineno + 1) - 1
    behind = tree.body[tree.body.index(process) + 1 :]  # what a colleague has written there
    end = _first(behind[0]) - 1 if behind else len(lines)
    body = "\n".join(lines[first:end]).rstrip().split("\n")
    return [line if row in inside else line[4:] for row, line in enumerate(body, start=first + 1)]


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(text + "\n").readline)
