"""Logs give another instrument's latest number at a frame's time, wherever the frame goes."""

import csv
import datetime as dt
import os
import threading
import time
import tracemalloc

import numpy as np
import pytest
from microscopes import Noise, linked, microscope, run_companion, until

import dmlink
from dmlink.link.logs import Log

START = 1_700_000_000.0  # seconds since 1970


@pytest.fixture(autouse=True)
def _home(monkeypatch, tmp_path):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path / "home"))


@pytest.fixture
def link():
    with linked(Noise()) as (_, link):
        yield link


def followed(link, condition):
    """Wait until a log file was read."""
    return until(link, condition)


def test_newest_value_counts():
    log = Log("T", "C")
    log.extend([(1, 10), (3, 30), (2, 20)])  # a clock that is set back
    assert [log.at(t) for t in (0.9, 1, 1.9, 2, 3, 99)] == [None, 10, 10, 20, 30, 30]
    assert [array.tolist() for array in log.arrays()] == [[1, 2, 3], [10, 20, 30]]


def test_log_file_needs_a_live_view(tmp_path):
    with (
        dmlink.follow(tmp_path) as source,
        pytest.raises(ValueError, match="is a recording; logs belong to the frames of a live view"),
    ):
        dmlink.log_file(tmp_path / "T.csv", source.link)


@pytest.mark.parametrize("factor", [1000.0, 2.2])
def test_times_in_the_future_are_refused(link, tmp_path, factor):
    (tmp_path / "T.csv").write_text(f"time,T\n{START * factor},5\n")
    with dmlink.log_file(tmp_path / "T.csv", link) as log:
        followed(link, lambda: "are in the future; give seconds (not milliseconds)" in log.reason)
        assert (log.rows, log.skipped) == (0, 1)


@pytest.mark.parametrize("peak", [0, 70, 64 * 1000, 64 * 1563 + 40])
def test_no_peak_of_many_numbers_is_lost(peak):
    n, log = 64 * 1563 + 50, Log("T")  # more than are looked at one by one, and no full block at the end
    log.extend((float(i), 1e6 if i == peak else float(i % 7)) for i in range(1, n, 2))
    assert len(log.envelope(0, n, 100)[0]) <= 100
    log.extend((float(i), 1e6 if i == peak else float(i % 7)) for i in range(0, n, 2))  # set back
    for begin, end in ((-1.0, n), (max(0, peak - 5000), peak + 5000)):
        times, values = log.envelope(begin, end, 100)
        assert len(times) <= 100
        assert (values.max(), times[values.argmax()]) == (1e6, peak)
        assert values.min() == 0
    times, values = log.envelope(peak + 0.5, peak + 3.5, 100)
    assert times.tolist() == [t for t in range(peak, peak + 4) if t < n]


def test_frames_carry_logged_numbers(link):
    assert link.next(60).info.log == {}
    link.log("temperature", 300, "C", time=START)
    link.log("pressure", 2.5)
    frame = until(link, lambda: (f := link.next(60)) and "pressure" in f.log and f)
    assert frame.info.log == {"temperature": 300.0, "pressure": 2.5}
    link.log("later", 1, time=frame.time + 1e6)
    assert "later" not in link.next(60).log
    assert link.logs.all()["temperature"].unit == "C"


def test_cells_and_recordings_have_logs(link, tmp_path):
    link.log("temperature", 300, time=START)
    cell = dmlink.LiveCell("info.log.get('temperature', -1.0)", "t")
    cell.start(link)
    try:
        until(link, lambda: cell.latest and cell.latest[1].value == 300)
        with link.record(tmp_path / "gold", max_frames=3) as recorder:
            recorder.wait(60)
        with dmlink.open(recorder.path) as recording:
            assert [frame.log for frame in recording] == [{"temperature": 300.0}] * 3
            assert [cell.run(frame).value for frame in recording] == [300.0] * 3
    finally:
        cell.stop()
    part = link.part(None, "lossless")
    assert part.next(60).log == {"temperature": 300.0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": "hot"},
        {"value": None},
        {"value": float("inf")},
        {"name": ""},
        {"time": "now"},
        {"time": float("nan")},
    ],
)
def test_non_numbers_are_refused(link, wrong):
    with pytest.raises(ValueError, match=r"not a number; the log|not finite; the log|needs a name"):
        link.log(**{"name": "T", "value": 1.0, **wrong})


def test_log_keeps_its_unit(link):
    link.log("T", 1, "C")
    link.log("T", 2)
    with pytest.raises(ValueError, match="'T' is in 'C', not 'K'"):
        link.log("T", 3, "K")


