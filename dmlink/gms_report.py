"""GMS report: what the self-test found out about a DigitalMicrograph, read from its file."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmlink.bundle import NEEDED
from dmlink.indm.questions import NOT_ASKED, PACKAGES, QUESTIONS, REPORT_FORMAT, REPORT_VERSION
from dmlink.indm.selftest.calls import FUNCTIONS, METHODS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

CRASHING = {(3, 50), (3, 51)}  # versions, as in dmlink/indm/gms.py, which runs only in DigitalMicrograph
MAX_BYTES = 1_000_000  # bytes; a report has a few kilobytes
FORMS = (
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64", "complex64", "complex128",
    "1-D", "row", "3-D",
)  # fmt: skip
"""Arrays that can be images in DigitalMicrograph, as in the answer to `create_image`."""

CALLS = frozenset(
    [f"DM.{name}" for name in FUNCTIONS]
    + [f"{kind}.{name}" for kind, names in METHODS.items() for name in names]
    + ["DMScript.ImageGetID", "DMScript.DeleteImage", "DMScript.ImageDisplayDeleteROI"]
)

CONSEQUENCES: dict[tuple[str, Any], str] = {
    ("live_events", "none"): "The image is polled instead; run exported scripts in the background.",
    ("live_events", 2): "Frames are compared, so that none is counted twice.",
    ("unregister", "missing"): "Listeners do nothing once they have ended.",
    ("nested_listeners", "fails"): "Windows of exported scripts are polled instead.",
    ("after_exception", "ends"): "No exception of dmlink's ever leaves a handler.",
    ("annotations", "refused"): "Marks of one frame stay, and no more are drawn.",
    ("annotations", "kept"): "Marks of one frame stay, and no more are drawn.",
    ("roi_removal", "no"): "To remove a rectangle, select it in DigitalMicrograph and press Delete.",
    ("colours", "fails"): "Exported scripts show no colours.",
    ("colours", "not found by its number"): "Exported scripts show no colours.",
    ("python_strings", "own"): "The menu does not stop what was started by hand: press Ctrl+Shift+Q.",
    ("python_strings", "missing"): "The menu does not work; open scripts by hand.",
    ("python_strings", "no answer"): "The menu may not work; open scripts by hand.",
}
"""Consequences of some answers for dmlink."""


def _one_of(*choices: Any) -> Callable[[Any], bool]:
    return lambda answer: any(answer == choice and type(answer) is type(choice) for choice in choices)


def _names(answer: Any) -> bool:
    return isinstance(answer, list) and all(isinstance(name, str) and len(name) < 100 for name in answer)


def _steps(answer: Any) -> bool:
    return isinstance(answer, dict) and all(
        type(ms) in {int, float} and math.isfinite(ms) and 0 <= ms <= 1000 for ms in answer.values()
    )


_POSSIBLE: dict[str, Callable[[Any], bool]] = {
    "handler_thread": _one_of("main", "script", "other", "no event"),
    "events": _one_of("queue", "coalesce", "no event"),
    "live_events": _one_of(1, 2, "none"),
    "live_parts": lambda answer: answer == "none" or (type(answer) is int and 1 <= answer <= 10_000),
    "event_names": _names,
    "references": _one_of("weak", "strong", "no event"),
    "unregister": _one_of("works", "missing", "fails", "has no effect"),
    "nested_listeners": _one_of("works", "fails", "no event"),
    "after_exception": _one_of("goes on", "ends", "no event"),
    "deleted_usable": _one_of(True, False),
    "stale_groups": _one_of(True, False),
    "create_image": lambda answer: (
        isinstance(answer, dict) and all(isinstance(v, str) for v in answer.values())
    ),
    "colour_pixels": lambda answer: isinstance(answer, str) and len(answer) < 100,
    "colours": _one_of("ok", "fails", "not found by its number"),
    "annotations": _one_of("removed", "refused", "kept"),
    "roi_removal": _one_of("python", "script", "no"),
    "unit": _one_of("empty", "ASCII text", "str", "bytes"),
    "continuous": _one_of("any", "exposure"),
    "timer": _steps,
    "folder": lambda answer: isinstance(answer, dict) and type(answer.get("writable")) is bool,
    "argv": _one_of("host", "empty", "missing"),
    "packages": _names,
    "loopback": _one_of(True),
    "threads": _one_of("run", "frozen", "run the self-test a second time"),
    "python_strings": _one_of("shared", "own", "missing", "no answer"),
    "missing": _names,
    "failing": _names,
    "recording": lambda answer: (
        isinstance(answer, dict)
        and answer.get("layout") in {"raw", "tree"}
        and answer.get("header") in {"first", "last"}
    ),
}


@dataclass
class GmsReport:
    """A report; only answers that are possible for their questions are kept.

    Attributes
    ----------
    gms, python : tuple of int
        Versions, such as (3, 61, 4719) and (3, 10, 9); empty if they are not in the report.
    numpy, system : str
        Version of NumPy; operating system.
    main_thread : bool
        Whether the self-test ran on the main thread.
    answers : dict
        By the names in `dmlink.indm.questions.QUESTIONS`; questions not asked, or failed, are left out.
    problems : dict of str to str
        Exceptions, by the names of the questions.
    doubts : list of str
        Implausible answers and why, one sentence each.
    """

    gms: tuple[int, ...] = ()
    python: tuple[int, ...] = ()
    numpy: str = ""
    system: str = ""
    main_thread: bool = False
    answers: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._doubt_answers()
        self._doubt_contradictions()

    @property
    def unanswered(self) -> list[str]:
        """Names of the questions without an answer."""
        return [name for name in QUESTIONS if name not in self.answers]

    def _doubt_answers(self) -> None:
        for name, answer in list(self.answers.items()):
            if name not in QUESTIONS:
                self._doubt(name, f"This dmlink does not know the question {name!r:.60}.")
            elif answer == NOT_ASKED:
                del self.answers[name]
            elif not _POSSIBLE[name](answer):
                self._doubt(name, f"{name}: {answer!r:.60} is not a possible answer.")

    def _doubt_contradictions(self) -> None:
        if self.gms and not (len(self.gms) == 3 and 3 <= self.gms[0] < 10 and min(self.gms) >= 0):
            self.doubts.append(f"gms: {list(self.gms)!r:.60} is not a version of GMS.")
            self.gms = ()
        if self.python and not (len(self.python) == 3 and self.python[0] == 3 and self.python[1] >= 7):
            self.doubts.append(f"python: {list(self.python)!r:.60} is not the Python of any GMS since 3.4.")
            self.python = ()
        missing = set(self.answers.get("missing", ()))
        if self.answers.get("unregister") == "works" and "Py_ScriptObject.UnregisterAllListeners" in missing:
            self._doubt("unregister", "unregister: it works, but is also reported missing.")
        if "DM.CreateImage" in missing and self.answers.get("create_image", {}).get("float32") == "ok":
            self._doubt("create_image", "create_image: it works, but DM.CreateImage is reported missing.")
        for name in ("missing", "failing"):
            unknown = [call for call in self.answers.get(name, ()) if call not in CALLS]
            if unknown:
                self.doubts.append(f"{name}: dmlink never calls {', '.join(unknown[:5])!r:.200}.")
                self.answers[name] = [call for call in self.answers[name] if call in CALLS]

    def _doubt(self, name: str, why: str) -> None:
        self.doubts.append(why)
        self.answers.pop(name, None)

    @property
    def fault(self) -> str:
        """Why dmlink cannot stream from this GMS; empty if it can."""
        gone = sorted(set(self.answers.get("missing", ())) & {f"DM.{name}" for name in NEEDED})
        if gone:
            return f"It has no {', '.join(gone)}, so dmlink cannot stream from it."
        return (
            "GMS 3.5.0 and 3.5.1 crash with listeners: use 3.5.2 or later."
            if self.gms[:2] in CRASHING
            else ""
        )

    def sentences(self) -> Iterator[str]:
        """Yield what is known about this GMS, question by question, and the consequences."""
        for name, question in QUESTIONS.items():
            if name in self.answers:
                answer = self.answers[name]
                consequence = CONSEQUENCES.get((name, answer)) if isinstance(answer, (str, int)) else None
                yield f"{question} {as_text(answer)}" + (f". {consequence}" if consequence else "")
            elif name in self.problems:
                yield f"{question} The question failed: {self.problems[name]}"
        if self.unanswered:
            yield f"Not answered: {', '.join(self.unanswered)}."

    @property
    def absent(self) -> list[str]:
        """Packages that were looked for but are missing."""
        return [name for name in PACKAGES if name not in self.answers.get("packages", PACKAGES)]


def read_report(path: str | PathLike[str]) -> GmsReport:
    """Read a report written by the self-test.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is not a report, is truncated, or is from another version.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{path} has {size / 1e6:.4g} MB; a report of the self-test is a few kilobytes.")
    again = "Use the file exactly as the self-test wrote it."
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))  # an editor may have added the mark
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is cut short, or not a report of the self-test ({error}). {again}"
        ) from None
    if not isinstance(found, dict) or found.get("format") != REPORT_FORMAT:
        raise ValueError(
            f"{path} is not a report of the self-test: it does not say {REPORT_FORMAT!r}. {again}"
        )
    version = found.get("version")
    if version != REPORT_VERSION:
        raise ValueError(
            f"{path} is a report of version {version!r:.20}; this dmlink reads version {REPORT_VERSION}. Use "
            "the dmlink that wrote the self-test."
        )
    answers, problems = found.get("answers"), found.get("problems")
    return GmsReport(
        gms=_numbers(found.get("gms")),
        python=_numbers(found.get("python")),
        numpy=_text(found.get("numpy")),
        system=_text(found.get("system")),
        main_thread=found.get("main_thread") is True,
        answers=dict(answers) if isinstance(answers, dict) else {},
        problems={_text(k): _text(v) for k, v in problems.items()} if isinstance(problems, dict) else {},
    )


def as_text(answer: Any) -> str:
    """Return an answer as readable text."""
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    if isinstance(answer, dict):
        return ", ".join(f"{name} {as_text(value)}" for name, value in sorted(answer.items()))
    if isinstance(answer, list):
        return ", ".join(map(as_text, answer)) or "none"
    return _text(str(answer))


def _numbers(value: Any) -> tuple[int, ...]:
    whole = isinstance(value, list) and len(value) <= 4 and all(type(n) is int for n in value)
    return tuple(value) if whole else ()


def _text(value: Any) -> str:
    return "".join(letter for letter in value[:60] if letter.isprintable()) if isinstance(value, str) else ""
