"""Following a growing recording: every frame once, in order, and as in the finished recording."""

import contextlib
import json
import os
import subprocess
import time

import numpy as np
import pytest
import tifffile
from growing_writer import KINDS, command, frame, path_of, until

import dmlink
from dmlink import recordings
from dmlink.growing import files, growth, layout, raw_parts
from dmlink.recordings.writing.frame_writer import FrameWriter
from dmlink.simulator.dm.gatan_files import write_dm4, write_in_situ_raw

FRAMES = 20
EXPOSURE = "Acquisition:Parameters:High Level:Exposure (s)"
COUNT = "In-situ:Recorded:# Frames"


@pytest.fixture
def impatient(monkeypatch):
    """Give up on unreadable frames sooner."""
    monkeypatch.setattr(growth, "GIVE_UP_SECONDS", 2.0)
    monkeypatch.setattr(growth, "TRY_SECONDS", 1.0)


def tiff(path, pixels):
    """Write a TIFF file that appears all at once."""
    part = path.with_suffix(".part")
    tifffile.imwrite(part, pixels, photometric="minisblack")
    part.rename(path)


def take(source, n, timeout=60):
    return [source.next(timeout) for _ in range(n)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_arrives_once(kind, tmp_path, monkeypatch):
    folder = tmp_path / "set"
    folder.mkdir()
    path = path_of(kind, folder)
    writer = subprocess.Popen(command(kind, folder, 1, FRAMES), stdout=subprocess.PIPE, text=True)
    with dmlink.follow(path, idle=None) as source:
        told = json.loads(writer.communicate(timeout=300)[0])
        monkeypatch.setattr(growth, "GIVE_UP_SECONDS", 2.0)  # not while a slow writer writes
        wanted = [i for i in range(FRAMES) if i not in told["spoilt"]]
        source.idle = 3.0
        until(lambda: source.finished)  # everything was read, even a header that arrived last
        got = list(source)
    assert [f.index for f in got] == wanted, told
    assert sorted(source.bad) == told["spoilt"]
    for f in got:
        np.testing.assert_array_equal(f.data, frame(f.index), f"frame {f.index}, {told}")
    with recordings.open(path) as finished:
        assert len(finished) == FRAMES
        for f in got:
            same = finished[f.index]
            assert (f.y, f.x, f.source, f.tags) == (same.y, same.x, same.source, same.tags)
            assert kind == "tree" or f.time == pytest.approx(same.time)


def test_path_need_not_exist_yet(tmp_path):
    folder = tmp_path / "later"
    with dmlink.follow(folder) as source:
        with pytest.raises(TimeoutError, match="waiting"):
            source.next(0.2)
        assert "nothing at" in source.reason
        folder.mkdir()
        until(lambda: "yet whose format" in source.reason)
        tiff(folder / "0.tif", frame(0))
        assert source.next(60).index == 0


def test_header_may_arrive_last(tmp_path):
    (tmp_path / "a.raw").write_bytes(frame(0).tobytes() + frame(1).tobytes())
    with dmlink.follow(tmp_path) as source:
        with pytest.raises(TimeoutError):
            source.next(0.3)
        write_dm4(tmp_path / "a.dm4", frame(0), tags={COUNT: 2})
        got = [f.data for f in source]
        assert len(got) == 2
        assert source.finished
        np.testing.assert_array_equal(got[1], frame(1))


def test_stale_header_hides_nothing(tmp_path):
    write_in_situ_raw(tmp_path / "a.dm4", np.stack([frame(i) for i in range(4)]), exposure=0.1)
    with dmlink.follow(tmp_path / "a.dm4", idle=1.0) as source:
        take(source, 4)
        with (tmp_path / "a.raw").open("ab") as file:
            file.write(frame(4).tobytes())
        until(lambda: source.written == 5)  # it counted as finished: all announced frames were there
        assert source.next(60).index == 4
        assert len(recordings.open(tmp_path / "a.dm4")) == 4
        assert len(source.recording()) == 5


def test_unwritten_space_is_no_frame(tmp_path):
    size = frame(0).nbytes
    write_dm4(tmp_path / "a.dm4", frame(0), tags={EXPOSURE: 0.1, COUNT: 9})
    with (tmp_path / "a.raw").open("wb", buffering=0) as file, dmlink.follow(tmp_path, idle=None) as source:
        file.truncate(9 * size)
        file.write(frame(0).tobytes())
        assert source.next(60).index == 0
        file.write(frame(1).tobytes()[: size // 2])
        with pytest.raises(TimeoutError):
            source.next(0.5)
        file.write(frame(1).tobytes()[size // 2 :])
        np.testing.assert_array_equal(source.next(60).data, frame(1))
        assert not source.finished
        file.seek(5 * size)
        file.write(frame(6).tobytes())  # so the frames before it are really black
        black = take(source, 4)
        assert not any(f.data.any() for f in black[:3])
        np.testing.assert_array_equal(black[3].data, frame(6))


def test_paused_is_not_finished(tmp_path):
    tiff(tmp_path / "0.tif", frame(0))
    with dmlink.follow(tmp_path, idle=None) as source:
        source.next(60)
        until(lambda: source.state == "paused")
        assert not source.finished
        source.idle = 0.1
        until(lambda: source.finished)
        with pytest.raises(EOFError, match="all 1 frames"):
            source.next()
        source.idle = 60.0
        tiff(tmp_path / "1.tif", frame(1))
        until(lambda: source.written == 2)
        assert source.next(60).index == 1
        assert not source.finished


def test_bad_frames_are_reported_by_number(tmp_path, impatient):
    for i in range(5):
        tiff(tmp_path / f"{i}.tif", frame(i) if i != 3 else frame(i)[:9])
    os.truncate(tmp_path / "1.tif", 300)
    with dmlink.follow(tmp_path, idle=1.0) as source:
        assert [f.index for f in source] == [0, 2, 4]
        assert sorted(source.bad) == [1, 3]
        assert "1.tif" in source.bad[1]
        assert "3.tif is (9, 40)" in source.bad[3]
        assert source.seen == source.written == 5
        assert source.reason.startswith("2 frames cannot be read; the last of them is 3: ")


def test_bad_first_frame_stops_nothing(tmp_path, monkeypatch, impatient):
    monkeypatch.setattr("dmlink.growing.files.GIVE_UP_SECONDS", 1.0)
    for i in range(3):
        tiff(tmp_path / f"{i}.tif", frame(i))
    os.truncate(tmp_path / "0.tif", 300)
    with dmlink.follow(tmp_path, idle=2.0) as source:
        assert [f.index for f in source] == [1, 2]
        assert sorted(source.bad) == [0]


def test_missing_file_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "GAP_SECONDS", 600.0)
    tiff(tmp_path / "x_0.tif", frame(0))
    tiff(tmp_path / "x_1.tif", frame(1))
    with dmlink.follow(tmp_path) as source:
        take(source, 2)
        tiff(tmp_path / "x_3.tif", frame(3))
        until(lambda: stands_still(source, "x_3.tif"))
        tiff(tmp_path / "x_2.tif", frame(2))
        for i in (2, 3):
            np.testing.assert_array_equal(source.next(60).data, frame(i))


def stands_still(source, name):
    """Return whether only the gap before a file has kept it from being counted."""
    sight = source._layout._new.get(name)
    return sight and time.perf_counter() - sight.since > 2 * layout.STILL_SECONDS


def test_very_late_file_is_read_last(tmp_path):
    for i in (0, 1, 5):
        tiff(tmp_path / f"x_{i}.tif", frame(i))
    with dmlink.follow(tmp_path, idle=None) as source:
        take(source, 3)
        tiff(tmp_path / "x_3.tif", frame(3))
        late = source.next(60)
        assert late.index == 3
        np.testing.assert_array_equal(late.data, frame(3))
        assert "x_3.tif" in source.reason


def test_lost_disk_is_found_again(tmp_path):
    folder, away = tmp_path / "share", tmp_path / "away"
    folder.mkdir()
    for i in range(3):
        tiff(folder / f"{i}.tif", frame(i))
    with dmlink.follow(folder, idle=None) as source:
        take(source, 1)
        folder.rename(away)
        until(lambda: source.state == "unreachable")
        assert "any more" in source.reason
        tiff(away / "3.tif", frame(3))
        away.rename(folder)
        assert [f.index for f in take(source, 3)] == [1, 2, 3]
        assert not source.bad


def test_newest_first_then_the_others(tmp_path):
    for i in range(6):
        tiff(tmp_path / f"{i}.tif", frame(i))
    with dmlink.follow(tmp_path, newest_first=True) as source:
        until(lambda: source.written == 6)
        assert [f.index for f in take(source, 3)] == [5, 0, 1]
        tiff(tmp_path / "6.tif", frame(6))
        until(lambda: source.written == 7)
        assert [f.index for f in take(source, 4)] == [6, 2, 3, 4]
        cell = dmlink.LiveCell("state['n'] = state.get('n', 0) + 1\nstate['n']")
        with pytest.raises(ValueError, match="without newest_first"):
            cell.start(source.link)


def test_roi_deleted_while_a_frame_is_read(tmp_path):
    for i in range(2):
        tiff(tmp_path / f"{i}.tif", frame(i))
    with dmlink.follow(tmp_path) as source:
        source.link.set_roi("spot", dmlink.Roi(2, 3, 9, 9))
        part = source.link.part("spot")
        whole = source.link.next(60)
        source.link.remove_roi("spot")
        np.testing.assert_array_equal(part.shared(whole).data, frame(0)[2:9, 3:9])
        with pytest.raises(TimeoutError):
            part.next(0.2)


def test_newest_first_counts_and_draws_no_gap(tmp_path):
    for i in range(6):
        tiff(tmp_path / f"{i}.tif", frame(i))
    with dmlink.follow(tmp_path, newest_first=True) as source:
        until(lambda: source.written == 6)
        cell = dmlink.LiveCell("int(info.index)", mode="lossless").start(source.link)
        results = cell.results()
        assert [next(results) for _ in range(6)] != []
        assert (cell.stats.received, cell.stats.dropped) == (6, 0)
        (track,) = source.link.session.tracks
        assert len(track) == 1
        assert (track.at(1e12).frame, track.at(1e12).value) == (5, 5.0)
        assert not source.link.session.marks
        cell.stop()


def test_places_of_a_recording_are_followed(tmp_path):
    line, roi = dmlink.frame.Line(1.0, 2.0, 3.0, 4.0), dmlink.Roi(2, 4, 30, 34)
    rois = {"a": dmlink.Roi(5, 6, 20, 21)}
    with contextlib.closing(FrameWriter(tmp_path / "a.zarr")) as writer:
        writer.write(dmlink.Frame(frame(0), roi=roi, line=line, rois=rois))
        writer.write(dmlink.Frame(frame(1), 1, 1.0, roi=roi, line=line, rois=rois))
    part = dmlink.Roi(1, 1, 9, 9)
    with (
        dmlink.open(tmp_path / "a.zarr") as recording,
        dmlink.follow(tmp_path / "a.zarr", idle=0.5) as source,
    ):
        source.link.set_roi("part", part)
        followed, expected = source.link.part("part").next(60), recording.part(part)[0]
        np.testing.assert_array_equal(followed.data, expected.data)
        for of in ("line", "roi", "y", "x"):
            assert getattr(followed, of) == getattr(expected, of), of
        assert followed.rois == {**expected.rois, "part": dmlink.Roi(0, 0, 8, 8)}
        whole = source.link.reader()
        assert (whole.next(60).line, whole.next(60).roi) == (line, roi)
        source.link.set_line(None)
        assert source.link.reader().next(60).line is None


def test_counts_show_the_lag(tmp_path):
    for i in range(4):
        tiff(tmp_path / f"{i}.tif", frame(i))
    with dmlink.follow(tmp_path) as source:
        until(lambda: source.written == 4)
        source.next(60)
        assert (source.seen, source.written, source.behind) == (1, 4, 3)
        assert source.lag > 0
        take(source, 3)
        assert (source.behind, source.lag) == (0, 0.0)
        assert "4 of 4 frames seen" in repr(source)


@pytest.mark.parametrize("mode", ["latest", "lossless"])
def test_live_cells_take_every_frame(tmp_path, mode):
    for i in range(9):
        tiff(tmp_path / f"{i}.tif", frame(i))
    text = "state['seen'] = [*state.get('seen', []), info.index]\nlen(state['seen']) + info.index"
    with dmlink.follow(tmp_path, idle=None) as source:
        cell = dmlink.LiveCell(text, mode=mode).start(source.link)
        until(lambda: cell.latest and cell.latest[0] == 8)
        tiff(tmp_path / "9.tif", frame(9))
        until(lambda: cell.latest[0] == 9)
        assert cell.latest[1].value == 10 + 9
        assert (cell.stats.received, cell.stats.dropped) == (10, 0)
        until(lambda: source.behind == 0)
        cell.stop()


def test_roi_works_without_a_companion(tmp_path):
    tiff(tmp_path / "0.tif", frame(0))
    with dmlink.follow(tmp_path) as source:
        link = source.link
        link.set_roi("spot", dmlink.Roi(2, 3, 12, 9))
        part = link.part("spot")
        np.testing.assert_array_equal(part.next(60).data, frame(0)[2:12, 3:9])
        with pytest.raises(ValueError, match="no ROI 'other'"):
            link.part("other")


def test_deleted_roi_is_waited_for(tmp_path):
    for i in range(3):
        tiff(tmp_path / f"{i}.tif", frame(i))
    with dmlink.follow(tmp_path, idle=None) as source:
        link = source.link
        link.set_roi("spot", dmlink.Roi(2, 3, 12, 9))
        cell = dmlink.LiveCell("info.index").start(link, "spot")
        until(lambda: cell.latest and cell.latest[0] == 2)
        link.remove_roi("spot")
        tiff(tmp_path / "3.tif", frame(3))
        until(lambda: source.written == 4)
        assert (cell.link.state, cell.error) == ("waiting", "")
        assert "'spot' was deleted; draw it again" in cell.link.reason
        link.set_roi("spot", dmlink.Roi(4, 3, 14, 9))
        until(lambda: cell.latest[0] == 3)
        assert cell.stats.received == 4
        cell.stop()


def test_each_frame_counts_once_for_all_readers(tmp_path):
    for i in range(6):
        tiff(tmp_path / f"{i}.tif", frame(i))
    with dmlink.follow(tmp_path) as source:
        cells = [dmlink.LiveCell("info.index", name).start(source.link) for name in "ab"]
        until(lambda: all(cell.latest and cell.latest[0] == 5 for cell in cells))
        assert source.link.stats.received == 6
        for cell in cells:
            cell.stop()


def test_recording_without_a_number_is_not_complete_when_empty(tmp_path):
    write_dm4(tmp_path / "a.dm4", frame(0), tags={EXPOSURE: 0.1})
    (tmp_path / "a.raw").touch()
    parts = raw_parts.RawParts(tmp_path / "a.dm4")
    for now in (0.0, 100.0, 200.0):  # s
        parts.look(now)
        assert not parts.complete
    (tmp_path / "a.raw").write_bytes(np.stack([frame(0), frame(1)]).tobytes())
    with dmlink.follow(tmp_path / "a.dm4", idle=None) as source:
        np.testing.assert_array_equal(source.next(60).data, frame(0))


def test_growing_recording_can_be_recorded(tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(5):
        tiff(tmp_path / "in" / f"{i}.tif", frame(i))
    with (
        dmlink.follow(tmp_path / "in") as source,
        source.link.record(tmp_path / "out", max_frames=5) as recorder,
    ):
        assert recorder.wait(60)
    with recordings.open(tmp_path / "out.ome.zarr") as copy:
        np.testing.assert_array_equal(np.asarray(copy), np.stack([frame(i) for i in range(5)]))


def test_following_ends_when_closed(tmp_path):
    source = dmlink.follow(tmp_path)
    link = source.link
    source.close()
    with pytest.raises(ConnectionError, match="closed"):
        source.next()
    with pytest.raises(ConnectionError, match="closed"):
        link.next()
    assert (source.state, link.state, link.closed) == ("closed", "closed", True)


@pytest.mark.parametrize("fault", ["cut", "replaced", "deleted"])
def test_frames_of_a_lost_part_are_reported(tmp_path, impatient, monkeypatch, fault):
    monkeypatch.setattr(raw_parts, "AHEAD", 0)  # unless the lost ones were read earlier
    size = frame(0).nbytes
    frames = np.stack([frame(i) for i in range(12)])
    write_in_situ_raw(tmp_path / "a.dm4", frames, exposure=0.1, part_bytes=4 * size + 100)
    with dmlink.follow(tmp_path / "a.dm4", idle=3.0) as source:
        take(source, 1)
        part = tmp_path / "a.raw_1"
        if fault == "cut":
            os.truncate(part, 2 * size)
        elif fault == "replaced":
            (tmp_path / "new").write_bytes(part.read_bytes()[: 2 * size])
            (tmp_path / "new").replace(part)
        else:
            part.unlink()
        lost = list(range(4, 9)) if fault == "deleted" else list(range(6, 9))
        assert [f.index for f in source] == [i for i in range(1, 12) if i not in lost]
        assert sorted(source.bad) == lost
        assert "a.raw_1" in source.reason


def test_deleted_file_is_reported(tmp_path, impatient):
    for i in range(4):
        tiff(tmp_path / f"{i}.tif", frame(i))
    with dmlink.follow(tmp_path, idle=3.0) as source:
        until(lambda: source.written == 4)
        (tmp_path / "2.tif").unlink()
        assert [f.index for f in source] == [0, 1, 3]
        assert list(source.bad) == [2]


def test_replaced_file_is_read_once(tmp_path, impatient):
    for i in range(4):
        tiff(tmp_path / f"{i}.tif", frame(i))
    with dmlink.follow(tmp_path, idle=3.0) as source:
        until(lambda: source.written == 4)
        take(source, 2)
        tiff(tmp_path / "0.tif", frame(10))
        tiff(tmp_path / "2.tif", frame(12))
        tiff(tmp_path / "3.tif", frame(3)[:9])
        got = list(source)
        assert [f.index for f in got] == [2]
        np.testing.assert_array_equal(got[0].data, frame(12))
        assert list(source.bad) == [3]
        assert "3.tif is (9, 40)" in source.bad[3]


def test_two_followers_cope_with_a_wrong_clock(tmp_path):
    with dmlink.follow(tmp_path, idle=None) as one, dmlink.follow(tmp_path, idle=None) as other:
        for i in range(6):
            tiff(tmp_path / f"{i}.tif", frame(i))
            hours = 3600 * (i - 3)  # the writer's clock is behind, then ahead
            os.utime(tmp_path / f"{i}.tif", (time.time() + hours,) * 2)
        for source in (one, other):
            assert [f.index for f in take(source, 6)] == list(range(6))
            assert not source.bad


def test_file_locked_by_its_writer_is_waited_for(tmp_path, monkeypatch):
    locked, opened = {"0.raw"}, raw_parts.read

    def read(parts, start, length):
        if locked & {part.path.name for part in parts}:
            raise PermissionError(13, "The process cannot access the file")  # the error on Windows
        return opened(parts, start, length)

    monkeypatch.setattr(raw_parts, "read", read)
    write_in_situ_raw(tmp_path / "0.dm4", np.stack([frame(i) for i in range(3)]), exposure=0.1)
    with dmlink.follow(tmp_path / "0.dm4", idle=None) as source:
        with pytest.raises(TimeoutError):
            source.next(0.5)
        locked.clear()
        np.testing.assert_array_equal([f.data for f in take(source, 3)], [frame(i) for i in range(3)])
        assert not source.bad


def test_small_frames_read_together_are_equal(tmp_path, impatient):
    frames = np.arange(300 * 12 * 10, dtype=np.uint16).reshape(300, 12, 10)
    write_in_situ_raw(tmp_path / "a.dm4", frames, exposure=0.1, part_bytes=50_001)
    with dmlink.follow(tmp_path / "a.dm4") as source:
        got = [f.data for f in source]
        assert got[5].base is None or got[5].base.nbytes == got[5].nbytes  # none keeps the others in memory
        np.testing.assert_array_equal(got, frames)
        recording = source.recording()
        np.testing.assert_array_equal(recording[250].data, frames[250])
        np.testing.assert_array_equal(recording[3].data, frames[3])


@pytest.mark.exhaustive
def test_can_start_with_100000_files(tmp_path):
    whole = tmp_path / "000000.tif"
    tiff(whole, frame(0))
    for i in range(1, 100_000):
        os.link(whole, tmp_path / f"{i:06}.tif")
    with dmlink.follow(tmp_path, idle=None) as source:
        until(lambda: source.written == 100_000, 300)
        assert take(source, 1000)[-1].index == 999
