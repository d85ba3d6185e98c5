"""A live cell runs on every frame beside the microscope, and its mistakes stay in its own panel."""

import itertools
import os
import sys
import textwrap
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

import dmlink
from dmlink.cell import live_cells
from dmlink.check import Played
from dmlink.engine import engine
from dmlink.frame import Axis, Frame, Roi
from dmlink.program import Program
from dmlink.simulator import Microscope

X, Y = Axis(-8.0, 0.5, "nm"), Axis(-4.0, 0.25, "nm")


def recording(n=200, shape=(16, 32)):
    """Return a recording whose frame i is full of the number i."""
    return Played([Frame(np.full(shape, i, np.uint16), i, y=Y, x=X, source="Gold") for i in range(n)])


@pytest.fixture(scope="module")
def running():
    """Return a microscope with a companion, and the companion's endpoint."""
    with Microscope(recording(), fps=100) as microscope:
        yield microscope, microscope.start_companion()
    engine.close()


@pytest.fixture
def microscope(running):
    return running[0]


@pytest.fixture
def link(running):
    running[0].camera.resume()
    with dmlink.connect(running[1]) as link:
        yield link


@pytest.fixture
def start(link):
    """Return a function that starts a live cell on the link."""
    cells = []

    def start(text, name="test", roi=None, **options):
        cell = dmlink.LiveCell(textwrap.dedent(text).lstrip("\n"), name, **options)
        cells.append(cell)
        return cell.start(link, roi)

    yield start
    for cell in cells:
        cell.stop()


def until(cell, condition, timeout=60.0):
    with cell._runner.changed:
        assert cell._runner.changed.wait_for(condition, timeout), (
            cell,
            cell.stats,
            cell.error,
            cell.log[-5:],
        )


def frames(cell, n):
    """Wait until the cell has processed n frames more."""
    wanted = cell.stats.processed + n
    until(cell, lambda: cell.stats.processed >= wanted)


# Every frame, and what came of it


def test_a_cell_runs_on_every_frame_and_its_results_come_in_order(start):
    cell = start("frame.mean()")
    results = list(itertools.islice(cell.results(), 20))
    indexes = [index for index, _ in results]
    assert indexes == sorted(set(indexes))
    assert all(result.kind == "scalar" and result.name == "test" for _, result in results)
    # frame and index belong together: the camera counts on where the recording begins anew
    assert len({(index - int(result.value)) % 200 for index, result in results}) == 1


def test_the_latest_result_is_that_of_the_newest_frame(start, microscope, link):
    cell = start("frame.mean()")
    frames(cell, 3)
    microscope.camera.pause()
    with cell._runner.changed:  # no other comes while this is looked at
        until(cell, lambda: cell.latest[0] == link.newest.index)
        index, result = cell.latest
        assert index == cell.frame.index
        assert result.value == cell.frame.data.mean()


def test_the_counts_add_up(start, microscope):
    cell = start("frame.mean()")
    seen = []
    cell.watch(lambda: seen.append(cell.frame.index))
    frames(cell, 30)
    microscope.camera.pause()
    cell.stop()
    stats = cell.stats
    assert stats.processed == len(set(seen))
    assert stats.received == stats.processed + stats.dropped == seen[-1] - seen[0] + 1
    assert stats.skipped == 0
    assert stats.errors == 0
    assert 0 < stats.ms_per_frame < 1000
    assert stats.age >= 0


def test_a_slow_cell_drops_frames_and_counts_them(start):
    cell = start("import time\ntime.sleep(0.1)\ninfo.index")
    indexes = [index for index, _ in itertools.islice(cell.results(), 5)]
    assert cell.stats.dropped >= 4
    assert indexes[-1] - indexes[0] > 8
    assert cell.stats.ms_per_frame > 90
    assert cell.stats.age < 5


def test_a_cell_knows_what_its_pixels_mean(start, link):
    link.set_roi("part", Roi(4, 8, 12, 24))
    until_true(lambda: "part" in link.rois())
    cell = start("Profile(frame[0], scale=info.scale, origin=info.origin, unit=info.unit)", roi="part")
    _, result = next(cell.results())
    assert result.values.shape == (16,)
    assert result.x == Axis(-8.0 + 8 * 0.5, 0.5, "nm")


def test_a_cell_knows_the_line_on_the_live_view(start, microscope):
    drawn = microscope.draw_line(5, 20, 62.5, 30)
    cell = start("str(info.line)")
    until(cell, lambda: cell.latest and cell.latest[1].text == "(20.0, 5.0, 30.0, 62.5)")
    microscope.delete_roi(drawn)


