"""Writes dm-api.md from dm-calls.tsv and dm-conformance.tsv: `.venv/bin/python docs/dm_api.py`."""

from __future__ import annotations

import ast
import csv
import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from dmlink.gms_report import as_text, read_report  # noqa: E402 - of this checkout
from dmlink.indm.questions import QUESTIONS  # noqa: E402

IN_DM = HERE.parent / "dmlink" / "indm"

SECTIONS = {
    "DM": "The module `DigitalMicrograph`, as `DM`",
    "Py_ScriptObject": "Listeners",
    "Py_Image": "Images",
    "Py_ImageDocument": "Documents",
    "Py_Window": "Windows",
    "Py_ImageDisplay": "Displays",
    "Py_LinePlotImageDisplay": "Line plots",
    "Py_ROI": "Regions of interest",
    "Py_Component": "Annotations",
    "Py_TagGroup": "Tags",
    "Py_Camera": "The camera",
    "Py_Microscope": "The column",
    "DMScript": "DM-script, as dmlink sends it, or writes it for a menu",
}

HEAD = """\
# DigitalMicrograph's Python, as far as it is known

There is no public reference for the `DigitalMicrograph` module. This page lists the calls made in 191 public
scripts by 15 authors, and how reliably each is known; the calls that dmlink makes are bold. This project has
not tried any of them in a real GMS yet; `dmlink companion --self-test` writes a script that
[does](#what-only-a-real-gms-can-answer). In which Pythons the companion, the self-test and exported scripts
have run, on Linux and Windows, is [listed separately](platforms.md). The page is generated from
`docs/dm-calls.tsv` by `python docs/dm_api.py`, and a test compares that table with the simulator, the
companion and exported scripts.

**Authors** are counted once, however many scripts they have written. Every call that dmlink makes has been
used by two or more of them, or has a fallback, which is described with the call and tested in the simulator
with that call missing and with that call failing. **R**: seen in scripts whose authors say that they run in
GMS. **I**: inferred from those. **L**: seen in code that nobody says has run. **U**: unknown. **X**: seen
once and abandoned by its author, or failing there. The simulator has exactly the calls not marked U or X.
"""

REPORTS = """\
## What only a real GMS can answer

`dmlink companion --self-test` writes a script that answers these questions in DigitalMicrograph and saves the
answers in one file, `gms-report.json`; [how to send it to us](howto/send-your-gms.md). **There is no real
report yet.** The two columns were made up for tests: `Microscope(recording, report="gms-report.json")` makes
the simulator behave like that GMS, and companion, exported scripts and gallery run with both.
"""

TAIL = """\
## The rest

| fact or question | what dmlink does | |
|---|---|---|
| GMS 3.5.0 and 3.5.1 crash with listeners | it refuses them | R |
| Python 3.7 up to GMS 3.5, 3.10 from 3.6 | scripts are written for 3.7 | R |
| NumPy is installed, nothing else (Gatan's manual) | companion and mechanics need nothing else | R |
| tag groups work as dicts, `tags["A"]["B"]` (MF, PA) | used only for a binning that is a pair; without it, `info.tags` has no binning | R |
| scripts share their global names | the companion and exported scripts have their own global names | R |
| on which thread handlers are called | no assumption: handlers call only what copying needs, and never wait | U |
| whether Python threads continue after a script has ended | no assumption: the companion stays in its loop | I |

## Sources

BM is B. Miller (Gatan), EW E. Weare and MF M. Fay (nmRC), LT LiberTEM, PA pyAutoMic, EX execdmscript and PyLo, JR J. Renner, DW Wahlqvist, JL Lindner,
SP Najeeb and Spillane, IP scripts that prepare samples with Gatan's PECS, JK jinseuk56, LM lukmuk, AR arksa, FX fauxEM, CA a script for continuous acquisition, NU NUANCE_GMS_MCP. Listeners are known only from
BM and EW, whose scripts derive from BM's, so they have fallbacks, too.

The sources are scripts and pages by Gatan ([Python images and NumPy arrays](https://www.gatan.com/jp/python-images-and-numpy-arrays), [live processing](https://gatan.com/node/4818), B. Miller's
[GMS-Python](https://github.com/BenMiller002/GMS-Python)), of the nmRC in Nottingham ([EM_scripts](https://github.com/benweare/EM_scripts), [nmRCGMSpython](https://github.com/emzmwf/nmRCGMSpython)),
[LiberTEM](https://github.com/LiberTEM/LiberTEM), [pyAutoMic](https://github.com/pycroscopy/pyAutoMic), [execdmscript](https://github.com/miile7/execdmscript) and
[InsteaDMatic](https://github.com/stefsmeets/InsteaDMatic). They were read to learn how the module behaves; this project contains none of their code.
"""  # noqa: E501


