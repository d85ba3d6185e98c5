"""What clips promise: the seconds around each event, every frame once and unchanged, within a budget."""

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import nbformat
import numpy as np
import pandas as pd
import pytest
import scipy.fft
from disks import small_disk
from growing_writer import until as wait_for
from jupyter_client.manager import start_new_kernel
from microscopes import PATIENCE, Noise, leaving_no_blocks, linked, microscope, run_companion, until
from project import ROOT

import dmlink
from dmlink import data, gallery
from dmlink.cell import clips as clipping
from dmlink.cell.clip_budget import ClipBudget, budget_of
from dmlink.cell.clips import Clips
from dmlink.frame import Frame, Roi
from dmlink.indm.results import Scalar, events_in
from dmlink.link.delivery import Delivery
from dmlink.link.endpoint import Endpoint
from dmlink.link.lookback import Lookback
from dmlink.link.status import Status
from dmlink.recordings.writing import frame_writer as clip_disk
from dmlink.recordings.writing.recorder import recorder_of


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch, tmp_path):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path / "home"))
    with leaving_no_blocks(monkeypatch):
        yield


class Watched:
    """A lossless link, with clips of a cell that returns the mean of each frame."""

    def __init__(self, link, folder, before=0.2, after=0.1, memory=1_000_000_000):
        lookback = link.lookback(clipping.seconds(before, after), memory)
        self.clips = Clips(lookback, folder, "mean", before, after, lambda: recorder_of(link))
        self.frames = []
        self._since = lookback.first or 0  # older frames wait in the link: they are in no clip
        self._link = link

    def take(self, n, *events):
        """Take `n` frames; the given events happen in the last one."""
        for i in range(n):
            while (frame := self._link.next(PATIENCE)).index < self._since:
                pass
            self.frames.append(frame)
            result = Scalar(frame.data.mean())
            self.clips.add(frame, result, "the program", events if i == n - 1 else ())
        return frame

    def take_until(self, condition):
        end = time.monotonic() + PATIENCE
        while not (value := condition()):
            assert time.monotonic() < end, (
                f"not within {PATIENCE} s: {self.clips.finished} {self.clips.reason}"
            )
            self.take(1)
        return value


@pytest.fixture
def watched(tmp_path):
    with linked(Noise(), mode="lossless") as (_, link):
        watched = Watched(link, tmp_path / "clips")
        yield watched
        watched.clips.close()


def indices(path):
    with dmlink.open(path) as clip:
        return [frame.tags["source_index"] for frame in clip]


def between(frames, begin, end):
    return [frame.index for frame in frames if begin <= frame.time <= end]


def test_clip_has_the_seconds_around(watched, tmp_path):
    watched.take(50)
    event = watched.take(1, "it nucleates")
    watched.take_until(lambda: watched.clips.finished)
    (path,) = watched.clips.finished
    assert path == tmp_path / "clips" / f"mean {event.index}.ome.zarr"
    assert indices(path) == between(watched.frames, event.time - 0.2, event.time + 0.1)
    with dmlink.open(path) as clip:
        for frame in clip:
            (source,) = [one for one in watched.frames if one.index == frame.tags["source_index"]]
            assert (frame.data == source.data).all()
    lines = (path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"frame": event.index, "time": event.time, "text": "it nucleates"}
    ]
    assert (path / "cells" / "mean" / "program.py").read_text() == "the program"
    table = np.genfromtxt(path / "cells" / "mean" / "result.csv", delimiter=",", names=True)
    assert table["frame"].tolist() == indices(path)
    assert watched.clips.reason == ""


def test_overlapping_clips_are_merged(tmp_path):
    with linked(Noise(), mode="lossless") as (_, link):
        watched = Watched(link, tmp_path / "clips", before=60)
        watched.take(30)
        first = watched.take(1, "one")
        watched.take_until(lambda: watched.frames[-1].time > first.time + 0.2)
        second = watched.take(1, "two")  # its clip would start before the end of the first one's
        watched.take_until(lambda: watched.frames[-1].time > second.time + 0.1)
        watched.clips.close()
        (path,) = watched.clips.finished
        assert indices(path) == between(watched.frames, first.time - 60, second.time + 0.1)
        assert len((path / "events.jsonl").read_text().splitlines()) == 2


