"""Every open question is answered, whatever the answer is: the self-test under each value of each switch."""

from __future__ import annotations

import dataclasses

import pytest
from gms_reports import REPORTS
from microscopes import PATIENCE, Noise
from selftests import LATER, PATIENT, SHORT, InMicrometres, asked

from dmlink import bundle
from dmlink.gms_report import FORMS, read_report
from dmlink.indm.questions import PACKAGES, QUESTIONS
from dmlink.simulator import Microscope
from dmlink.simulator.report import switches_of
from dmlink.simulator.switches import CHOICES, Switches

SEVERAL = [  # every switch with a question, a few at a time
    {
        "handlers": "own",
        "references": "strong",
        "annotations": "refused",
        "continuous": "exposure",
        "argv": "empty",
    },
    {"events": "queue", "twice_per_frame": True, "roi_removal": "python", "absent": ("scipy", "matplotlib")},
    {
        "events": "none",
        "annotations": "kept",
        "writable_cwd": True,
        "python_strings": "own",
        "loopback": False,
    },
    {"partial_frames": 4, "unregister_all": False, "create_image": "none", "stale_persistent": True},
    {"nested_listeners": False, "after_exception": "ends", "roi_removal": "no", "timer": 0.0156},
    {"deleted_usable": False, "refused": ("float64", "1-D"), "image_arrays": False, "argv": "missing"},
    {"failing": ("Py_ScriptObject.UnregisterAllListeners", "DM.DeleteImage"), "version": (3, 43, 3213)},
    {"missing": ("DM.CountImageDocuments", "Py_Image.FindNextImage"), "python": (3, 11)},
    {"unit_bytes": False, "colour_pixels": "packed"},
]
OFTEN = 4  # how many of them are tried in every run: the self-test takes eight seconds
NO_QUESTION = {"do_events", "scipy_in_background", "confirm", "strict_del", "in_situ"}  # dmlink avoids these
SECOND_RUN = {"threads"}
FLAGS = [field.name for field in dataclasses.fields(Switches) if field.type == "bool"]
EACH = [
    *((name, value) for name, values in CHOICES.items() for value in values),
    *((name, value) for name in FLAGS for value in (True, False)),
    *(("version", version) for version in ((3, 40, 1), (3, 52, 2), (3, 60, 3), (3, 61, 4719))),
    *(("partial_frames", n) for n in (1, 2, 4)),
    *(("refused", (form,)) for form in FORMS),
    *(("absent", (name,)) for name in PACKAGES if name != "numpy"),
    *(("timer", step) for step in (0.0, 0.0156)),
    *(("missing", (f"Py_ScriptObject.{event}",)) for event in ("WindowHandleWindowClosedEvent",)),
]
WITH_WINDOWS = {
    *("handler_thread", "events", "references", "unregister", "nested_listeners", "after_exception"),
    *("deleted_usable", "colour_pixels", "colours", "annotations", "roi_removal", "missing"),
}
UNANSWERED = {
    ("confirm", False): WITH_WINDOWS | {"continuous"},
    ("refused", ("float32",)): WITH_WINDOWS,  # a GMS that has no image like those that dmlink shows
    ("refused", ("uint8",)): {"colours", "colour_pixels"},  # without planes there are no colours
    ("loopback", False): {"loopback"},  # failing is the answer
}


def check(found, switches):
    """Check that a report stands for these switches."""
    for name, value in switches.items():
        if name == "timer":
            assert 0.01 < found[name] < 1 if value else not found[name]
        elif name in {"absent", "failing", "missing", "refused"}:  # other forms have that type, too
            assert set(value) <= set(found[name])
        elif name == "create_image":
            assert found.get(name, value) == value  # it says how arrays are refused, if any is
        elif name not in NO_QUESTION | SECOND_RUN:
            assert found[name] == value, name


