"""Recorder: every frame of a link on disk, readable whatever happens."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import random
import socket
import sys
import threading
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import zarr
from disks import make_read_only, small_disk
from microscopes import Noise, linked, microscope, run_companion, until

import dmlink
from dmlink import Roi
from dmlink.cli import main
from dmlink.indm.results import Profile, as_result
from dmlink.link import endpoint as endpoints
from dmlink.recordings.writing import recorder as recorder_module
from dmlink.recordings.writing.cell_results import CellResults
from dmlink.recordings.writing.frame_writer import FrameWriter
from dmlink.recordings.writing.ome_zarr_writer import JOURNAL, journal_lines


def valid(path):
    """Return the OME metadata of an image, as read by the official model."""
    import ome_zarr_models.v05  # here, because the killed processes import this module, too

    return ome_zarr_models.v05.Image.from_zarr(zarr.open_group(path, mode="r")).ome_attributes


def recorded(recorder, n):
    """Wait until this many frames are recorded."""
    until(recorder._link, lambda: recorder.frames >= n)


def reached(recorder, frame):
    """Wait until a later frame than this is recorded."""
    until(recorder._link, lambda: recorder.times[1] > frame.time + 0.1)


def pixels(path):
    stack: np.ndarray = zarr.open_array(path / "0", mode="r")[:]
    return stack


def test_every_frame_is_recorded_once(tmp_path):
    noise = Noise(n=11)
    with linked(noise, fps=200, patient=True) as (_, link):
        with link.record(tmp_path / "gold") as recorder:
            assert recorder.path == tmp_path / "gold.ome.zarr"
            recorded(recorder, 40)
            assert recorder.state == "recording"
            assert recorder.disk_left > 0
            assert recorder.seconds_left > 0
        assert (recorder.state, recorder.reason) == ("stopped", "")
        n = recorder.frames
        lines = journal_lines(recorder.path / JOURNAL)
        assert len(lines) == len(pixels(recorder.path)) == n
        indices = [line["index"] for line in lines]
        assert recorder.dropped == indices[-1] - indices[0] - n + 1
    for i, line in enumerate(lines[1:], 1):
        step = line["index"] - lines[i - 1]["index"]
        before, now = (
            np.flatnonzero((noise.stack == pixels(recorder.path)[j]).all((1, 2))) for j in (i - 1, i)
        )
        assert now == (before + step) % len(noise)
        assert line["time"] > lines[i - 1]["time"]
    assert lines[0]["tags"]["high_tension"] == 200000.0
    assert lines[0]["exposure"] == pytest.approx(1 / 200)
    assert (lines[0]["roi"], lines[0]["x"]) == (None, [-8.0, 0.5, "nm"])
    assert "tags" not in lines[1]


def test_recording_is_valid_ome_zarr(tmp_path):
    with linked(fps=200) as (_, link), link.record(tmp_path / "gold.zarr") as recorder:
        recorded(recorder, 5)
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    (scales,) = valid(recorder.path).multiscales
    scale, translation = scales.datasets[0].coordinateTransformations
    assert [(axis.name, axis.unit) for axis in scales.axes] == [
        ("t", "second"), ("y", "nanometer"), ("x", "nanometer")
    ]  # fmt: skip
    assert scale.scale[1:] == [0.25, 0.5]
    with dmlink.open(recorder.path) as recording:
        assert scale.scale[0] == pytest.approx(np.diff(recording.times).mean())
    assert translation.translation == [0.0, -4.0, -8.0]
    (node,) = Reader(parse_url(recorder.path))()
    np.testing.assert_array_equal(node.data[0].compute(), pixels(recorder.path)[:])


def test_roi_is_recorded_until_resized(tmp_path):
    with linked(fps=100) as (_, link):
        link.set_roi("roi", Roi(4, 6, 20, 30))
        until(link, lambda: "roi" in link.rois())
        part = link.part("roi")
        recorder = part.record(tmp_path / "part")
        recorded(recorder, 3)
        link.set_roi("roi", Roi(5, 8, 21, 32))
        moved = until(part, lambda: (frame := part.next(60)).roi == Roi(5, 8, 21, 32) and frame)
        reached(recorder, moved)
        link.set_roi("roi", Roi(0, 0, 8, 8))
        assert recorder.wait(60)
        assert recorder.state == "failed"
        assert "changed from 16 x 24 uint16 to 8 x 8 uint16; start a new recording" in recorder.reason
    lines = journal_lines(recorder.path / JOURNAL)
    assert [line["roi"] for line in lines if "roi" in line] == [[4, 6, 20, 30], [5, 8, 21, 32]]
    assert pixels(recorder.path).shape == (len(lines), 16, 24)


def test_line_is_recorded(tmp_path):
    with linked(fps=100) as (dm, link):
        line = dm.draw_line(5, 20, 62.5, 30)
        until(link, lambda: link.next(60).line)
        with link.record(tmp_path / "line") as recorder:
            recorded(recorder, 3)
            dm.delete_roi(line)
            reached(recorder, until(link, lambda: (frame := link.next(60)).line is None and frame))
    with dmlink.open(recorder.path) as recording:
        lines = [frame.line for frame in recording]
    assert lines[0] == (20, 5, 30, 62.5)
    assert lines[-1] is None
    assert len(set(lines)) == 2


def test_other_data_type_ends_it(tmp_path):
    with linked(fps=100) as (dm, link):
        recorder = link.record(tmp_path / "gold")
        recorded(recorder, 3)
        dm._frames._dtype = np.dtype(np.float32)  # from counting mode to another
        dm.restart_view()
        assert recorder.wait(60)
        assert "changed from 48 x 64 uint16 to 48 x 64 float32; start a new recording" in recorder.reason
    assert len(pixels(recorder.path)) == recorder.frames >= 3


def test_cells_are_recorded_with_results(tmp_path):
    text = "Several = None\nimport numpy as np\n{'mean': frame.mean(), 'max': frame.max()}"
    image = dmlink.LiveCell("frame[::2].astype('float32')", name="half")
    numbers = dmlink.LiveCell(text.partition("\n")[2], name="numbers")
    with linked(fps=50, patient=True) as (_, link):
        image.start(link)
        numbers.start(link)
        until(link, lambda: image.latest and numbers.latest)
        with link.record(tmp_path / "gold", cells=[image, numbers]) as recorder:
            done = max(image.stats.processed, numbers.stats.processed)
            until(link, lambda: min(image.stats.processed, numbers.stats.processed) > done + 10)
        image.stop()
        numbers.stop()
    frames = {line["index"]: i for i, line in enumerate(journal_lines(recorder.path / JOURNAL))}
    folder = recorder.path / "cells"
    assert (folder / "numbers" / "program.py").read_text() == numbers.source
    rows = np.genfromtxt(folder / "numbers" / "numbers.csv", delimiter=",", names=True)
    known = [row for row in rows if int(row["frame"]) in frames]
    assert len(known) > 5
    for row in known:
        frame = pixels(recorder.path)[frames[int(row["frame"])]]
        assert (row["mean"], row["max"]) == (frame.mean(), frame.max())
    halves = pixels(folder / "half" / "half.ome.zarr")
    lines = journal_lines(folder / "half" / "results.jsonl")
    assert len(halves) == len(lines) > 5
    for line in lines:
        if line["frame"] in frames:
            np.testing.assert_array_equal(
                halves[line["at"]], pixels(recorder.path)[frames[line["frame"]]][::2]
            )
    assert valid(folder / "half" / "half.ome.zarr")


def test_results_that_are_no_numbers_stay_numeric(tmp_path):
    values = [1.5, np.nan, np.inf, -np.inf, 2.5]
    results = CellResults(tmp_path / "a", "")
    for i, value in enumerate(values):
        results.write(dmlink.Frame(np.zeros((2, 2)), i, i / 2), as_result({"n": value}), "")
    results.close()
    (path,) = (tmp_path / "a").glob("*.csv")
    np.testing.assert_array_equal(np.genfromtxt(path, delimiter=",", names=True)["n"], values)
    table = pd.read_parquet(path.with_suffix(".parquet"))
    assert table["n"].dtype == float


def test_axes_that_change_are_written(tmp_path):
    results = CellResults(tmp_path / "a", "")
    for i, scale in enumerate((1.0, 1.0, 5.0)):
        frame = dmlink.Frame(np.zeros((2, 2)), i, i / 2)
        result = {"p": Profile([1.0, 2.0], scale, 3.0, "nm"), "same": Profile([1.0, 2.0], 0.5, 0.0, "nm")}
        results.write(frame, as_result(result), "")
    results.close()
    assert {p.name for p in (tmp_path / "a").glob("*.csv")} == {"p.csv", "p.axes.csv", "same.csv"}
    axes = pd.read_csv(tmp_path / "a" / "p.axes.csv")
    assert axes["x scale"].tolist() == [1.0, 1.0, 5.0]
    assert set(axes["x unit"]) == {"nm"}
    assert list(pd.read_csv(tmp_path / "a" / "p.csv")) == ["frame", "time", "0", "1"]
    assert list(pd.read_csv(tmp_path / "a" / "same.csv")) == ["frame", "time", "0 nm", "0.5 nm"]


def test_moved_parameter_has_its_own_results(tmp_path):
    text = "factor: (1, 9) = 2\nimport time\ntime.sleep(0.05)\nframe.mean() * 0 + factor"
    cell = dmlink.LiveCell(text, name="mean")
    with linked(fps=50, patient=True) as (_, link):
        cell.start(link)
        until(link, lambda: cell.latest)
        with link.record(tmp_path / "gold", cells=[cell]) as recorder:
            until(link, lambda: cell.stats.processed > 5)
            cell.set(factor=7)  # while a frame is in progress
            until(link, lambda: cell.latest[1].value == 7.0)
            done = cell.stats.processed
            until(link, lambda: cell.stats.processed > done + 3)
        cell.stop()
    folder = recorder.path / "cells" / "mean"
    assert "factor = 7" not in (folder / "program.py").read_text()
    assert "factor = 7" in (folder / "program-2.py").read_text()
    (change,) = pd.read_csv(folder / "programs.csv").to_dict("records")
    assert change["program"] == "program-2.py"
    rows = pd.read_csv(folder / "mean.csv")
    assert set(rows["value"]) == {2.0, 7.0}
    assert rows["time"][rows["value"] == 7.0].min() == change["time"]


def test_running_recording_is_not_overwritten(tmp_path):
    with linked(fps=50) as (_, link):
        with link.record(tmp_path / "gold") as recorder:
            recorded(recorder, 2)
            with pytest.raises(FileExistsError, match="still being recorded; stop that recording first"):
                link.record(tmp_path / "gold", overwrite=True)
        with link.record(tmp_path / "gold", overwrite=True) as again:
            recorded(again, 1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recorder_module, "CellResults", Mock(side_effect=OSError("full")))
            with pytest.raises(OSError, match="full"):
                link.record(tmp_path / "gold", overwrite=True, cells=[dmlink.LiveCell("1")])
        with link.record(tmp_path / "gold", overwrite=True) as again:
            recorded(again, 1)


def test_frame_keeps_its_value_unit_and_log(tmp_path):
    with contextlib.closing(FrameWriter(tmp_path / "a.zarr")) as writer:
        writer.write(dmlink.Frame(np.ones((4, 5)), log={"T": np.nan, "p": 1.0}, value_unit="e-"))
    with dmlink.open(tmp_path / "a.zarr") as recording:
        assert recording[0].value_unit == "e-"
        assert np.isnan(recording[0].info.log["T"])
        assert recording[0].info.log["p"] == 1.0


def test_no_frames_or_seconds_are_refused(tmp_path):
    with linked() as (_, link):
        for limit in ({"max_frames": 0}, {"max_frames": -3}, {"max_seconds": 0.0}):
            with pytest.raises(ValueError, match=r"give a number above 0"):
                link.record(tmp_path / "gold", **limit)
        assert not list(tmp_path.iterdir())


def test_cells_of_one_name_are_all_recorded(tmp_path):
    cells = [dmlink.LiveCell(text) for text in ("frame.mean()", "frame.max()")]
    with linked(fps=50) as (_, link):
        for cell in cells:
            cell.start(link)
        until(link, lambda: all(cell.latest for cell in cells))
        with link.record(tmp_path / "gold", cells=cells) as recorder:
            done = max(cell.stats.processed for cell in cells)
            until(link, lambda: all(cell.stats.processed > done + 3 for cell in cells))
        for cell in cells:
            cell.stop()
    for cell, name in zip(cells, ("cell", "cell'"), strict=True):
        folder = recorder.path / "cells" / name
        assert (folder / "program.py").read_text() == cell.source
        assert len(np.genfromtxt(folder / "cell.csv", delimiter=",", names=True)) > 1


def test_colour_is_recorded_as_channels(tmp_path):
    colours = Noise(n=3, dtype=np.uint8)
    cell = dmlink.LiveCell("np.dstack([frame, frame // 2, frame * 0])", namespace={"np": np})
    with linked(colours, fps=50) as (_, link):
        cell.start(link)
        until(link, lambda: cell.latest)
        with link.record(tmp_path / "gold", cells=[cell]) as recorder:
            done = cell.stats.processed
            until(link, lambda: cell.stats.processed > done + 3)
        cell.stop()
    made = recorder.path / "cells" / "cell" / "cell.ome.zarr"
    assert pixels(made).shape[1:] == (3, 48, 64)
    assert valid(made)


def test_ends_after_frames_or_seconds(tmp_path):
    with linked(fps=100) as (_, link):
        recorder = link.record(tmp_path / "frames", max_frames=7)
        assert recorder.wait(60)
        assert (recorder.frames, recorder.state) == (7, "stopped")
        recorder = link.record(tmp_path / "seconds", max_seconds=1000)
        recorded(recorder, 1)
        recorder._began -= 1000
        assert recorder.wait(60)
        assert (recorder.state, recorder.reason) == ("stopped", "")
        assert recorder.frames > 0


# Failures


def test_overwrites_own_recordings_only(tmp_path):
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "notes.txt").write_text("do not lose")
    with linked(fps=100) as (_, link):
        for overwrite in (False, True):
            with pytest.raises(FileExistsError):
                link.record(tmp_path / "mine.zarr", overwrite=overwrite)
        assert (tmp_path / "mine.zarr" / "notes.txt").read_text() == "do not lose"
        link.record(tmp_path / "gold", max_frames=5).wait(60)
        with pytest.raises(FileExistsError):
            link.record(tmp_path / "gold")
        recorder = link.record(tmp_path / "gold", overwrite=True, max_frames=2)
        assert recorder.wait(60)
    assert len(pixels(recorder.path)) == 2


def test_empty_recording_can_be_replaced(tmp_path):
    with linked(fps=100) as (dm, link):
        dm.close_view()
        until(link, lambda: link.state == "waiting")
        link.record(tmp_path / "gold").stop()
        dm.restart_view()
        recorder = link.record(tmp_path / "gold", overwrite=True, max_frames=2)
        assert recorder.wait(60)
    assert len(pixels(recorder.path)) == 2


def test_waits_and_finds_moved_companion(tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path))
    with microscope(fps=100) as dm, dmlink.connect() as link, link.record(tmp_path / "gold") as recorder:
        recorded(recorder, 3)
        dm.companion.stop()
        until(recorder._link, lambda: "No companion" in recorder.reason or "stopped" in recorder.reason)
        dm.companion.join()  # its port is free
        with socket.create_server(("127.0.0.1", endpoints.parse(dm.endpoint).port)):  # taken meanwhile
            dm.endpoint = None
            run_companion(dm)
            recorded(recorder, recorder.frames + 3)
        assert recorder.reason == ""


def test_late_frames_are_counted(tmp_path, monkeypatch):
    write, began, go = FrameWriter.write, threading.Event(), threading.Event()
    monkeypatch.setattr(FrameWriter, "write", lambda *of: (began.set(), go.wait(60), write(*of))[2])
    monkeypatch.setattr("dmlink.recordings.writing.recorder.DRAIN_SECONDS", 0.0)
    with linked(fps=200) as (dm, link):
        recorder = link.record(tmp_path / "gold")
        assert began.wait(60)
        dm.wait_displayed(20)
        until(recorder._link, lambda: recorder._reader.waiting)
        stopping = threading.Thread(target=recorder.stop)
        stopping.start()
        until(link, lambda: recorder._stopped is not None)
        go.set()
        stopping.join()
    assert (recorder.state, recorder.frames) == ("stopped", 1)
    assert recorder.dropped > 0
    assert "were dropped" in recorder.reason


def test_missing_folder_is_reported(tmp_path):
    with linked(fps=100) as (_, link), pytest.raises(FileNotFoundError, match="no such folder"):
        link.record(tmp_path / "nowhere" / "gold")
    assert not [t.name for t in threading.enumerate() if t.name == "dmlink-recorder"]


@pytest.mark.parametrize("reserve", [0, 4 << 20], ids=["really full", "nearly full"])
def test_full_disk_ends_it_in_order(tmp_path, monkeypatch, reserve):
    monkeypatch.setattr(
        "dmlink.recordings.writing.frame_writer.RESERVE", reserve - (1 << 30 if reserve == 0 else 0)
    )
    noise = Noise(n=20, shape=(256, 256))
    with small_disk(tmp_path / "small", "6m") as disk, linked(noise, fps=300, patient=True) as (_, link):
        recorder = link.record(disk / "gold")
        assert recorder.wait(60)
        assert recorder.state == "failed"
        assert recorder.reason.startswith("The disk is")
        assert f"{recorder.frames} frames are kept in" in recorder.reason
        assert recorder.frames > 5
        for frame in pixels(recorder.path)[: recorder.frames]:
            assert (noise.stack == frame).all((1, 2)).any()
        assert len(journal_lines(recorder.path / JOURNAL)) == recorder.frames
        link.next(60)  # the link continues


def test_read_only_target_is_reported(tmp_path):
    with small_disk(tmp_path / "small", "1m") as disk, linked(fps=100) as (_, link):
        make_read_only(disk)
        with pytest.raises(OSError, match="Read-only file system"):
            link.record(disk / "gold")


def test_unfinished_results_fail_with_frames(tmp_path):
    with linked(fps=100) as (_, link):
        recorder = link.record(tmp_path / "gold", cells=[dmlink.LiveCell("frame.mean()")])
        recorded(recorder, 3)
        with (recorder.path / "cells" / "cell" / "results.jsonl").open("a") as journal:
            journal.write("not JSON\n")
        recorder.stop()
    assert recorder.state == "failed"
    assert "results.jsonl is damaged" in recorder.reason
    assert f"{recorder.frames} frames are kept in" in recorder.reason
    assert len(pixels(recorder.path)) == recorder.frames >= 3


def test_file_size_limit_ends_it_in_order(tmp_path):
    resource = pytest.importorskip("resource", reason="Windows limits no sizes of files")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with linked(Noise(n=5, shape=(256, 256)), fps=100) as (_, link):
        recorder = link.record(tmp_path / "gold")
        recorded(recorder, 3)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        try:
            assert recorder.wait(60)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "larger than this system allows" in recorder.reason
    assert pixels(recorder.path).shape[0] == recorder.frames >= 3


def record(endpoint, path, counts):
    """Record, and report every count, in a process that will be killed."""
    with dmlink.connect(endpoint) as link:
        recorder = link.record(path)
        told = 0
        while not recorder.wait(0.001):
            if recorder.frames > told:
                told = recorder.frames
                counts.send(told)


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.exhaustive)])
def test_killed_recorder_keeps_counted_frames(tmp_path, kills):
    chance = random.Random(5)  # noqa: S311
    noise = Noise(n=40, shape=(32, 32))
    processes = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
    if sys.platform != "win32":
        processes.set_forkserver_preload(["dmlink.recordings.writing.recorder"])  # imported once for all
    with linked(noise, fps=1000, patient=True) as (dm, _):
        for kill in range(kills):
            folder = tmp_path / f"{kill}.zarr"
            counts, theirs = processes.Pipe(duplex=False)
            child = processes.Process(target=record, args=(dm.endpoint, folder, theirs))
            child.start()
            theirs.close()
            wanted, told = chance.randrange(1, 60), 0
            while told < wanted:
                told = counts.recv()
            child.kill()
            child.join()
            with contextlib.suppress(EOFError):
                while True:
                    told = counts.recv()
            lines = journal_lines(folder / JOURNAL)
            assert len(lines) >= told
            frames = pixels(folder)[: len(lines)]
            first = int(np.flatnonzero((noise.stack == frames[0]).all((1, 2)))[0])
            numbers = (first + np.array([line["index"] for line in lines]) - lines[0]["index"]) % 40
            np.testing.assert_array_equal(frames, noise.stack[numbers])
            json.loads((folder / "zarr.json").read_text())


def test_command_records_and_names_the_file(tmp_path, capsys):
    with linked(fps=100) as (dm, _):
        target = str(tmp_path / "gold")
        assert main(["record", dm.endpoint, "-o", target, "--frames", "5"]) == 0
        assert f"{target}.ome.zarr: 5 frames" in capsys.readouterr().out
        assert main(["record", dm.endpoint, "-o", target, "--frames", "5"]) == 1
        assert "It exists already" in capsys.readouterr().err
    assert len(pixels(tmp_path / "gold.ome.zarr")) == 5