def test_later_event_has_its_own_clip(watched):
    watched.take(30)
    first = watched.take(1, "one")
    watched.take_until(lambda: watched.frames[-1].time > first.time + 0.6)
    second = watched.take(1, "two")
    watched.take_until(lambda: len(watched.clips.finished) == 2)
    assert not set(indices(watched.clips.finished[0])) & set(indices(watched.clips.finished[1]))
    assert watched.clips.finished[1].name == f"mean {second.index}.ome.zarr"


def test_results_before_a_close_event_are_kept(watched):
    watched.take(30)
    first = watched.take(1, "one")
    watched.take_until(lambda: watched.frames[-1].time > first.time + 0.11)  # the clip is still open
    second = watched.take(1, "two")
    watched.take_until(lambda: watched.frames[-1].time > second.time + 0.5)
    watched.clips.close()
    for path in watched.clips.finished:
        rows = pd.read_csv(path / "cells" / "mean" / "result.csv")
        assert rows["frame"].tolist() == indices(path), (first, second)


def test_clips_go_on_after_any_error(watched, monkeypatch):
    def broken(*_):
        raise TypeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(clipping.Clip, "write_result", broken)
        watched.take(5)
        watched.take(1, "one")
        watched.take_until(lambda: "TypeError('broken')" in watched.clips.reason)
    watched.take(1, "two")
    watched.take_until(lambda: len(watched.clips.finished) == 2)
    assert watched.clips.reason == ""


def test_event_on_every_frame_is_one_clip(tmp_path):
    with linked(Noise(), mode="lossless") as (_, link):
        watched = Watched(link, tmp_path / "clips", before=60, after=60)
        for _ in range(60):
            watched.take(1, "again", "and again")
        watched.clips.close()
        (path,) = watched.clips.finished
        assert indices(path)[:60] == [frame.index for frame in watched.frames]
        assert len((path / "events.jsonl").read_text().splitlines()) == 120


def test_used_up_budget_ends_clips(tmp_path):
    with linked(Noise(), mode="lossless") as (_, link):
        budget_of(tmp_path / "clips").total = 60_000
        watched = Watched(link, tmp_path / "clips", after=1000)
        watched.take(20)
        watched.take(1, "one")
        watched.take_until(lambda: watched.clips.reason)
        assert "have used up their disk space" in watched.clips.reason
        watched.take(1, "two")
        watched.clips.close()
        (path,) = watched.clips.finished
        assert indices(path)
        pixels = sum(file.stat().st_size for file in (path / "0" / "c").rglob("*") if file.is_file())
        assert pixels <= 60_000 + watched.frames[0].data.nbytes
        again = Watched(link, tmp_path / "clips")
        again.take(1, "three")
        again.clips.close()
        assert again.clips.finished == ()
        assert "no clip was begun" in again.clips.reason
        shutil.rmtree(path)  # by hand: there is room again
        again = Watched(link, tmp_path / "clips")
        again.take(1, "four")
        again.clips.close()
        assert len(again.clips.finished) == 1


def test_names_do_not_collide(tmp_path):
    with linked(Noise(), mode="lossless") as (_, link):
        one, two = (Watched(link, tmp_path / "clips") for _ in range(2))
        frame = two.take(1, "two")
        one.clips.add(frame, None, "the program", ["one"])
        one.clips.close()
        two.clips.close()
        names = [watched.clips.finished[0].name for watched in (one, two)]
        assert sorted(names) == [f"mean {frame.index}'.ome.zarr", f"mean {frame.index}.ome.zarr"]


def test_unwritable_folder_is_reported(tmp_path):
    (tmp_path / "clips").write_text("a file")
    with linked(Noise(), mode="lossless") as (_, link):
        watched = Watched(link, tmp_path / "clips")
        watched.take(1, "one")
        until(link, lambda: watched.clips.reason)
        watched.clips.close()
        assert "Writing failed" in watched.clips.reason


def test_ten_thousand_events_a_second(watched):
    watched.take(20)
    frame = watched.take(1, *(f"{i}" for i in range(10_000)))
    watched.take_until(lambda: watched.clips.finished)
    (path,) = watched.clips.finished
    lines = [json.loads(line) for line in (path / "events.jsonl").read_text().splitlines()]
    assert [(line["frame"], line["text"]) for line in lines] == [(frame.index, f"{i}") for i in range(10_000)]
    assert indices(path) == between(watched.frames, frame.time - 0.2, frame.time + 0.1)


