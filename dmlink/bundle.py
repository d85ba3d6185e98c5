"""Joins modules of dmlink.indm into one file that runs in DigitalMicrograph without any installation."""

from __future__ import annotations

import ast
import functools
from importlib import resources
from textwrap import indent
from typing import Any, NamedTuple

_WITHOUT_NUMPY = (
    "try:",
    "    import numpy",
    "except ImportError:",
    '    print("dmlink: GMS has no NumPy here; add it to the environment GMS_VENV_PYTHON.")',
    "    return",
)
_WITHOUT_CALLS = (
    "import DigitalMicrograph",
    "gone = [name for name in {0} if not hasattr(DigitalMicrograph, name)]",
    "if gone:",
    '    print("dmlink: cannot stream from this GMS, which has no", ", ".join(gone) + ". Please send us "',
    '          "the file that the self-test writes (dmlink companion --self-test).")',
    "    return",
)
NEEDED = (
    "Py_ScriptObject",
    "IsScriptOnMainThread",
    "ExecuteScriptString",
    "GetPersistentTagGroup",
    "FindImageByID",
)
"""Without these calls of DigitalMicrograph nothing can be streamed; all others have a fallback."""

_START = """\
import types as dmlink_types

dmlink_types.FunctionType(  # its global names are its own: scripts share theirs, a variable `len` among them
    {0}.__code__,
    {{"dmlink_shared": globals(), **{{n: v for n, v in globals().copy().items() if n[:2] == "__"}}}},
)()
"""


class Part(NamedTuple):
    """A module split up: its docstring, its imports from elsewhere, and the rest as written."""

    doc: str
    imports: dict[str, set[str]]  # module -> names taken from it; "" stands for the module itself
    body: str


COMPANION = (
    "companion.settings",
    "clock", "info", "outline", "protocol", "packing", "unmasked", "results", "gms", "whole_frames",
    "windows", "chart", "renaming", "companion.door", "companion.slots", "companion.region", "companion.rois",
    "companion.view", "companion.views", "companion.camera", "companion.client", "companion.window",
    "companion.showing", "companion.greeting", "companion.companion",
)  # fmt: skip
SELFTEST = (
    "info", "gms", "questions", "selftest.calls", "selftest.answers", "selftest.events", "selftest.images",
    "selftest.surroundings", "selftest.selftest",
)  # fmt: skip


def companion(port: int | None = None, **constants: Any) -> str:
    """Return the companion as the text of one script for DigitalMicrograph; it listens on `port` if possible.

    `constants` are those of dmlink/indm/companion/settings.py, such as `HOST="0.0.0.0", EXPOSE=True` or
    `FEED="camera"`, and of the other modules.

    All of it is inside one function with its own global names, because DM's scripts share theirs:
    no name in another script may replace one of ours while we run, not even a variable `len`.

    Raises
    ------
    ValueError
        If there is no constant of that name.
    """
    if port is not None:
        constants["PORT"] = int(port)
    return _function("dmlink_companion", _parts(COMPANION, constants), NEEDED)


def selftest(**constants: Any) -> str:
    """Return the script that finds out how a real DigitalMicrograph behaves where nothing is published.

    `constants` are those at the top of the modules in dmlink/indm/selftest, such as `ASK=False`.

    Raises
    ------
    ValueError
        If there is no constant of that name.
    """
    return _function("dmlink_selftest", _parts(SELFTEST, constants))


def with_constants(module: Part, constants: dict[str, Any]) -> Part:
    """Return a module with these values for its constants, which are removed from `constants`."""
    if not any(name in module.body for name in constants):
        return module
    lines = module.body.splitlines()
    for node in ast.parse(module.body).body:
        name = ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ""
        if isinstance(node, ast.Assign) and node.lineno == node.end_lineno and name in constants:
            line, value = lines[node.lineno - 1], repr(constants.pop(name))
            lines[node.lineno - 1] = f"{name} = {value}{line[node.value.end_col_offset :]}"
    return module._replace(body="\n".join(lines) + "\n")


def _parts(names: tuple[str, ...], constants: dict[str, Any]) -> list[Part]:
    parts = [with_constants(part(name), constants) for name in names]
    if constants:
        raise ValueError(f"The script has no constant {', '.join(constants)}.")
    return parts


def _function(function: str, parts: list[Part], needed: tuple[str, ...] = ()) -> str:
    """Return modules as one script with one function that it calls; the docstring is the last one's.

    `needed` are functions of DigitalMicrograph without which it does not start.
    """
    body = "\n\n".join(f"# {p.doc.splitlines()[0]}\n\n{p.body}" for p in parts)
    first, *imports = import_lines([p.imports for p in parts]).splitlines()
    checks = [*_WITHOUT_NUMPY, *(line.format(needed) for line in _WITHOUT_CALLS if needed)]
    within = indent("\n".join([*checks, *imports, "", body]), "    ")
    head = f'"""{parts[-1].doc}"""\n\n{first}\n\n\n'
    return f"{head}def {function}():\n{within}\n\n{_START.format(function)}"


@functools.lru_cache(maxsize=None)
def part(name: str) -> Part:
    """Split the module dmlink.indm.NAME into its parts."""
    folder, _, module = f"indm.{name}".rpartition(".")
    text = resources.files(f"dmlink.{folder}").joinpath(f"{module}.py").read_text(encoding="utf-8")
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
