"""What an Event promises: the same live, with `run`, in a script and over a recording; and a clip."""

import csv
import re
import time

import numpy as np
import pytest
from microscopes import Noise, linked, microscope, until

import dmlink
from dmlink.indm.results import Event, Several, as_result, events_in

EVERY_TENTH = 'Event("the tenth <b>", when=info.index % 10 == 0)'


@pytest.fixture(autouse=True)
def _home(monkeypatch, tmp_path):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("when", [False, 0, np.nan, np.float32("nan"), np.ma.masked, np.bool_(False), None])
def test_false_condition_is_no_event(when):
    event = Event("it", when)
    assert (event.happened, event.text, events_in(event)) == (False, "", [])


def test_true_condition_is_an_event():
    assert events_in(as_result(Event("it", np.float32(3)))) == ["it"]
    assert Event(when=1, name="melting").text == "melting"
    assert events_in(Several({"n": 1.0, "a": Event("a"), "b": Event("b", False), "c": Event()})) == [
        "a",
        "event",
    ]
    assert events_in(as_result(3.0)) == events_in(None) == []


def test_cell_gives_its_events():
    with linked(Noise(), patient=True) as (_, link):
        cell = dmlink.LiveCell(f"frame.mean(), {EVERY_TENTH}", "tenth", mode="lossless").start(link)
        try:
            until(link, lambda: len(cell.events) >= 3)
        finally:
            cell.stop()
        for index, time, text in cell.events:
            assert (index % 10, text) == (0, "the tenth <b>")
            assert time > 0
        indices = [event.frame for event in cell.events]
        assert indices == list(range(indices[0], indices[-1] + 1, 10))


def test_kept_events_become_clips(tmp_path):
    with linked(Noise(), patient=True) as (_, link):
        text = 'Event("once", when=info.index == state.setdefault("n", info.index) + 30)'
        options = {"keep": 0.1, "keep_after": 0.05, "clips": tmp_path / "clips"}
        cell = dmlink.LiveCell(text, "once", mode="lossless", **options).start(link)
        try:
            until(link, lambda: cell.clips)
        finally:
            cell.stop()
        (event,), (path,) = cell.events, cell.clips
        assert path == tmp_path / "clips" / f"once {event.frame}.ome.zarr"
        with dmlink.open(path) as clip:
            assert event.frame in [frame.tags["source_index"] for frame in clip]
            assert clip.times[0] >= event.time - 0.1
            assert clip.times[-1] <= event.time + 0.05
        assert cell.clips_reason == ""


def test_stopped_cell_finishes_its_clip(tmp_path):
    with linked(Noise(), mode="lossless") as (_, link):
        cell = dmlink.LiveCell("Event('it')", "it", keep=1, keep_after=1000, clips=tmp_path / "clips").start(
            link
        )
        until(link, lambda: len(cell.events) > 3)
        cell.stop()
        (path,) = cell.clips
        with dmlink.open(path) as clip:
            assert len(clip) > 0
            (mark,) = [mark for mark in link.session.marks if mark.kind == "clip"]
            assert (mark.begin, mark.end, mark.text) == (clip.times[0], clip.times[-1], path.name)
        assert link.session.clips == [path]


@pytest.mark.parametrize("wrong", [{"keep": -1}, {"keep": float("nan")}, {"keep": 1, "keep_after": -1}])
def test_wrong_times_are_refused(wrong):
    with pytest.raises(ValueError, match="it must be 0 or more seconds"):
        dmlink.LiveCell("frame.mean()", **wrong)


def test_script_prints_the_same_events(tmp_path):
    cell = dmlink.LiveCell('Event("bright", when=frame[0, 0] > 50), Event("seen")', "b")
    recording = Noise(20)
    text = cell.export(tmp_path / "b_dm.py").read_text("utf-8")
    with microscope(recording, companion=False) as dm:
        dm.camera.pause()
        dm.settle()
        script = dm.run_script(text, background=True)
        script.wait_for("b 2, frame 0, ", timeout=60)
        view = dm._scripts.value("dmlink: scripts that run")["b"]
        expected = []
        for i in range(1, 20):
            while view.waiting:  # it has no time for the next frame yet
                time.sleep(0.01)
            dm.camera.step()
            script.wait_for(f"b 2, frame {i}, ", timeout=60)
            happened = events_in(cell.run(recording[dm.camera.position].data))
            expected += [i] if "bright" in happened else []
        lines = "\n".join(script.output)
    printed = re.findall(r"^b 1, frame (\d+), [\d.]+ s: bright$", lines, re.MULTILINE)
    assert [int(n) for n in printed if n != "0"] == expected


def test_recording_gives_the_same_events(tmp_path):
    stack = np.zeros((25, 8, 8), np.uint16)
    stack[[3, 17]] = 60
    np.save(tmp_path / "gold.npy", stack)
    cell = dmlink.LiveCell('Event("bright", when=frame[0, 0] > 50), frame.mean()', "bright")
    out = dmlink.process(tmp_path / "gold.npy", cell, tmp_path / "out", progress=False)
    with (out / "1.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["frame"], row["event"]) for row in rows] == [("3", "bright"), ("17", "bright")]
