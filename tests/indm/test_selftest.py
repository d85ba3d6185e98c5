"""The self-test for users of a real GMS: it asks, writes one file, and leaves nothing behind."""

from __future__ import annotations

import ast
import dataclasses
import getpass
import json
import platform
import runpy
from pathlib import Path

import pytest
from microscopes import PATIENCE, Noise
from project import ROOT

from dmlink import bundle
from dmlink.cli import main
from dmlink.gms_report import read_report
from dmlink.indm.questions import NOT_ASKED, QUESTIONS
from dmlink.indm.selftest.calls import FUNCTIONS, METHODS
from dmlink.simulator import Microscope
from dmlink.simulator.in_situ import InSitu
from dmlink.simulator.report import switches_of
from dmlink.simulator.switches import Switches

DM_API = runpy.run_path(str(ROOT / "docs" / "dm_api.py"))
CALLS = [f"DM.{n}" for n in FUNCTIONS] + [f"{kind}.{n}" for kind, names in METHODS.items() for n in names]
SHORT = {"LISTEN_SECONDS": 0.5, "SLOW_SECONDS": 0.1, "EVENT_SECONDS": 2.0, "EXPOSURE": 0.05}
PATIENT = {"LISTEN_SECONDS": 2.0, "EVENT_SECONDS": 6.0}  # where it counts which events have come
ON_PURPOSE = "This error is part of the self-test"
LATER = {"threads", "recording"}  # a second run, or a recording, answers these


def asked(folder, background=True, constants=None, recording=None, fps=50, **switches):
    """Run the self-test; return what it wrote, and the microscope when it is over."""
    text = bundle.selftest(FOLDER=str(folder), **{**SHORT, **(constants or {})})
    with Microscope(recording or Noise(), fps=fps, **switches) as dm:
        script = dm.run_script(text, background=background)
        script.join(5 * PATIENCE)
        assert script.output[-1] == "dmlink self-test ends"
        assert all(ON_PURPOSE in str(error) for error in dm.escaped)
        assert dm.leaked_images == {}
        assert [window.name for window in dm.windows()] == ["Gold"] or switches.get("failing")
    return folder / "gms-report.json", dm


@pytest.mark.parametrize("background", [True, False], ids=["background", "main thread"])
def test_asks_everything_and_cleans_up(tmp_path, background):
    path, dm = asked(tmp_path, background)
    report = read_report(path)
    assert not report.doubts
    assert not report.problems
    assert set(report.unanswered) <= LATER
    assert report.main_thread is not background
    assert len(dm.dialogs) == 2, "it asks before it opens windows, and before it takes the camera"


def test_report_has_nothing_personal(tmp_path):
    path, dm = asked(tmp_path)
    text = path.read_text()
    assert "\n".join(dm.results_window).count(text.strip()) == 1, "it shows what it has written"
    for personal in (str(tmp_path), str(Path.home()), getpass.getuser(), platform.node(), "Gold"):
        assert personal not in text


def test_cancel_leaves_out_what_opens_windows(tmp_path):
    path, dm = asked(tmp_path, confirm=False)
    left_out = {"after_exception", "annotations", "roi_removal", "colours", "continuous", "handler_thread"}
    assert left_out <= set(read_report(path).unanswered)
    assert not dm.escaped


HOW = ["missing", "failing"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("call", [call for call in CALLS if call != "DM.Py_ScriptObject"])
def test_continues_after_any_failure(tmp_path, call, how):
    path, _ = asked(tmp_path, **{how: (call,)})
    report = read_report(path)
    assert {"packages", "timer", "argv"} <= set(report.answers)
    if how == "missing" and call not in {
        "DM.CreateImage",
        "DM.OkCancelDialog",
    }:  # otherwise there is no dialog to ask
        assert call in report.answers.get("missing", [call])


@pytest.mark.parametrize("half", [CALLS[::2], CALLS[1::2]], ids=["even", "odd"])
def test_continues_with_half_of_the_calls(tmp_path, half):
    path, _ = asked(tmp_path, missing=tuple(half))
    assert {"packages", "timer", "argv"} <= set(read_report(path).answers)


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
]