def test_table_is_followed_while_it_grows(link, tmp_path):
    path = tmp_path / "furnace.csv"
    with dmlink.log_file(path, link, columns="T") as followed_file:
        followed(link, lambda: "is not there yet" in followed_file.reason)
        with path.open("w") as file:
            file.write("# furnace 7\ntime,T,p\n1700000000,20.5,1\n1700000001,21.5,")
            file.flush()
            followed(link, lambda: followed_file.rows == 1)
            file.write("1\n1700000002,22.5,1\n")
            file.flush()
            followed(link, lambda: followed_file.rows == 3)
        assert followed_file.reason == ""
        path.rename(tmp_path / "away.csv")  # a share that cannot be reached for a while
        followed(link, lambda: "is not there yet" in followed_file.reason)
        (tmp_path / "away.csv").rename(path)
        followed(link, lambda: not followed_file.reason)
        assert followed_file.rows == 3
        assert list(link.logs.all()) == ["T"]
        times, values = link.logs.all()["T"].arrays()
        assert (times - START).tolist() == [0, 1, 2]
        assert values.tolist() == [20.5, 21.5, 22.5]
        assert link.logs.at(START + 1.9) == {"T": 21.5}


def test_semicolons_commas_and_dates(link, tmp_path):
    path = tmp_path / "gas.csv"
    day = dt.datetime.fromtimestamp(START).astimezone()
    later = (day + dt.timedelta(seconds=1)).isoformat()
    rows = f"Zeit;T [°C];p\n{day:%d.%m.%Y %H:%M:%S},5;20,5;1\n{later};21,5;\n"
    path.write_text(rows, encoding="latin-1")
    with dmlink.log_file(path, link, time="Zeit") as followed_file:
        followed(link, lambda: followed_file.rows == 2)
        logs = link.logs.all()
        assert list(logs) == ["T [\u00b0C]", "p"]
        assert [log.arrays()[1].tolist() for log in logs.values()] == [[20.5, 21.5], [1]]
        first = logs["p"].arrays()[0][0]
        assert first == pytest.approx(START + 0.5)


def test_text_above_the_table_may_have_commas(link, tmp_path):
    path = tmp_path / "furnace.csv"
    path.write_text("Furnace 7, lab 3, hall 2\ntime;T\n1700000000;20,5\n")
    with dmlink.log_file(path, link) as followed_file:
        followed(link, lambda: followed_file.rows == 1)
        assert link.logs.at(START) == {"T": 20.5}
        assert followed_file.reason == ""


def test_times_that_cannot_be_read_are_named(link, tmp_path):
    path = tmp_path / "furnace.csv"
    path.write_text("time,T\n11/29/2026 2:03:07 PM,20\n")
    with dmlink.log_file(path, link) as followed_file:
        followed(link, lambda: followed_file.skipped == 1)
        followed(link, lambda: "'11/29/2026 2:03:07 PM' in furnace.csv is no time" in followed_file.reason)
        with path.open("a") as file:
            file.write("0,20\n1700000000,21\n")
        followed(link, lambda: followed_file.rows == 1)
        assert followed_file.reason == ""


def test_bad_rows_are_counted(link, tmp_path):
    path = tmp_path / "log.csv"
    rows = ["1700000000,1", "", "yesterday,2", "1700000001,off", "1700000002", "nan,3", "1700000003,4"]
    rows += ['"1700000004,5', "x" * 200_000, "0001-01-01,6", "1700000005,1e999", "\0,\0"]
    path.write_text("time,T\n" + "\n".join(rows) + "\n")
    with dmlink.log_file(path, link) as followed_file:
        followed(link, lambda: followed_file.rows == 2)
        assert followed_file.skipped == 9
        assert link.logs.all()["T"].arrays()[1].tolist() == [1, 4]