def test_full_disk_keeps_written_frames(tmp_path):
    with (
        small_disk(tmp_path / "disk", f"{clip_disk.RESERVE + 200_000}") as disk,
        linked(Noise(), mode="lossless") as (_, link),
    ):
        watched = Watched(link, disk / "clips", before=0.2, after=1000)
        watched.take(20)
        watched.take(1, "it")
        watched.take_until(lambda: watched.clips.reason)
        assert re.search(r"disk is (nearly )?full.*mean \d+.ome.zarr has \d+ frames", watched.clips.reason)
        (path,) = watched.clips.finished
        written = indices(path)
        watched.take_until(lambda: watched.frames[-1].index >= written[-1])
        assert written == [frame.index for frame in watched.frames if frame.index in written]
        (disk / "filler").write_bytes(bytes(100_000))
        for _ in range(5):
            watched.take(1, "another")
        watched.clips.close()
        assert "no clip was begun" in watched.clips.reason
        assert watched.clips.finished == (path,)
        assert list((disk / "clips").iterdir()) == [path]


def test_memory_below_one_frame_is_reported(tmp_path):
    with linked(Noise(), mode="lossless") as (_, link):
        watched = Watched(link, tmp_path / "clips", memory=5000)
        watched.take(10)
        watched.take(1, "it")
        watched.take_until(lambda: watched.clips.finished)
        watched.clips.close()
        assert "A frame takes 0.01" in watched.clips.reason


def test_new_shape_ends_clip(tmp_path):
    with linked(Noise(8, (64, 64)), mode="lossless") as (dm, link):
        watched = Watched(link, tmp_path / "clips", before=0.2, after=1000)
        watched.take(20)
        before = watched.take(1, "it")
        watched.take_until(lambda: watched.clips.writing and watched.clips.writing[1] > 25)
        dm.restart_view(binning=2)
        watched.take_until(lambda: watched.frames[-1].data.shape != (64, 64))
        watched.take_until(lambda: watched.clips.finished)
        assert re.search(r"view changed from Gold.* to .*; mean .* has \d+ frames", watched.clips.reason)
        watched.take(3, "another")
        watched.clips.close()
        assert len(watched.clips.finished) == 2
        taken = {frame.index: frame.data for frame in watched.frames}
        for path, shape in zip(watched.clips.finished, [(64, 64), (32, 32)], strict=True):
            with dmlink.open(path) as clip:
                assert clip.shape[1:] == shape
                came = [frame for frame in clip if frame.tags["source_index"] in taken]
                assert came
                assert all((frame.data == taken[frame.tags["source_index"]]).all() for frame in came)
        assert before.index in indices(watched.clips.finished[0])


def test_new_name_ends_clip(tmp_path):
    delivery = Delivery(Status(Endpoint("127.0.0.1", 1, "t")), lossless=True)
    clips = Clips(Lookback(delivery, 60, 10**8), tmp_path / "clips", "mean", 60, 60)
    for i, name in enumerate(["Gold"] * 5 + ["Silver"] * 5):
        frame = Frame(np.full((8, 8), i, np.uint8), i, 0.1 * i, source=name)
        delivery.put(frame, 0.001)
        clips.add(frame, None, "the program", ["it"] if i in (3, 8) else [])
        if i == 4:
            wait_for(lambda: clips.writing and clips.writing[1] == 5)
    clips.close()
    gold, silver = clips.finished
    assert (indices(gold), indices(silver)) == ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9])
    assert "The view changed from Gold (8 x 8 uint8) to Silver (8 x 8 uint8); mean 3" in clips.reason


def recorded(link, folder):
    """Record, and wait until there are frames."""
    recorder = link.record(folder / "all")
    until(link, lambda: recorder.frames > 5)
    return recorder


def test_clip_of_a_running_recording_is_a_reference(tmp_path):
    with linked(Noise(), mode="lossless") as (_, link), recorded(link, tmp_path) as recorder:
        watched = Watched(link, tmp_path / "clips", before=1.0, after=1.0)  # a late camera parts no events
        watched.take(1)
        begun = max(recorder.times[0], watched.frames[0].time)
        watched.take_until(lambda: watched.frames[-1].time - 1.0 > begun)
        first = watched.take(1, "one")
        watched.take(3)
        second = watched.take(1, "two")
        watched.take_until(lambda: watched.clips.finished)
        watched.clips.close()
    (path,) = watched.clips.finished
    assert path.name == f"mean {first.index}.clip"
    assert indices(path) == between(watched.frames, first.time - 1.0, second.time + 1.0)
    assert not [file for file in path.rglob("*") if file.suffix == ".zarr"]
    with dmlink.open(path) as clip:
        for frame in clip:
            (source,) = [one for one in watched.frames if one.index == frame.tags["source_index"]]
            assert (frame.data == source.data).all()
        again = pickle.loads(pickle.dumps(clip))  # noqa: S301 - ours
        assert np.array_equal(np.asarray(again), np.asarray(clip))
    assert len((path / "events.jsonl").read_text().splitlines()) == 2
    assert (path / "cells" / "mean" / "result.csv").is_file()
    (tmp_path / "moved").mkdir()
    for one in (tmp_path / "clips", recorder.path):
        one.rename(tmp_path / "moved" / one.name)
    moved = tmp_path / "moved" / "clips" / path.name
    assert len(dmlink.open(moved)) == len(again)
    (tmp_path / "moved" / recorder.path.name).rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match="which is missing; put that recording back"):
        dmlink.open(moved)