def until_true(condition, timeout=10.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_no_result_is_no_error(start):
    cell = start("None if frame[0, 0] % 2 else frame.mean()")
    frames(cell, 6)
    assert cell.error == ""
    assert cell.stats.errors == 0
    assert cell.latest[1].value % 2 == 0


@pytest.mark.parametrize(
    "text",
    [
        "frame.mean() / 3",
        "{'a': frame.sum(), 'b': info.index * 0.5}",
        "Profile(frame.sum(axis=0) / 7, scale=info.scale, unit='1/' + info.unit)",
        "frame * 1.5",
        "import numpy as np\nnp.dstack([frame % 256] * 3).astype('uint8')",
    ],
    ids=["scalar", "scalars", "profile", "image", "colour"],
)
def test_the_worker_gives_what_the_cell_gives_here(start, text):
    cell = start(text)
    next(cell.results())
    cell.stop()
    there, here = cell.latest[1], cell.run(cell.frame)
    assert type(there) is type(here)
    for name, value in vars(here).items():
        assert np.array_equal(getattr(there, name), value), name


# Which frames


def test_every_third_frame_is_processed_and_the_others_are_skipped(start):
    cell = start("info.index", every=3)
    seen = []
    cell.watch(lambda: seen.append(cell.frame.index))
    frames(cell, 12)
    cell.stop()
    assert min(np.diff(sorted(set(seen)))) == 3
    stats = cell.stats
    assert stats.skipped == 2 * (stats.processed - 1)
    assert stats.received == stats.processed + stats.skipped + stats.dropped


def test_a_cell_of_limited_rate_skips_what_comes_in_between(start):
    cell = start("info.time", max_rate=20)
    times = []
    cell.watch(lambda: times.append(time.monotonic()))
    frames(cell, 12)
    cell.stop()
    stats = cell.stats
    assert (times[11] - times[0]) / 11 > 0.8 / 20
    assert stats.skipped > 0
    assert stats.received == stats.processed + stats.skipped + stats.dropped


def test_a_slider_does_not_wait_for_the_next_frame_of_a_limited_rate(start):
    cell = start("gain: (0, 9) = 1\ngain", max_rate=0.01)
    frames(cell, 1)
    cell.set(gain=5)
    until(cell, lambda: cell.latest[1].value == 5)
    assert cell.stats.processed == 1


def test_a_lossless_cell_gets_every_frame_once_in_order_however_slow_it_is(start, microscope):
    cell = start("import time\ntime.sleep(0.03)\ninfo.index", mode="lossless")
    seen = []
    cell.watch(lambda: seen.append(cell.frame.index))
    frames(cell, 25)
    microscope.camera.pause()
    reader = cell._runner._reader
    until(cell, lambda: not reader._waiting and cell.stats.processed == cell.stats.received)
    assert seen == list(range(seen[0], seen[-1] + 1))
    assert cell.stats.dropped == cell.stats.skipped == 0
    assert cell.stats.processed == len(seen)


def test_lossless_cells_share_their_frames_and_a_slow_one_delays_no_other(start, link):
    slow = start("import time\ntime.sleep(0.2)\ninfo.index", "slow", mode="lossless")
    quick = start("info.index", "quick", mode="lossless")
    part = link.part(None, "lossless")
    assert slow._runner._reader._link is quick._runner._reader._link is part
    frames(quick, 1)  # the start of its process is not what is tested
    frames(slow, 2)
    before = quick.stats.processed
    frames(slow, 3)
    assert quick.stats.processed - before > 20
    slow.stop()
    frames(quick, 3)
    quick.stop()
    assert part.closed  # or frames would wait in DigitalMicrograph
    assert not link.closed


def test_what_does_not_fit_into_the_memory_of_a_lossless_cell_is_counted(start, monkeypatch):
    monkeypatch.setattr("dmlink.reader.WAITING_BYTES", 3 * 16 * 32 * 2)
    cell = start("import time\ntime.sleep(0.1)\ninfo.index", mode="lossless")
    frames(cell, 8)
    assert cell.stats.dropped > 0
    assert cell.stats.skipped == 0


def test_a_lossless_cell_looks_at_its_frame_again_when_no_other_waits(start, microscope):
    cell = start("gain: (0, 9) = 1\n{'gain': gain, 'index': info.index}", mode="lossless")
    frames(cell, 3)
    microscope.camera.pause()
    until(cell, lambda: not cell._runner._reader._waiting)
    cell.set(gain=4)
    until(cell, lambda: cell.latest[1].value["gain"] == 4)
    assert cell.stats.received == cell.stats.processed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"every": 0}, "every=0: it must be 1, 2, 3"),
        ({"every": 1.5}, "every=1.5"),
        ({"max_rate": -1.0}, "max_rate=-1.0: it must be greater than 0"),
        ({"timeout": 0}, "timeout=0"),
        ({"memory": 0}, "memory=0"),
        ({"mode": "all"}, 'it must be "latest" or "lossless"'),
        ({"mode": "lossless", "max_rate": 5.0}, "choose one"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_with_its_value(options, said):
    with pytest.raises(ValueError, match=said):
        dmlink.LiveCell("frame.mean()", **options)


def test_another_program_is_taken_up_with_the_next_frame_in_the_same_process(start):
    cell = start("state['n'] = state.get('n', 0) + 1\nfloat(state['n'])")
    frames(cell, 5)
    pid = cell._runner._worker.pid
    cell.replace(Program.from_cell("state['n'] = state.get('n', 0) - 1\nfloat(state['n'])", "test"))
    until(cell, lambda: cell.latest[1].value < 0)
    assert cell._runner._worker.pid == pid
    assert cell.error == ""
    assert "- 1" in cell.source


def test_another_program_looks_at_a_still_again(start, microscope):
    cell = start("1.0")
    frames(cell, 1)
    microscope.camera.pause()
    cell.replace(Program.from_cell("2.0", "test"))
    until(cell, lambda: cell.latest[1].value == 2.0)


def test_a_slider_acts_on_a_still_though_only_every_tenth_frame_is_processed(start, microscope, link):
    cell = start("gain: (1, 9) = 1\ngain * frame.mean()", every=10)
    frames(cell, 2)
    microscope.camera.pause()
    while (newest := link.newest.index) == cell.frame.index:
        microscope.camera.step()
        until_true(lambda: link.newest.index > newest)
    cell.set(gain=3)
    until(cell, lambda: cell.latest[1].value == 3 * cell.frame.data.mean())


# Parameters, state, pause


def test_a_parameter_reaches_the_running_cell_and_its_state_stays(start):
    cell = start("""
        gain: (0.0, 9.0) = 1.0
        state["n"] = state.get("n", 0) + 1
        {"gain": gain, "n": state["n"]}
    """)
    frames(cell, 3)
    worker, n = cell._runner._worker.pid, cell.latest[1].value["n"]
    cell.set(gain=4)
    until(cell, lambda: cell.latest[1].value["gain"] == 4.0)
    assert cell.latest[1].value["n"] > n
    assert cell._runner._worker.pid == worker
    assert cell.parameters["gain"].value == 4.0
    assert "gain = 4" in cell.source


def test_a_parameter_looks_at_the_newest_frame_again_and_counts_it_once(start, microscope):
    microscope.camera.pause()
    cell = start("gain: (0.0, 9.0) = 1.0\ngain * frame.mean()")
    until(cell, lambda: cell.latest)
    before, (index, result) = cell.stats, cell.latest
    for gain in (2, 3, 4):
        cell.set(gain=gain)
        until(cell, lambda gain=gain: cell.latest[1].value == gain * result.value or not result.value)
    assert cell.latest[0] == index
    assert cell.stats[:4] == before[:4]


def test_setting_what_is_not_there_says_what_is(start):
    cell = start("gain: (0.0, 9.0) = 1.0\ngain * frame.mean()")
    with pytest.raises(ValueError, match=r"no parameter 'sigma'\. It has: gain"):
        cell.set(sigma=3)
    with pytest.raises(ValueError, match="takes a number"):
        cell.set(gain="high")
    frames(cell, 2)
    assert cell.error == ""


def test_many_threads_may_set_and_reset_while_frames_come(start):
    cell = start("""
        a: (0, 1000) = 0
        b: (0, 1000) = 0
        state["n"] = state.get("n", 0) + 1
        {"a": a, "b": b, "n": state["n"]}
    """)

    def turn(name):
        for value in range(1, 201):
            cell.set(**{name: value})
            cell.reset()

    threads = [threading.Thread(target=turn, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(cell, lambda: cell.latest and (cell.latest[1].value["a"], cell.latest[1].value["b"]) == (200, 200))
    assert (cell.error, cell.stats.errors) == ("", 0)


def test_reset_empties_the_state(start):
    cell = start('state["n"] = state.get("n", 0) + 1\nstate["n"]')
    frames(cell, 5)
    cell.reset()
    until(cell, lambda: cell.latest[1].value < 5)
    assert cell.stats.processed >= 5


def test_state_begins_anew_when_the_shape_of_the_frame_changes(start, link):
    link.set_roi("shape", Roi(0, 0, 8, 8))
    until_true(lambda: "shape" in link.rois())
    cell = start(
        'state["n"] = state.get("n", 0) + 1\n{"n": state["n"], "width": frame.shape[1]}', roi="shape"
    )
    frames(cell, 5)
    link.set_roi("shape", Roi(2, 2, 10, 10))  # moved only
    frames(cell, 3)
    n = cell.latest[1].value["n"]
    assert n > 5
    link.set_roi("shape", Roi(0, 0, 8, 16))
    until(cell, lambda: cell.latest[1].value["width"] == 16)
    assert cell.latest[1].value["n"] < n


def test_pause_lets_frames_pass_and_goes_on_with_a_new_one(start, microscope, link):
    cell = start("frame.mean()")
    frames(cell, 3)
    cell.paused = True
    processed = cell.stats.processed
    microscope.wait_displayed(20)
    assert cell.stats.processed <= processed + 1  # the one that it was at
    assert "paused" in repr(cell)
    index = link.next(10).index
    cell.paused = False
    frames(cell, 1)
    assert cell.latest[0] >= index  # not the one that it had in hand
    assert cell.stats.age < 5


def test_paused_a_slider_looks_at_the_same_frame_again(start, microscope):
    cell = start("gain: (0.0, 9.0) = 1.0\n{'gain': gain, 'index': info.index}")
    frames(cell, 3)
    cell.paused = True
    microscope.wait_displayed(5)
    index = cell.latest[0]
    for gain in (2.0, 3.0):
        cell.set(gain=gain)
        until(cell, lambda gain=gain: cell.latest[1].value["gain"] == gain)
        assert cell.latest[0] == index
    microscope.wait_displayed(5)
    assert cell.latest[0] == index
    cell.paused = False
    until(cell, lambda: cell.latest[0] > index)


# The user's mistakes


def test_an_error_shows_the_cells_line_and_goes_with_the_next_good_frame(start):
    cell = start("""
        value = int(frame[0, 0]) % 10
        1 / (value > 4)
    """)
    until(cell, lambda: cell.error)
    assert "line 2: 1 / (value > 4)\nZeroDivisionError: division by zero" in cell.error
    until(cell, lambda: not cell.error)
    assert cell.stats.errors > 0
    until(cell, lambda: cell.error)


def test_the_same_error_is_counted_not_told_anew(start):
    cell = start("""
        part: (0, 1) = 0
        if part:
            raise ValueError(f"frame {info.index} is {frame.mean()}")
        frame[9, 99]
    """)
    until(cell, lambda: cell.repeats == 7)
    assert "out of bounds" in cell.error
    cell.set(part=1)
    until(cell, lambda: cell.repeats == 5 and "ValueError" in cell.error)  # though it names other numbers
    assert cell.stats.errors >= 12


def test_what_a_cell_prints_is_in_its_log_and_the_log_is_bounded(start):
    cell = start("for i in range(50):\n    print(info.index, i)\nframe.mean()")
    frames(cell, 8)
    assert len(cell.log) == 200
    assert cell.log[-1].endswith(" 49")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_crash_is_said_with_its_frame_and_the_next_frame_is_served(start):
    cell = start("import ctypes\nif info.index % 40 == 7:\n    ctypes.string_at(0)\ninfo.index")
    until(cell, lambda: "SIGSEGV" in cell.error)
    index = int(cell.error.partition(":")[0].removeprefix("Frame "))
    assert index % 40 == 7
    until(cell, lambda: not cell.error and cell.latest and cell.latest[0] > index)


def test_a_cell_that_crashes_on_every_frame_is_started_less_and_less_often(start):
    cell = start("import os\nos._exit(3)")
    until(cell, lambda: cell.stats.errors == 2)
    assert "code 3" in cell.error
    began = time.monotonic()
    until(cell, lambda: cell.stats.errors == 3)
    assert time.monotonic() - began > 0.5
    began = time.monotonic()
    cell.stop()  # while it rests
    assert time.monotonic() - began < 1


def test_a_frame_that_takes_too_long_is_named_and_the_next_one_is_served(start):
    cell = start("state['n'] = 1\nwhile info.index % 100 < 50:\n    pass\ninfo.index", timeout=0.3)
    until(cell, lambda: cell.error)
    assert cell.error.startswith("Frame ")
    assert "longer than 0.3 s (--timeout)" in cell.error
    until(cell, lambda: not cell.error and cell.latest)


def test_a_missing_package_stops_the_cell_and_says_why(start):
    cell = start("import no_such_package\nframe.mean()")
    until(cell, lambda: not cell.running)
    assert cell.error == (
        "line 1: import no_such_package\nModuleNotFoundError: No module named 'no_such_package'"
    )
    with pytest.raises(RuntimeError, match="no_such_package"):
        cell.results()


def test_a_result_that_only_the_cells_process_knows_is_an_error_and_the_next_frame_is_served(start):
    text = "from dmlink import Image\nclass Tilted(Image):\n    pass\n"
    names = {"__name__": "__main__", "In": [text]}
    exec(text, names)  # noqa: S102 - as the notebook does
    cell = start("Tilted(frame) if info.index % 2 else frame.mean()", namespace=names)
    until(cell, lambda: "give one of dmlink's own kinds" in cell.error)
    assert "live_cell_test" in cell.error
    until(cell, lambda: cell.latest and not cell.error)
    assert cell.running


def test_a_process_that_cannot_be_started_is_the_cells_error(start, monkeypatch):
    def refuse(*_):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(engine, "worker", refuse)
    cell = start("frame.mean()")
    until(cell, lambda: not cell.running)
    assert "Resource temporarily unavailable" in cell.error
    monkeypatch.undo()
    frames(cell.start(cell.link), 2)
    assert cell.error == ""


def test_a_watcher_that_fails_does_not_end_the_cell(start, caplog):
    cell = start("frame.mean()")
    unwatch = cell.watch(lambda: 1 / 0)
    frames(cell, 3)
    unwatch()
    unwatch()  # as when a panel is closed twice
    assert cell.running
    assert "ZeroDivisionError" in caplog.text


def test_a_cell_that_sleeps_slows_neither_the_other_nor_the_microscope(start, microscope):
    microscope.camera.fps = 40
    try:
        quick = start("frame.mean()", "quick")
        sleeper = start("import time\ntime.sleep(5)\nframe.mean()", "sleeper")
        frames(sleeper, 1)
        until_true(lambda: sleeper._runner._worker._deadline)  # it sleeps again
        slept, displayed = sleeper.stats.processed, microscope.displayed
        frames(quick, 40)
        assert 38 <= microscope.displayed - displayed < 120  # 200 in the time of a sleep
        assert sleeper.stats.processed == slept
    finally:
        microscope.camera.fps = 100
    assert quick.error == sleeper.error == ""


# Start, stop, and what is lost on the way


def test_before_its_start_a_cell_runs_here_and_says_that_it_is_not_started():
    cell = dmlink.LiveCell(
        "gain: int = 2\nstate['n'] = state.get('n', 0) + 1\ngain * frame.mean() + state['n']"
    )
    assert cell.run(np.ones((3, 3))).value == 3.0
    cell.set(gain=5)
    assert cell.run(np.ones((3, 3))).value == 7.0  # the state is kept
    assert cell.run(np.ones((2, 3))).value == 6.0
    cell.run(np.ones((2, 3)))
    cell.reset()
    assert cell.run(np.ones((2, 3))).value == 6.0
    assert cell.latest is None
    assert not cell.running
    assert cell.stats == (0, 0, 0, 0, 0, 0.0, None)
    assert "stopped" in repr(cell)
    with pytest.raises(RuntimeError, match=r"'cell' does not run: start\(link\) it first"):
        cell.results()
    cell.stop()


def test_here_too_a_frame_is_read_only():
    frame = np.ones((3, 3))
    with pytest.raises(ValueError, match="read-only") as caught:
        dmlink.LiveCell("frame[0] = 2\nframe").run(frame)
    assert "frame.copy()" in caught.value.__notes__[0]
    assert frame.flags.writeable


def test_started_twice_it_begins_anew_stopped_twice_nothing_happens(start, link):
    cell = start("state['n'] = state.get('n', 0) + 1\nstate['n']")
    frames(cell, 10)
    process, thread = cell._runner._worker, cell._runner._thread
    assert cell.start(link) is cell
    assert not thread.is_alive()
    assert process._process.poll() is not None
    assert next(cell.results())[1].value < 5
    cell.stop()
    latest, stats = cell.latest, cell.stats
    cell.stop()
    assert not cell.running
    assert cell.latest is latest
    assert cell.stats[:5] == stats[:5]
    assert [index for index, _ in cell.results()] == [latest[0]]


def test_stop_does_not_wait_for_a_long_frame(start):
    cell = start("print('in it')\nimport time\ntime.sleep(30)")
    until_true(lambda: cell._runner._worker and cell._runner._worker._deadline and cell.stats.received)
    thread = cell._runner._thread
    cell.stop()
    assert not thread.is_alive()
    assert cell.error == ""


def test_stop_does_not_wait_for_long_imports(start, tmp_path, monkeypatch):
    begun = tmp_path / "begun"
    slow = f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(30)"
    (tmp_path / "slow.py").write_text(slow)
    monkeypatch.syspath_prepend(tmp_path)
    cell = start("import slow\nframe.mean()")
    until_true(begun.exists, 30)
    thread = cell._runner._thread
    cell.stop()
    assert not thread.is_alive()
    assert cell.error == ""


def test_a_cell_can_be_stopped_by_what_watches_it(start):
    cell = start("frame.mean()")
    thread = cell._runner._thread
    cell.watch(cell.stop)
    thread.join(10)
    assert not thread.is_alive()
    assert not cell.running


def test_results_end_when_the_cell_is_stopped(start):
    cell = start("frame.mean()")
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(cell.results()))
    thread.start()
    frames(cell, 5)
    cell.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert seen


def test_after_stop_and_close_nothing_is_left(start):
    threads = {t for t in threading.enumerate() if t.name.startswith("dmlink-cell")}
    cell = start("frame * 2")
    frames(cell, 3)
    process = cell._runner._worker._process
    spare = engine._spare._process
    cell.stop()
    assert process.poll() is not None
    engine.close()
    assert spare.poll() is not None
    left = {t for t in threading.enumerate() if t.name.startswith(("dmlink-cell", "dmlink-timeouts"))}
    assert left <= threads


def test_a_cell_whose_link_is_closed_says_so(running):
    with dmlink.connect(running[1]) as link:
        running[0].camera.resume()
        cell = dmlink.LiveCell("frame.mean()", "test").start(link)
        frames(cell, 3)
        told = threading.Event()
        cell.watch(told.set)
    until(cell, lambda: not cell.running)
    assert "was closed" in cell.error
    assert told.is_set()
    assert cell.latest
    with pytest.raises(ConnectionError, match="closed: connect anew"):
        cell.start(link)


def test_a_rectangle_that_is_not_there_is_an_error_at_once(link):
    with pytest.raises(ValueError, match="nowhere"):
        dmlink.LiveCell("frame.mean()").start(link, "nowhere")


def test_running_cells_of_the_kernel_are_known_by_name(link):
    first, second = (dmlink.LiveCell("frame.mean()", name) for name in ("b", "a"))
    assert first not in live_cells()
    first.start(link)
    second.start(link)
    assert live_cells() == [second, first]
    assert first.link is link
    first.stop()
    assert live_cells() == [second]
    second.stop()


def test_cells_may_be_started_while_they_are_listed(monkeypatch):
    idle = SimpleNamespace(start=lambda *_: None, stop=lambda: None, running=False, program=None)
    cells = [dmlink.LiveCell("frame.mean()") for _ in range(300)]
    monkeypatch.setattr("dmlink.cell.Runner", lambda *_: idle)
    link = SimpleNamespace(closed=False)
    thread = threading.Thread(target=lambda: [cell.start(link) for cell in cells])
    pause = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        thread.start()
        while thread.is_alive():
            assert live_cells() == []
    finally:
        sys.setswitchinterval(pause)
        thread.join()


def test_a_cell_goes_on_when_a_link_that_was_lost_is_back(running):
    """The last test here: the companion that others use is replaced."""
    microscope, _ = running
    with dmlink.connect() as link:
        cell = dmlink.LiveCell("state['n'] = state.get('n', 0) + 1\nstate['n']").start(link)
        frames(cell, 5)
        lost = threading.Event()
        link.watch(lambda: link.state == "lost" and lost.set())
        microscope.start_companion()
        assert lost.wait(10)
        assert cell.running
        frames(cell, 5)
        assert link.state == "live"
        assert cell.error == ""
        assert cell.latest[1].value >= 10  # its state has lived on
        cell.stop()