@pytest.mark.parametrize(
    "switches",
    [*SEVERAL[:OFTEN], *(pytest.param(rest, marks=pytest.mark.exhaustive) for rest in SEVERAL[OFTEN:])],
    ids=str,
)
def test_answers_are_the_switches(tmp_path, monkeypatch, switches):
    monkeypatch.chdir(tmp_path)
    path, _ = asked(tmp_path, constants=PATIENT, recording=InMicrometres(), fps=10, **switches)
    check(switches_of(path), switches)


def test_each_question_about_a_switch_is_tried():
    tried = {name for switches in SEVERAL for name in switches}
    assert {field.name for field in dataclasses.fields(Switches)} - NO_QUESTION - SECOND_RUN == tried


@pytest.mark.exhaustive
@pytest.mark.parametrize("background", [True, False], ids=["background", "main thread"])
@pytest.mark.parametrize(("switch", "value"), EACH, ids=str)
def test_every_question_under_each_switch(tmp_path, monkeypatch, switch, value, background):
    monkeypatch.chdir(tmp_path)
    switches = {switch: value}
    path, _ = asked(tmp_path, background, PATIENT, InMicrometres(), fps=10, **switches)
    report = read_report(path)
    assert not report.doubts
    assert set(report.unanswered) <= LATER | UNANSWERED.get((switch, value), set())
    check(switches_of(report), switches)


def test_crashing_gms_is_asked_without_listeners(tmp_path):
    path, dm = asked(tmp_path, version=(3, 50, 1))
    report = read_report(path)
    assert report.gms == (3, 50, 1)
    assert {"packages", "timer", "folder", "create_image", "stale_groups"} <= set(report.answers)
    assert not WITH_WINDOWS & set(report.answers)
    assert dm.dialogs == []


@pytest.mark.parametrize("threads", CHOICES["threads"])
def test_second_run_knows_of_threads(tmp_path, threads):
    with Microscope(Noise(), fps=50, threads=threads) as dm:
        twice(dm, tmp_path, threads)
    assert read_report(tmp_path / "gms-report-2.json").answers["threads"] == threads


FOR_100_TICKS = """
import time
while sum(tick > dmlink_selftest_ticks["end"] for tick in list(dmlink_selftest_ticks["times"])) < 100:
    time.sleep(0.01)
"""


def twice(dm, folder, threads):
    """Run the self-test a second time when the first one's thread has had time to run on."""
    text = bundle.selftest(FOLDER=str(folder), ASK=False, THREAD_SECONDS=PATIENCE, **(SHORT | PATIENT))
    dm.run_script(text).join(5 * PATIENCE)
    ticks = dm._scripts.value("dmlink_selftest_ticks")
    if threads == "run":  # much longer than it takes to compile the script, while no thread makes a step
        dm.run_script(FOR_100_TICKS).join(PATIENCE)
    dm.run_script(text).join(5 * PATIENCE)
    assert ticks["stop"], "the thread ends with the second run"
    assert dm._scripts.value("dmlink_selftest_ticks") is None


@pytest.mark.parametrize("made_up", REPORTS, ids=lambda path: path.stem)
def test_simulator_gives_a_report_back(tmp_path, monkeypatch, made_up):
    """The self-test, run in the simulator that imitates a GMS, writes what that GMS has said."""
    monkeypatch.chdir(tmp_path)
    wanted = read_report(made_up)
    switches = {"python": (3, 11), "absent": ()}  # this computer's
    with Microscope(InMicrometres(), fps=10, report=made_up, **switches) as dm:
        twice(dm, tmp_path, wanted.answers["threads"])
    found = read_report(tmp_path / "gms-report-2.json")
    of_this_computer = {"packages", "timer", "folder", "recording"}
    asked_for = set(QUESTIONS) - of_this_computer
    assert {name: found.answers.get(name) for name in asked_for} == {
        name: wanted.answers[name] for name in asked_for
    }
    there, here = switches_of(wanted), switches_of(found)
    assert (here["writable_cwd"], here["version"]) == (there["writable_cwd"], there["version"])
    assert 0.9 * there["timer"] < here["timer"] < 1  # a busy computer sleeps for longer