def test_clip_takes_over_when_a_recording_ends(tmp_path):
    with linked(Noise(), mode="lossless") as (_, link):
        watched = Watched(link, tmp_path / "clips", before=0.2, after=1000)
        recorder = recorded(link, tmp_path)
        watched.take_until(lambda: watched.frames and watched.frames[-1].time - 0.2 > recorder.times[0])
        event = watched.take(1, "it")
        watched.take(10)
        until(link, lambda: watched.clips.writing)
        recorder.stop()
        watched.take_until(lambda: watched.clips.finished)
        last = watched.take(10)
        watched.clips.close()
        one, rest = watched.clips.finished
        assert (one.suffix, rest.suffix) == (".clip", ".zarr")
        both = indices(one) + indices(rest)
        watched.take_until(lambda: watched.frames[-1].index >= both[-1])
        wanted = between(watched.frames, event.time - 0.2, event.time + 1000)
        assert both == wanted[: len(both)]
        assert both[-1] >= last.index


def test_later_recording_is_not_referenced(tmp_path):
    with linked(Noise(), mode="lossless") as (_, link):
        watched = Watched(link, tmp_path / "clips", before=60)
        watched.take(20)
        with recorded(link, tmp_path):
            watched.take(20)
            event = watched.take(1, "it")
            watched.take_until(lambda: watched.frames[-1].time > event.time + 0.1)
            watched.clips.close()
        (path,) = watched.clips.finished
        assert path.suffix == ".zarr"
        assert indices(path) == between(watched.frames, 0, event.time + 0.1)


def test_budget_covers_the_whole_folder(tmp_path):
    one, two = budget_of(tmp_path / "clips"), budget_of(tmp_path / "clips")
    assert one is two
    assert one.total == 10_000_000_000
    one.total = 5e6
    (tmp_path / "clips" / "a").write_bytes(bytes(1000))
    assert ClipBudget(tmp_path / "clips").total == 5_000_000
    assert ClipBudget(tmp_path / "clips").used >= 1000
    with pytest.raises(ValueError, match="may use 0 or more bytes"):
        one.total = float("nan")
    (tmp_path / "clips" / "budget.json").write_text("[")
    assert ClipBudget(tmp_path / "clips").total == 10_000_000_000


KILLED = """
import sys
import dmlink
from dmlink.cell.clip_budget import ClipBudget, budget_of
from dmlink.cell.clips import Clips
from dmlink.indm.results import Scalar
link = dmlink.connect(sys.argv[1], mode="lossless")
clips = Clips(link.lookback(1000), __import__("pathlib").Path(sys.argv[2]), "mean", 1000, 1000)
for i, frame in enumerate(link):
    clips.add(frame, Scalar(frame.data.mean()), "the program", ["it"] if i == 10 else [])
    if clips._clip:
        print(clips._clip.frames, flush=True)
"""