@pytest.mark.parametrize("switches", SEVERAL, ids=str)
def test_answers_are_the_switches(tmp_path, monkeypatch, switches):
    monkeypatch.chdir(tmp_path)
    path, _ = asked(tmp_path, constants=PATIENT, fps=10, **switches)
    found = switches_of(path)
    for name, value in switches.items():
        if name == "timer":
            assert 0.01 < found[name] < 1
        elif name in {"absent", "failing", "missing"}:
            assert set(value) <= set(found[name])
        else:
            assert found[name] == value, name


def test_each_question_about_a_switch_is_tried():
    tried = {name for switches in SEVERAL for name in switches}
    not_asked = {
        "do_events",
        "scipy_in_background",
        "confirm",
        "strict_del",
        "in_situ",
        "unit_bytes",
        "threads",
    }
    assert {field.name for field in dataclasses.fields(Switches)} - not_asked == tried


@pytest.mark.parametrize("threads", ["run", "frozen"])
def test_second_run_knows_of_threads(tmp_path, threads):
    text = bundle.selftest(FOLDER=str(tmp_path), ASK=False, THREAD_SECONDS=PATIENCE, **SHORT)
    with Microscope(Noise(), fps=50, threads=threads) as dm:
        dm.run_script(text).join(PATIENCE)
        ticks = dm._scripts.value("dmlink_selftest_ticks")
        if threads == "run":
            dm.run_script(
                "import time\nwhile dmlink_selftest_ticks['ticks'] == dmlink_selftest_ticks['at_end']:\n"
                "    time.sleep(0.01)"
            ).join(PATIENCE)
            assert ticks["ticks"] > ticks["at_end"]
        dm.run_script(text).join(PATIENCE)
    assert read_report(tmp_path / "gms-report-2.json").answers["threads"] == threads


@pytest.mark.parametrize("layout", ["raw", "tree"])
@pytest.mark.parametrize("header", ["first", "last"])
def test_existing_recording_is_examined(tmp_path, layout, header):
    folder = tmp_path / "recording"
    with InSitu(Noise(), folder, 50.0, layout=layout, header=header, loop=True):
        path, _ = asked(tmp_path, constants={"RECORDING": str(folder), "RECORDING_SECONDS": 2.0})
    found = read_report(path).answers["recording"]
    assert (found["layout"], found["header"]) == (layout, header)
    assert found["is_written"]
    assert found["readable"]


def test_report_that_cannot_be_written_is_shown(tmp_path):
    _, dm = asked(tmp_path / "missing")
    said = "\n".join(dm.results_window)
    assert "copy it from here, between the lines" in said
    between = said.split("----")[-2]
    assert set(json.loads(between)["answers"]) == set(QUESTIONS)


def test_files_are_never_overwritten(tmp_path):
    (tmp_path / "gms-report.json").write_text("mine")
    asked(tmp_path, confirm=False)
    assert (tmp_path / "gms-report.json").read_text() == "mine"
    assert read_report(tmp_path / "gms-report-2.json").answers


def test_every_call_of_dmlink_is_looked_for():
    used = DM_API["used"]()
    wanted = {
        call.name
        for call in DM_API["calls"]()
        if call.short in used
        and call.owner != "DMScript"
        and "__" not in call.name
        and call.mark not in {"U", "X"}
    }
    assert set(CALLS) == wanted


def test_is_one_file_for_python_3_7(tmp_path):
    path = tmp_path / "dm_selftest.py"
    assert main(["companion", "--self-test", "-o", str(path)]) == 0
    ast.parse(path.read_text(), feature_version=(3, 7))
    assert NOT_ASKED in path.read_text()
