"""The self-test for users of a real GMS: it asks, writes one file, and leaves nothing behind."""

from __future__ import annotations

import ast
import getpass
import json
import os
import platform
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from microscopes import Noise
from project import ROOT
from selftests import LATER, PATIENT, SHORT, asked

from dmlink import bundle
from dmlink.cli import main
from dmlink.gms_report import read_report
from dmlink.indm.questions import NOT_ASKED, QUESTIONS
from dmlink.indm.selftest.calls import FUNCTIONS, METHODS
from dmlink.simulator.in_situ import InSitu

DM_API = runpy.run_path(str(ROOT / "docs" / "dm_api.py"))
CALLS = [f"DM.{n}" for n in FUNCTIONS] + [f"{kind}.{n}" for kind, names in METHODS.items() for n in names]
SEEDS = range(3)


@pytest.mark.parametrize("background", [True, False], ids=["background", "main thread"])
def test_asks_everything_and_cleans_up(tmp_path, background):
    path, dm = asked(tmp_path, background)
    report = read_report(path)
    assert not report.doubts
    assert not report.problems
    assert set(report.unanswered) <= LATER
    assert report.main_thread is not background
    assert len(dm.dialogs) == 2, "it asks before it opens windows, and before it takes the camera"


def test_it_shows_what_it_has_written(tmp_path):
    path, dm = asked(tmp_path)
    assert "\n".join(dm.results_window).count(path.read_text().strip()) == 1


ANNA = {"name": "Anna Mueller", "user": "amueller", "computer": "ARM300-LAB7", "serial": "4711-0815"}
BERT = {"name": "Bert Yilmaz", "user": "byilmaz", "computer": "titan.example", "serial": "SN 0099X"}


@pytest.mark.parametrize(
    "how",
    [{}, pytest.param({"failing": tuple(CALLS[::3])}, marks=pytest.mark.exhaustive)],
    ids=["whole", "a third fails"],
)
def test_reports_of_two_people_are_equal(tmp_path, monkeypatch, how):
    """Whatever is personal changes nothing in a report: then nothing of it can be in there."""
    first, second = (
        report_of(person, tmp_path / str(number), monkeypatch, how)
        for number, person in enumerate((ANNA, BERT))
    )
    assert first == second
    for personal in {*ANNA.values(), *BERT.values(), str(tmp_path), getpass.getuser(), platform.node()}:
        assert personal not in json.dumps(first)


def report_of(person, folder, monkeypatch, how):
    """Run the self-test for a person, whose name is all over the computer and DigitalMicrograph."""
    home = folder / person["user"]
    (home / person["name"]).mkdir(parents=True)
    recording = Noise(name=f"{person['name']} {person['serial']}")
    recording.tags = {
        "Microscope Info:Operator": person["name"],
        "Acquisition:Device:Serial": person["serial"],
    }
    with monkeypatch.context() as patch:
        patch.setattr(Path, "home", lambda: home)
        patch.setattr(platform, "node", lambda: person["computer"])
        patch.setattr(sys, "argv", [str(home / "DigitalMicrograph.exe")])
        for variable in ("USER", "USERNAME", "LOGNAME", "COMPUTERNAME"):
            patch.setenv(variable, person["computer" if "COMPUTER" in variable else "user"])
        patch.setenv("TMPDIR", str(home))
        patch.setattr("tempfile.tempdir", None)
        patch.chdir(home / person["name"])
        constants = {"RECORDING": str(home / person["name"]), "RECORDING_SECONDS": 2.0, **PATIENT}
        with InSitu(recording, home / person["name"], 50.0, name=person["serial"], loop=True):
            path, _ = asked(home, constants=constants, recording=recording, fps=10, writable_cwd=True, **how)
    report = json.loads(path.read_text())
    report["answers"].pop("timer")  # it is measured
    return report


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


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("seed", SEEDS)
def test_continues_without_half_of_the_calls(tmp_path, seed, how):
    half = np.random.default_rng(seed).permutation(CALLS)[::2].tolist()
    path, _ = asked(tmp_path, **{how: tuple(half)})
    assert {"packages", "timer", "argv"} <= set(read_report(path).answers)


@pytest.mark.exhaustive(cover=1)
@pytest.mark.parametrize("layout", ["raw", "tree"])
@pytest.mark.parametrize("header", ["first", "last"])
@pytest.mark.parametrize("preallocate", [False, True])
def test_existing_recording_is_examined(tmp_path, layout, header, preallocate):
    folder = tmp_path / "recording"
    with InSitu(Noise(), folder, 50.0, layout=layout, header=header, preallocate=preallocate, loop=True):
        path, _ = asked(tmp_path, constants={"RECORDING": str(folder), "RECORDING_SECONDS": 2.0})
    found = read_report(path).answers["recording"]
    assert (found["layout"], found["header"]) == (layout, header)
    assert found["preallocate"] is (preallocate and layout == "raw")
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


def test_two_gms_of_one_user_write_two_reports(tmp_path):
    text = bundle.selftest(FOLDER=str(tmp_path), ASK=False, **SHORT)
    run = (
        "import sys\nfrom microscopes import Noise\nfrom dmlink.simulator import Microscope\n"
        "with Microscope(Noise(), 50, version=(3, int(sys.argv[1]), 1)) as dm:\n"
        "    dm.run_script(sys.stdin.read()).join(600)\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", run, number],
            stdin=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for number in ("43", "61")
    ]
    for gms in running:
        gms.stdin.write(text)
        gms.stdin.close()
    assert [gms.wait() for gms in running] == [0, 0]
    reports = [read_report(path) for path in tmp_path.glob("gms-report*.json")]
    assert {report.gms for report in reports} == {(3, 43, 1), (3, 61, 1)}
    assert not [report.doubts for report in reports if report.doubts]


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
