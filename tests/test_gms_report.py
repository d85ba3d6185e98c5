"""Reports of the self-test are read with care: they may be truncated, from another version, or wrong."""

from __future__ import annotations

import json
import os

import pytest
from gms_reports import NEWER, OLDER, REPORTS
from hypothesis import given
from hypothesis import strategies as st
from microscopes import Noise

from dmlink.cli import main
from dmlink.gms_report import CALLS, MAX_BYTES, read_report
from dmlink.indm.questions import QUESTIONS
from dmlink.simulator import Microscope
from dmlink.simulator.report import switches_of
from dmlink.simulator.switches import Switches

WHOLE = json.loads(NEWER.read_text())


@pytest.fixture
def report(tmp_path):
    """Return a function that writes a report with some fields changed."""

    def write(answers=None, **changes):
        path = tmp_path / "gms-report.json"
        answers = {**WHOLE["answers"], **(answers or {})}
        path.write_text(json.dumps({**WHOLE, "answers": answers, **changes}))
        return path

    return write


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.stem)
def test_made_up_reports_are_complete(path):
    found = read_report(path)
    assert json.loads(path.read_text())["made_up"]
    assert set(json.loads(path.read_text())["answers"]) == set(QUESTIONS)
    assert not found.doubts
    Switches(**switches_of(found))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (NEWER.read_text()[:500], "cut short"),
        ("", "cut short"),
        ("[" * 100_000, "cut short"),
        ("[1, 2]", "not a report of the self-test"),
        (json.dumps({**WHOLE, "format": "another"}), "not a report of the self-test"),
        (json.dumps({**WHOLE, "version": 2}), "version 2; this dmlink reads version 1"),
        (json.dumps({**WHOLE, "version": ["x"] * 99}), "of version"),
    ],
    ids=["cut", "empty", "deep", "list", "format", "version", "odd version"],
)
def test_other_files_are_refused(tmp_path, text, reason, capsys):
    path = tmp_path / "gms-report.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=reason):
        read_report(path)
    assert main(["doctor", str(path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.stem)
def test_truncated_report_is_refused(tmp_path, path):
    whole = path.read_text().strip()
    cut = tmp_path / "gms-report.json"
    for length in range(len(whole)):
        cut.write_text(whole[:length])
        with pytest.raises(ValueError, match="cut short"):
            read_report(cut)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "ascii"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_report_copied_with_an_editor_is_read(tmp_path, encoding, newline):
    path = tmp_path / "gms-report.json"
    path.write_bytes((NEWER.read_text() + "\n").replace("\n", newline).encode(encoding))
    assert read_report(path) == read_report(NEWER)


def test_100_mb_are_not_read(tmp_path, capsys):
    path = tmp_path / "gms-report.json"
    path.touch()
    os.truncate(path, 100 * MAX_BYTES)
    said = "100 MB; a report of the self-test is a few kilobytes"
    with pytest.raises(ValueError, match=said):
        read_report(path)
    with pytest.raises(ValueError, match=said):
        Microscope(Noise(), report=path)
    assert main(["doctor", str(path)]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "lie",
    [
        {"events": "banana"},
        {"live_events": True},
        {"live_parts": 1e99},
        {"timer": {"sleep": 1e9}},
        {"timer": {"sleep": float("nan")}},
        {"packages": [1, 2]},
        {"create_image": "all"},
        {"folder": {"where": "here"}},
        {"never asked": 1},
        {"unregister": "works", "missing": ["Py_ScriptObject.UnregisterAllListeners"]},
        {"missing": ["DM.CreateImage"]},
    ],
    ids=str,
)
def test_lies_are_reported_and_ignored(report, lie):
    found = read_report(report(lie))
    assert len(found.doubts) == 1
    Switches(**switches_of(found))


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(sorted(CALLS)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ("gms", "python", "numpy", "system", "main_thread", "answers", "problems")


@given(
    answers=st.dictionaries(st.sampled_from(sorted(QUESTIONS)) | st.text(max_size=9), ANYTHING, max_size=9),
    others=st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=2),
)
def test_any_lie_is_survived(tmp_path_factory, answers, others):
    path = tmp_path_factory.mktemp("lies") / "gms-report.json"
    path.write_text(json.dumps({**WHOLE, "answers": {**WHOLE["answers"], **answers}, **others}))
    found = read_report(path)
    assert set(found.answers) <= set(QUESTIONS)
    assert all(line.isprintable() and len(line) < 5000 for line in (*found.sentences(), *found.doubts))
    Microscope(Noise(), report=path)


def test_lies_about_versions_are_doubted(report):
    found = read_report(report(gms=[99, -1, 0], python=[2, 7, 18]))
    assert len(found.doubts) == 2
    assert {"version", "python"}.isdisjoint(switches_of(found))


def test_unknown_calls_are_doubted(report):
    path = report({"missing": ["DM.Invented", "DM.DeleteImage"], "failing": ["rm -rf"]})
    found = read_report(path)
    assert len(found.doubts) == 2
    with Microscope(Noise(), report=path) as dm:
        assert dm.windows()


def test_report_of_other_types_is_read(report):
    path = report(problems=["a"], numpy=5, system="x" * 99 + "\x1b[2J", gms="3", main_thread=1)
    found = read_report(path)
    assert (found.problems, found.numpy, found.gms, found.main_thread) == ({}, "", (), False)
    assert "\x1b" not in found.system


def test_doctor_explains_two_gms_of_one_user(capsys):
    assert main(["doctor", str(NEWER), str(OLDER)]) == 0
    said = capsys.readouterr().out
    assert "GMS 3.61.4719, Python 3.10.9" in said
    assert "GMS 3.43.3213, Python 3.7.1" in said
    assert "To remove a rectangle, select it" in said
    assert said.count("Can a handler create a listener?") == 2


def test_doctor_says_what_cannot_work(report, capsys):
    gone = report({"missing": ["DM.FindImageByID"]})
    assert main(["doctor", str(gone)]) == 1
    assert "It has no DM.FindImageByID, so dmlink cannot stream from it." in capsys.readouterr().out
    assert main(["doctor", str(report(gms=[3, 50, 1]))]) == 1
    assert "3.5.0 and 3.5.1 crash" in capsys.readouterr().out


def test_doctor_takes_reports_or_an_endpoint(capsys):
    assert main(["doctor", str(NEWER), "dmlink://127.0.0.1:1?token=x"]) == 1
    assert main(["doctor", "dmlink://a:1?token=x", "dmlink://b:1?token=x"]) == 1
    assert "give only one" in capsys.readouterr().err