class Call(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    name : str
        Such as "DM.CreateImage", "Py_Image.GetName" or "DMScript.rgb".
    arguments : tuple of int
        How many it is called with.
    authors : tuple of str
        Independent ones, by their letters.
    mark : str
        R, I, L, U or X.
    meaning, way_out : str
        Arguments and return value; what dmlink does where the call is missing or fails.
    """

    name: str
    arguments: tuple[int, ...]
    authors: tuple[str, ...]
    mark: str
    meaning: str
    way_out: str

    @property
    def owner(self) -> str:
        """What the call belongs to, such as "Py_Image"."""
        return self.name.partition(".")[0]

    @property
    def short(self) -> str:
        """The name by which code calls it: with "DM." or "DMScript.", or the method's alone."""
        return self.name if self.owner in {"DM", "DMScript"} else self.name.partition(".")[2]


def rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a table in this folder."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def calls() -> list[Call]:
    """Return the table."""
    return [
        Call(
            row["call"],
            tuple(map(int, row["arguments"].split())),
            tuple(filter(None, row["authors"].split(","))),
            row["mark"],
            row["meaning"],
            row["way out"],
        )
        for row in rows("dm-calls.tsv")
    ]


def used(folder: Path = IN_DM) -> dict[str, set[int | None]]:
    """Return what runs in DM calls: short names, and with how many arguments (None: that cannot be seen)."""
    found: dict[str, set[int | None]] = {}
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.py"))]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    handlers = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    elsewhere = {node.name for node in nodes if isinstance(node, ast.ClassDef)} | {
        (alias.asname or alias.name).partition(".")[0]
        for node in nodes
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    } - {"DM"}
    called = {id(node.func): node for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        if isinstance(node, ast.Attribute):
            call = called.get(id(node))
            starred = call and any(isinstance(argument, ast.Starred) for argument in call.args)
            n = None if call is None or starred else len(call.args)
            if name := _name(node, handlers, elsewhere):
                listener = name in {"__init__", "__del__"} and n is not None
                found.setdefault(name, set()).add(n - 1 if listener else n)
    for name in re.findall(r"\b(?:rgb|[A-Z]\w+)(?=\()", " ".join(_script_texts(trees))):
        found.setdefault(f"DMScript.{name}", set()).add(None)
    return found


def _name(node: ast.Attribute, handlers: set[str], elsewhere: set[str]) -> str | None:
    base = node.value
    if isinstance(base, ast.Name) and base.id == "DM":
        return f"DM.{node.attr}"
    if node.attr in {"__init__", "__del__"}:
        listener = isinstance(base, ast.Attribute) and base.attr == "Py_ScriptObject"
        return node.attr if listener else None
    if isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name) and base.value.id == "np":
        return None  # np.ma.MaskedArray
    ours = node.attr in handlers or (isinstance(base, ast.Name) and base.id in elsewhere)
    return node.attr if re.match(r"[A-Z]\w*[a-z]", node.attr) and not ours else None


def _script_texts(trees: list[ast.Module]) -> list[str]:
    """Return the texts of the functions that execute DM-script, but for their docstrings."""
    texts = []
    for tree in trees:
        for function in ast.walk(tree):
            if isinstance(function, (ast.FunctionDef, ast.ClassDef)) and "ExecuteScriptString" in ast.dump(
                function
            ):
                docs = {id(n.value) for n in ast.walk(function) if isinstance(n, ast.Expr)}
                strings = (n for n in ast.walk(function) if isinstance(n, ast.Constant) and id(n) not in docs)
                texts += [str(n.value) for n in strings if isinstance(n.value, str)]
    return texts


def page() -> str:
    """Return the page."""
    ours = used()
    parts = [HEAD]
    for owner, title in SECTIONS.items():
        parts.append(f"## {title}\n\n| call | arguments | authors | | |\n|---|---|---|---|---|")
        for call in (call for call in calls() if call.owner == owner):
            name = f"`{call.name.removeprefix(owner + '.')}`"
            name = f"**{name}**" if call.short in ours else name
            meaning = call.meaning
            if call.way_out:
                meaning = (
                    f"{meaning}. *Fallback:* {call.way_out}" if meaning else f"*Fallback:* {call.way_out}"
                )
            who = f"{len(call.authors)}: {', '.join(call.authors)}" if call.authors else "none"
            arguments = " or ".join(map(str, call.arguments))
            parts.append(f"| {name} | {arguments} | {who} | {meaning} | {call.mark} |")
        parts.append("")
    parts += [reports(), conformance(), TAIL]
    return "\n".join(parts)


def reports() -> str:
    """Return the section about reports of the self-test."""
    files = sorted((HERE.parent / "tests" / "support" / "gms_reports").glob("*.json"))
    real = sorted((HERE / "gms-reports").glob("*.json"))
    found = [
        (path, read_report(path), bool(json.loads(path.read_text()).get("made_up")))
        for path in [*real, *files]
    ]
    titles = [f"{'made up: ' if made_up else ''}GMS {'.'.join(map(str, r.gms))}" for _, r, made_up in found]
    lines = [
        REPORTS,
        f"| question | {' | '.join(titles)} |",
        f"|---|{'---|' * len(titles)}",
    ]
    lines += [
        f"| {question} | {' | '.join(as_text(r.answers.get(name, 'not asked')) for _, r, _ in found)} |"
        for name, question in QUESTIONS.items()
    ]
    return "\n".join([*lines, ""])


def conformance() -> str:
    """Return the section about other people's packages."""
    table: list[dict[str, Any]] = list(rows("dm-conformance.tsv"))
    passed = sum(row["result"] == "passes" for row in table)
    lines = [
        "## Other people's packages in the simulator",
        "",
        f"Functions of packages that run in real GMS, run in the simulator by `python tests/checks/conformance.py`: {passed} of {len(table)} pass.",  # noqa: E501
        "",
        "| package | what | result |",
        "|---|---|---|",
    ]
    lines += [f"| {row['package']} | {row['what']} | {row['result']} |" for row in table]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    (HERE / "dm-api.md").write_text(page(), encoding="utf-8")
