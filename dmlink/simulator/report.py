"""Report: the switches with which the simulator imitates the GMS that a self-test report describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmlink.gms_report import FORMS, GmsReport, read_report

if TYPE_CHECKING:
    from os import PathLike

#: Clocks that go in smaller steps, in ms, are as good as steady.
_FINE_MS = 3.0


def switches_of(report: str | PathLike[str] | GmsReport) -> dict[str, Any]:
    """Return the switches that imitate a report; what it does not answer keeps its default.

    Raises
    ------
    OSError, ValueError
        As `dmlink.gms_report.read_report`.
    """
    if not isinstance(report, GmsReport):
        report = read_report(report)
    found = report.answers
    switches: dict[str, Any] = {}
    if report.gms:
        switches["version"] = report.gms
    if report.python:
        switches["python"] = report.python[:2]
    for name, switch, values in _MEANING:
        answer = found.get(name)
        if isinstance(answer, (str, bool, int)) and answer in values:
            switches[switch] = values[answer]
    if isinstance(found.get("live_parts"), int):
        switches["partial_frames"] = found["live_parts"]
    if "create_image" in found:
        switches.update(_creation(found["create_image"]))
    if "colour_pixels" in found:
        switches["colour_pixels"] = _colours(found["colour_pixels"])
    if "timer" in found:
        steps = max(found["timer"].get(name, 0.0) for name in ("time", "monotonic", "sleep"))
        switches["timer"] = steps / 1000 if steps > _FINE_MS else 0.0
    if "folder" in found:
        switches["writable_cwd"] = found["folder"]["writable"]
    if "packages" in found:
        switches["absent"] = tuple(report.absent)
    for name in ("missing", "failing"):
        if name in found:
            switches[name] = tuple(found[name])
    call = "Py_ScriptObject.UnregisterAllListeners"
    if switches.get("unregister_all") is False and "missing" in found:
        switches["missing"] = tuple(name for name in found["missing"] if name != call)
    if found.get("unregister") == "fails":
        switches["failing"] = tuple({*switches.get("failing", ()), call})
    if "loopback" in report.problems:
        switches["loopback"] = False
    return switches


_MEANING: list[tuple[str, str, dict[Any, Any]]] = [
    ("handler_thread", "handlers", {"main": "main", "script": "own", "other": "own"}),
    ("events", "events", {"coalesce": "coalesce", "queue": "queue"}),
    ("live_events", "events", {"none": "none"}),
    ("live_events", "twice_per_frame", {1: False, 2: True}),
    ("references", "references", {"weak": "weak", "strong": "strong"}),
    ("unregister", "unregister_all", {"missing": False, "works": True, "fails": True}),
    ("nested_listeners", "nested_listeners", {"works": True, "fails": False}),
    ("after_exception", "after_exception", {"goes on": "goes on", "ends": "ends"}),
    ("deleted_usable", "deleted_usable", {True: True, False: False}),
    ("stale_groups", "stale_persistent", {True: True, False: False}),
    ("annotations", "annotations", {"removed": "removed", "refused": "refused", "kept": "kept"}),
    ("roi_removal", "roi_removal", {"script": "script", "python": "python", "no": "no"}),
    ("unit", "unit_bytes", {"bytes": True, "str": False}),
    ("continuous", "continuous", {"any": "any", "exposure": "exposure"}),
    ("loopback", "loopback", {True: True}),
    ("argv", "argv", {"host": "host", "empty": "empty", "missing": "missing"}),
    ("threads", "threads", {"run": "run", "frozen": "frozen"}),
    ("python_strings", "python_strings", {"shared": "shared", "own": "own"}),
]
"""Question, switch, and the switch's value for each answer."""


def _colours(answer: str) -> str:
    return "refused" if answer == "refused" else "planes" if answer == "uint8 [4, 4, 3]" else "packed"


def _creation(made: dict[str, str]) -> dict[str, Any]:
    """Return the switches of CreateImage: what it refuses, and how."""
    refusals = {form: answer for form, answer in made.items() if answer == "None" or answer.isidentifier()}
    refusals = {form: answer for form, answer in refusals.items() if answer != "ok"}
    found: dict[str, Any] = {"refused": tuple(form for form in FORMS if form in refusals)}
    if refusals:
        found["create_image"] = "none" if "None" in refusals.values() else "raise"
    if "array of an image" in made:
        found["image_arrays"] = made["array of an image"] == "ok"
    return found