def test_killed_kernel_keeps_written_frames(tmp_path):
    recording = Noise()
    with linked(recording) as (dm, _):
        command = [sys.executable, "-c", KILLED, dm.endpoint, str(tmp_path / "clips")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            written = 0
            while written < 30:
                written = int(process.stdout.readline())
            os.kill(process.pid, signal.SIGKILL)
            rest = process.stdout.read().split()
        written = int(rest[-1]) if rest else written
    (path,) = (tmp_path / "clips").iterdir()
    with dmlink.open(path) as clip:
        assert len(clip) >= written
        for frame in clip:
            assert (recording.stack == frame.data).all(axis=(1, 2)).any()


AT_EVENT = """
import time, dmlink
link = dmlink.connect({endpoint!r}, mode="lossless")
around = dict(keep=1000, keep_after=1000, clips={folder!r})
text = "Event('it', when=info.index == 40)"
cell = dmlink.LiveCell(text, "mean", mode="lossless", **around).start(link)
"""
WRITING = """
while not cell.clip_writing or cell.clip_writing[1] < 30:
    time.sleep(0.01)
print(cell.clip_writing[1])
"""


def said(client, text):
    """Run a cell in a kernel, and return what it prints."""
    printed = []
    reply = client.execute_interactive(text, timeout=PATIENCE, output_hook=printed.append)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(one["content"]["text"] for one in printed if one["msg_type"] == "stream")


def test_restarted_kernel_goes_on_beside_its_clip(tmp_path):
    recording, folder = Noise(), tmp_path / "clips"
    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=300)
    try:
        with microscope(recording, companion=False, patient=True) as dm:
            written = []
            for start in range(2):
                dm.camera.pause()
                dm.endpoint = run_companion(dm)  # numbers its frames from 0, as after a restart of GMS
                said(client, AT_EVENT.format(endpoint=dm.endpoint, folder=str(folder)))
                dm.camera.resume()
                written.append(int(said(client, WRITING)))
                if start == 0:
                    manager.restart_kernel()
                    client.wait_for_ready(PATIENCE)
                    dm.companion.stop()
                    dm.companion.join()
            said(client, "cell.stop()")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    paths = [folder / name for name in ("mean 40.ome.zarr", "mean 40'.ome.zarr")]
    assert sorted(folder.iterdir()) == sorted(paths)
    for path, least in zip(paths, written, strict=True):
        assert len((path / "events.jsonl").read_text().splitlines()) == 1
        with dmlink.open(path) as clip:
            assert len(clip) >= least >= 30
            first = clip[0].tags["source_index"]
            assert indices(path) == list(range(first, first + len(clip)))
            numbers = [recording.number(frame) for frame in clip]
        assert numbers == [(numbers[0] + i) % len(recording) for i in range(len(numbers))]


def lesson_cell():
    """Return the cell of the lesson about clips."""
    notebook = nbformat.read(ROOT / "notebooks" / "08-catch-the-moment.ipynb", as_version=4)
    texts = [cell.source for cell in notebook.cells if cell.source.startswith("%%live nucleation")]
    return texts[0].partition("\n")[2]


TRUE_ONSETS = {
    "nanoparticles": (lesson_cell, Roi(328, 64, 456, 192), lambda truth: truth["particles"][3]["onset"]),
    "crystallisation": (lambda: gallery.text("phase_change"), None, lambda truth: truth["onset"]),
}


@pytest.mark.parametrize("name", TRUE_ONSETS)
def test_clip_has_the_true_onset(tmp_path, name):
    text, roi, onset_in = TRUE_ONSETS[name]
    names, around = {"np": np, "scipy": scipy}, {"keep": 0.4, "keep_after": 0.2, "clips": tmp_path / "clips"}
    with dmlink.open(getattr(data, name)()) as recording:
        onset = onset_in(recording.tags["truth"])
        rows, columns = (slice(roi[0], roi[2]), slice(roi[1], roi[3])) if roi else (slice(None), slice(None))
        source = [replace(frame, data=frame.data[rows, columns]) for frame in recording]
        expected = dmlink.LiveCell(text(), "found", names)
        event_at = next(i for i, frame in enumerate(source) if events_in(expected.run(frame)))
        assert onset <= event_at <= onset + 12
        with microscope(recording, fps=50, companion=False, patient=True, loop=False) as dm:
            dm.camera.pause()
            dm.camera.seek(0)
            dm.endpoint = run_companion(dm)
            with dmlink.connect(dm.endpoint, mode="lossless") as link:
                if roi:
                    link.set_roi("particle", roi)
                    until(link, lambda: "particle" in link.rois())
                part = link.part("particle" if roi else None)
                reader, frames = part.reader(every=True), []
                cell = dmlink.LiveCell(text(), "found", names, mode="lossless", **around)
                cell.start(link, "particle" if roi else None)
                dm.camera.resume()
                until(link, lambda: cell.events)
                while not frames or frames[-1].time <= cell.events[0].time + 0.2:
                    frames.append(reader.next(PATIENCE))
                cell.stop()
                (event,), (path,) = cell.events, cell.clips
    assert indices(path) == between(frames, event.time - 0.4, event.time + 0.2)
    with dmlink.open(path) as clip:
        numbers = [next(i for i, s in enumerate(source) if np.array_equal(s.data, f.data)) for f in clip]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert numbers[indices(path).index(event.frame)] == event_at
        assert numbers[0] < onset