def test_replaced_table_is_reread(link, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("time,T\n" + "".join(f"{START + i},{i}\n" for i in range(50)))
    with dmlink.log_file(path, link) as followed_file:
        followed(link, lambda: followed_file.rows == 50)
        other = tmp_path / "other.csv"
        other.write_text("time,T,p\n" + "".join(f"{START + i},{-i},0\n" for i in range(80)))
        os.replace(other, path)  # noqa: PTH105
        followed(link, lambda: followed_file.rows == 80)
        assert link.logs.all()["T"].arrays()[1].tolist() == [-i for i in range(80)]
        path.write_text(f"time,T,p\n{START},7,0\n")
        followed(link, lambda: followed_file.rows == 1)
        assert link.logs.all()["T"].arrays()[1].tolist() == [7]


def test_times_from_a_start_need_an_offset(link, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("time,T\n0.5,1\n1.5,2\n")
    with dmlink.log_file(path, link) as followed_file:
        followed(link, lambda: "set offset=" in followed_file.reason)
        followed_file.offset = START
        followed(link, lambda: followed_file.rows == 2)
        followed_file.offset = START + 10
        followed(link, lambda: link.logs.at(START + 11) == {"T": 1.0})
        assert np.allclose(link.logs.all()["T"].arrays()[0], [START + 10.5, START + 11.5])


def test_missing_column_is_named(link, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("time,T\n1700000000,1\n")
    with dmlink.log_file(path, link, columns=["p"]) as followed_file:
        followed(link, lambda: followed_file.reason == "There is no column 'p'; available: 'time', 'T'.")


@pytest.mark.exhaustive
def test_million_rows_are_read_as_they_come(link, tmp_path):
    path, part = tmp_path / "log.csv", 10**6 // 4
    with path.open("w") as file, dmlink.log_file(path, link) as followed_file:
        file.write("time,T\n")
        tracemalloc.start()
        for begin in range(0, 10**6, part):
            file.writelines(f"{START + i / 10},{i}\n" for i in range(begin, begin + part))
            file.flush()
            followed(link, lambda end=begin + part: followed_file.rows == end)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert followed_file.bytes_read <= 1.1 * path.stat().st_size
        assert most < 16e6 + 60e6  # the numbers, and one piece of the file
        assert link.logs.at(START + 99_999.9) == {"T": 999_999.0}


def test_clock_of_the_instrument_is_set(link, tmp_path):
    path = tmp_path / "log.csv"
    seconds = [0, 1, 2, 3, 2.5, 3.5, 9e6, 4, 5]  # set back, and ahead by months for a moment
    path.write_text("time,T\n" + "".join(f"{START + s},{i}\n" for i, s in enumerate(seconds)))
    with dmlink.log_file(path, link) as followed_file:
        followed(link, lambda: followed_file.rows == len(seconds))
        log = link.logs.all()["T"]
        assert (log.arrays()[0] - START).tolist() == sorted(seconds)
        assert [log.at(START + t) for t in (2.2, 2.6, 3.2, 4.5, 8e6)] == [2, 4, 3, 7, 8]


def test_gap_keeps_the_last_number(link, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(f"time,T,p\n{START},1,7\n{START + 1},,8\n{START + 2},NaN,9\n{START + 3600},2,\n")
    with dmlink.log_file(path, link) as followed_file:
        followed(link, lambda: followed_file.rows == 4)
        found = [link.logs.at(START + t) for t in (1, 3599, 3600)]
        assert found[0] == {"T": 1.0, "p": 8.0}
        assert np.isnan(found[1]["T"]), "nothing was measured"
        assert found[2] == {"T": 2.0, "p": 9.0}


class SteppedClock:
    """A clock that advances by one period with each of the camera's frames, and a little in between."""

    def __init__(self, period):
        self.period, self.camera = period, None
        self._written, self._since, self._lock = 0, time.monotonic(), threading.Lock()

    def __call__(self):
        with self._lock:
            written = self.camera.written if self.camera else 0
            if written != self._written:
                self._written, self._since = written, time.monotonic()
            little = min(time.monotonic() - self._since, self.period / 4)
            return START + written * self.period + little


def test_log_is_joined_within_half_a_frame(tmp_path):
    """Row n counts from half a frame before frame n was taken, until half a frame before the next one."""
    recording, period, off = Noise(2000, (8, 8)), 0.05, 3.2
    path, clock = tmp_path / "furnace.csv", SteppedClock(period)
    rows = (f"{START + (n - 0.5) * period - off:.3f};{n},0\n" for n in range(2001))
    path.write_text("time;n\n" + "".join(rows))
    with microscope(recording, 1 / period, companion=False, patient=True, loop=False, clock=clock) as dm:
        dm.camera.pause()
        clock.camera = dm.camera
        dm.endpoint = run_companion(dm)
        with (
            dmlink.connect(dm.endpoint, mode="lossless") as link,
            dmlink.log_file(path, link, offset=off) as followed_file,
        ):
            followed(link, lambda: followed_file.rows == 2001)
            assert "clock +3.2 s" in repr(followed_file)
            cell = dmlink.LiveCell("info.log.get('n', -1.0)", "n", mode="lossless").start(link)
            recorder = link.record(tmp_path / "frames")
            dm.camera.resume()
            until(link, lambda: recorder.frames > 40 and cell.stats.processed > 40)
            recorder.stop()
            cell.stop()
            live = {index: result.value for index, result in cell.results()}
    with dmlink.open(recorder.path) as recorded:
        true = [recording.number(frame) + 1 for frame in recorded]  # how many frames the camera had taken
        assert np.abs(recorded.times - START - np.multiply(true, period)).max() <= period / 2
        assert [frame.log["n"] for frame in recorded] == recorded.logs["n"].tolist() == true
        numbers = [frame.tags["source_index"] for frame in recorded]
        known = {index: n for index, n in zip(numbers, true, strict=True) if index in live}
        assert len(known) > 20
        assert {index: live[index] for index in known} == known
        mean = dmlink.LiveCell("frame.mean()", "mean")
        out = dmlink.process(recorded, mean, tmp_path / "out", progress=False)
    with next(out.rglob("*.csv")).open(newline="") as file:
        assert [float(row["n"]) for row in csv.DictReader(file)] == true
