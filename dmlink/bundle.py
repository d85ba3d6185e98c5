"""Joins modules of dmlink.indm into one file that runs in DigitalMicrograph without any installation."""

from __future__ import annotations

import ast
import re
from importlib import resources
from textwrap import indent
from typing import Any, NamedTuple


class Part(NamedTuple):
    """A module taken apart: its docstring, what it imports from elsewhere, and the rest as written."""

    doc: str
    imports: dict[str, set[str]]  # module -> names taken from it; "" stands for the module itself
    body: str


COMPANION = (
    "clock", "info", "protocol", "packing", "results", "gms", "changes", "region", "rois", "view", "views",
    "camera", "client", "window", "showing", "door", "companion",
)  # fmt: skip


def companion(port: int | None = None, **constants: Any) -> str:
    """Return the companion as the text of one script for DigitalMicrograph; it listens at `port` if it can.

    `constants` are those at the top of dmlink/indm/companion.py and the other modules, such as
    `HOST="0.0.0.0", EXPOSE=True` or `FEED="camera"`.

    All of it stands inside of one function: DM's scripts share their global names, and a class of another
    script must not take the place of one of ours while we run.

    Raises
    ------
    ValueError
        If there is no constant of that name.
    """
    if port is not None:
        constants["PORT"] = int(port)
    return _function("dmlink_companion", COMPANION, constants)


def selftest() -> str:
    """Return the script that asks a real DigitalMicrograph what nobody has published."""
    return _function("dmlink_selftest", ("info", "gms", "selftest"), {})


def _function(function: str, names: tuple[str, ...], constants: dict[str, Any]) -> str:
    """Return modules as one script with one function that it calls; the docstring is the last one's."""
    parts = [part(name) for name in names]
    body = "\n\n".join(f"# {p.doc.splitlines()[0]}\n\n{p.body}" for p in parts)
    for name, value in constants.items():
        body, n = re.subn(rf"^{name} = [^#\n]*", f"{name} = {value!r}  ", body, flags=re.MULTILINE)
        if n != 1:
            raise ValueError(f"The companion has no constant {name}.")
    return (
        f'"""{parts[-1].doc}"""\n\n{import_lines([p.imports for p in parts])}\n\n'
        f"def {function}():\n{indent(body, '    ')}\n\n{function}()\n"
    )


def part(name: str) -> Part:
    """Take a module of dmlink.indm apart."""
    text = resources.files("dmlink.indm").joinpath(f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    lines = text.splitlines()
    imports: dict[str, set[str]] = {}
    end_of_head = 0
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            if not node.module.startswith("dmlink"):
                imports.setdefault(node.module, set()).update(_written(a) for a in node.names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                imports.setdefault(_written(alias), set()).add("")
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            break
        end_of_head = node.end_lineno or 0
    body = "\n".join(lines[end_of_head:]).strip("\n") + "\n"
    return Part(ast.get_docstring(tree, clean=False) or "", imports, body)


def import_lines(imports: list[dict[str, set[str]]]) -> str:
    """Return the import statements that all of these need, sorted."""
    merged: dict[str, set[str]] = {}
    for some in imports:
        for module, names in some.items():
            merged.setdefault(module, set()).update(names)
    future = merged.pop("__future__", set())
    first = [f"from __future__ import {', '.join(sorted(future))}", ""] if future else []
    plain = [f"import {module}" for module, names in merged.items() if "" in names]
    taken = [
        f"from {m} import {', '.join(sorted(names - {''}))}" for m, names in merged.items() if names - {""}
    ]
    return "\n".join([*first, *sorted(plain), *sorted(taken)]) + "\n"


def _written(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name
