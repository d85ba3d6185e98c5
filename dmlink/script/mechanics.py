"""Mechanics: the part of an exported script below the dividing line, joined from files of dmlink.indm."""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
from string import Template
from textwrap import indent
from typing import TYPE_CHECKING

from dmlink import bundle
from dmlink.indm import memory
from dmlink.script.result_kinds import KINDS, kinds_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmlink.indm.outline import Outline
    from dmlink.program.program import Program

# The files of each target, in order; files for results and for helpers of the cell are inserted between them.
FIRST = {
    "live": (
        "clock",
        "info",
        "unmasked",
        "results",
        "gms",
        "whole_frames",
        "windows",
        "script.names",
        "script.sums",
        "script.cell",
    ),
    "batch": (
        "info",
        "unmasked",
        "results",
        "gms",
        "recorded",
        "windows",
        "script.names",
        "script.sums",
        "script.cell",
    ),
}
LAST = {"live": "script.live", "batch": "script.batch"}
RESULT_FILES = {  # the files that show each kind of result
    "Scalar": ("chart", "script.numbers"),
    "Profile": ("script.profiles",),
    "Image": ("script.images",),
    "Points": ("script.marks",),
    "Boxes": ("script.marks",),
    "Overlay": ("script.images", "script.marks", "script.overlays"),
    "Table": ("script.words",),
    "Text": ("script.words",),
    "Event": ("script.marks", "script.events"),
    "Several": (),
}
OWN_KINDS = {"Points", "Boxes", "Overlay", "Event"}  # a plain value never becomes one of these
READS = {
    "live": ("tags", "line", "rois"),
    "batch": ("tags",),
}  # attributes of `info` that are read from DM only if the cell uses them

RULE = "-" * 60  # above each heading
SCRIPT = Template('''\
def $start($settings):
    """Run process() in DigitalMicrograph (DM).

    Everything needed is inside this function, so that it cannot clash with your names. "Cell" means the part
    above the line, which was a cell in a Jupyter notebook. The parts:

$contents
    """
$imports
    # Python's own names, even if they are redefined above
$builtins

$files
    # This script

    names = own_names(sys._getframe(), before, {$given})
    if names is not None:
$run


$start($values)
''')


def mechanics(
    program: Program,
    target: str,
    settings: Mapping[str, str],
    arrays: str,
    outline: Outline | None = None,
) -> str:
    """Return the function that runs a program in DigitalMicrograph, and the call to it.

    Parameters
    ----------
    settings : mapping of str to str
        The variables above the line by meaning: "before", "recording", "roi", "arrays".
    arrays : str
        The arrays as a literal if they are part of the text, otherwise empty.
    outline : Outline, optional
        What is drawn in the ROI of a cell that asks for its mask.
    """
    tree = ast.parse(program.source)
    given = sorted(given_names(tree))
    values = dict(settings) | {what: arrays for what in ["arrays"] if arrays}
    files = _files(program, target, tree, with_arrays="arrays" in values)
    if masks := asks_for_mask(program):
        files[-1:-1] = ["outline", "script.masked"]
        values["outline"] = repr(outline and tuple(outline))
    parts = [bundle.part(name) for name in files]
    words = set(re.findall(r"\w+", program.source))
    reads = [word for word in READS[target] if word in words]
    body = "\n\n".join(f"{_heading(part.doc)}\n\n{part.body}" for part in parts)
    arguments = [f'"{program.name}"', "sys._getframe()", "names"]
    arguments += ["recording"] * (target == "batch")
    arguments.append("reads=[{}]".format(", ".join(f'"{word}"' for word in reads)))
    arguments += ["roi=roi"] * ("roi" in settings) + ["place_of=masked_by(outline)"] * masks
    run = [f"process_{'live_view' if target == 'live' else 'recording'}({', '.join(arguments)})"]
    if "arrays" in values:
        run.insert(0, "names.update(arrays_of(arrays))")
    titles = [f"- {part.doc.splitlines()[0]}" for part in parts]
    imports = bundle.import_lines(
        [{"sys": {""}}, *({m: n for m, n in part.imports.items() if m != "__future__"} for part in parts)]
    )
    return SCRIPT.substitute(
        start=start_name(program),
        settings=", ".join(values),
        contents=indent("\n".join(titles), "    "),
        imports=indent(imports, "    "),
        builtins=indent(_builtins(f"{body}\n{imports}"), "    "),
        files=indent(body, "    "),
        given=", ".join(f'"{name}": {name}' for name in given),
        run=indent("\n".join(run), "        "),
        values=", ".join(f"{what}={value}" for what, value in values.items()),
    )


def asks_for_mask(program: Program) -> bool:
    """Tell whether a script needs to know which pixels of its ROI count."""
    return re.search(r"\.mask\b", program.source) is not None


def start_name(program: Program) -> str:
    """Return the name of that function, the only one next to the program's own names."""
    return free_word("dmlink_live", program)


def free_word(word: str, program: Program) -> str:
    """Return a word that the program does not use, the given one if possible."""
    words = set(re.findall(r"\w+", program.source))
    while word in words:
        word += "_"
    return word


def given_names(tree: ast.Module) -> set[str]:
    """Return the names that a program imports from dmlink."""
    imports = (node for node in tree.body if isinstance(node, ast.ImportFrom))
    ours = (node for node in imports if (node.module or "").partition(".")[0] == "dmlink")
    return {alias.name for node in ours for alias in node.names}


def _files(program: Program, target: str, tree: ast.Module, *, with_arrays: bool) -> list[str]:
    """Return the files of which a program's script consists, in order."""
    given = given_names(tree)
    found = {name: parameter.value for name, parameter in program.parameters.items()}
    kinds = kinds_of(tree, {name: 0 if value is None else value for name, value in found.items()})
    kinds = (KINDS - OWN_KINDS if kinds is None else kinds) | (given & KINDS)
    files = [*FIRST[target]]
    if any(hasattr(memory, name) for name in given - KINDS):
        files.append("memory")
    if with_arrays:
        files.append("script.arrays")
    for kind, needed in RESULT_FILES.items():
        files += [file for file in needed if kind in kinds and file not in files]
    return [*files, LAST[target]]


def _heading(doc: str) -> str:
    """Return a file's docstring as a comment above it."""
    lines = [RULE, *doc.splitlines()]
    return "\n".join(f"# {line}".rstrip() for line in lines)


def _builtins(text: str) -> str:
    """Return the import of the built-in names that a text uses."""
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    own = {name for name in dir(builtins) if _is_pythons(getattr(builtins, name))}  # IPython adds others
    names = ", ".join(sorted(used & own))
    return f"from builtins import (\n{indent(textwrap.fill(names, 100), '    ')}\n)"


def _is_pythons(builtin: object) -> bool:
    return getattr(builtin, "__module__", "builtins") in {"builtins", "_io"}
