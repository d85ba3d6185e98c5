"""A live cell runs on every frame, and its errors stay in its own panel."""

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
from dmlink.cell.live_cell import live_cells
from dmlink.cell.outcomes import Outcomes
from dmlink.comparison.script_check import InMemoryRecording
from dmlink.engine.messages import Outcome
from dmlink.engine.pool import engine
from dmlink.frame import Axis, Frame, Roi
from dmlink.program.program import Program
from dmlink.session import Session
from dmlink.simulator import Microscope

X, Y = Axis(-8.0, 0.5, "nm"), Axis(-4.0, 0.25, "nm")


def recording(n=200, shape=(16, 32)):
    """Return a recording whose frame i is filled with the number i."""
    return InMemoryRecording(
        [Frame(np.full(shape, i, np.uint16), i, y=Y, x=X, source="Gold") for i in range(n)]
    )


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
    """Return a function that starts a live cell on the link.

    After each frame, its index, or what `note` returns for the cell, is appended to `seen`.
    """
    cells = []

    def start(text, name="test", roi=None, seen=None, note=lambda cell: cell.frame.index, **options):
        cell = dmlink.LiveCell(textwrap.dedent(text).lstrip("\n"), name, **options)
        cells.append(cell)
        if seen is not None:
            cell.watch(lambda: seen.append(note(cell)))
        return cell.start(link, roi)

    yield start
    for cell in cells:
        cell.stop()


def until(cell, condition, timeout=60.0):
    """Wait until the condition holds, and return its value, which may have changed since."""
    with cell._outcomes.changed:
        value = cell._outcomes.changed.wait_for(condition, timeout)
        assert value, (cell, cell.stats, cell.error, cell.log[-5:])
        return value


def frames(cell, n):
    """Wait until the cell has processed n frames more."""
    wanted = cell.stats.processed + n
    until(cell, lambda: cell.stats.processed >= wanted)


def pause(microscope):
    """Pause the camera, and wait until DigitalMicrograph has handled everything."""
    microscope.camera.pause()
    microscope.settle()


def step(cell, microscope, n):
    """Let the paused camera take n frames, each after the cell's link has received the previous one."""
    until_true(lambda: cell.link.newest)
    for _ in range(n):
        i = microscope.camera.step(timeout=60.0)
        until_true(lambda i=i: (cell.link.newest.data == i).all())


def was_reset(values):
    """Return whether a value is less than the previous one, so the counter was reset."""
    return any(after < before for before, after in itertools.pairwise(list(values)))


def ended(cell, thread):
    """Wait for the thread of a cell that was stopped."""
    thread.join(60)
    assert not thread.is_alive(), cell


def value_of(cell, name):
    """Return one of several numbers of the newest result."""
    return cell.latest[1].results[name].value if hasattr(cell.latest[1], "results") else None


# Every frame and its result


def test_results_come_in_frame_order(start):
    seen = []
    cell = start("frame.mean()", seen=seen, note=lambda cell: cell.frame)
    results = list(itertools.islice(cell.results(), 20))
    indexes = [index for index, _ in results]
    assert indexes == sorted(set(indexes))
    assert all(result.kind == "scalar" and result.name == "test" for _, result in results)
    frames_of = {frame.index: frame for frame in seen}
    assert all(result.value == frames_of[index].data.mean() for index, result in results[:-1])


def test_latest_result_is_of_newest_frame(start, microscope, link):
    cell = start("frame.mean()")
    frames(cell, 3)
    microscope.camera.pause()
    with cell._outcomes.changed:  # no other frame arrives meanwhile
        until(cell, lambda: cell.latest[0] == link.newest.index)
        index, result = cell.latest
        assert index == cell.frame.index
        assert result.value == cell.frame.data.mean()


def test_counts_add_up(start, microscope, link):
    seen = []
    pause(microscope)
    cell = start("frame.mean()", seen=seen)
    first, _ = until_true(lambda: at_rest(cell, seen))  # while a worker starts, frames are dropped
    begun = seen[-1]
    microscope.camera.resume()
    frames(cell, 30)
    pause(microscope)
    newest = until_true(lambda: caught_up(microscope, link)).index
    stats, seen = until_true(lambda: (rest := at_rest(cell, seen)) and rest[1][-1] == newest and rest)
    assert stats.processed == len(set(seen))
    assert stats.received - first.received == newest - begun
    assert stats.skipped == 0
    assert stats.errors == 0
    assert stats.ms_per_frame > 0
    assert stats.age >= 0


def caught_up(microscope, link):
    """Return the link's newest frame, if that is the camera's."""
    frame = link.newest
    return (frame.data == microscope.camera.position).all() and frame


def at_rest(cell, seen):
    """Return the counts and what was seen, if no frame is in progress."""
    processed, seen, stats = cell.stats.processed, list(seen), cell.stats
    done = stats.processed + stats.skipped + stats.dropped
    rests = done == stats.received and stats.processed == processed
    return rests and cell.latest and seen[-1:] == [cell.latest[0]] and (stats, seen)


def test_slow_cell_counts_dropped_frames(start):
    cell = start("import time\ntime.sleep(0.1)\ninfo.index")
    until(cell, lambda: cell.stats.dropped > cell.stats.processed > 4)
    assert cell.stats.ms_per_frame > 90


def test_cell_gets_calibration(start, link):
    link.set_roi("part", Roi(4, 8, 12, 24))
    until_true(lambda: "part" in link.rois())
    cell = start("Profile(frame[0], scale=info.scale, origin=info.origin, unit=info.unit)", roi="part")
    _, result = next(cell.results())
    assert result.values.shape == (16,)
    assert result.x == Axis(-8.0 + 8 * 0.5, 0.5, "nm")


def test_cell_gets_the_drawn_line(start, microscope):
    drawn = microscope.draw_line(5, 20, 62.5, 30)
    cell = start("str(info.line)")
    until(cell, lambda: cell.latest and cell.latest[1].text == "(20.0, 5.0, 30.0, 62.5)")
    microscope.delete_roi(drawn)


def until_true(condition, timeout=60.0):
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return value


def test_missing_result_is_not_an_error(start):
    cell = start("None if frame[0, 0] % 2 else frame[0, 0]")
    until(cell, lambda: cell._outcomes.numbered and cell.stats.processed > cell._outcomes.numbered + 3)
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
def test_worker_and_kernel_agree(start, text):
    cell = start(text)
    next(cell.results())
    frame, there = cell.newest
    cell.stop()
    here = cell.run(frame)
    assert type(there) is type(here)
    for name, value in vars(here).items():
        assert np.array_equal(getattr(there, name), value), name


# Which frames


@pytest.mark.parametrize("mode", ["latest", "lossless"])
def test_every_third_frame_is_processed(start, microscope, mode):
    seen = []
    pause(microscope)
    cell = start("info.index", seen=seen, every=3, mode=mode)
    until(cell, lambda: cell.latest)
    step(cell, microscope, 40)
    stats, seen = until_true(lambda: at_rest(cell, seen))
    steps = np.diff(sorted(set(seen)))
    assert (steps >= 3).all() if mode == "latest" else (steps == 3).all()
    assert 0 <= stats.skipped - 2 * (stats.processed - 1) <= 2  # after the last one, too


def test_rate_limit_skips_frames(start):
    began = time.monotonic()
    cell = start("info.time", max_rate=20)
    frames(cell, 12)
    assert time.monotonic() - began > 0.8 * 11 / 20
    until(cell, lambda: cell.stats.skipped > 0)
    cell.stop()
    stats = cell.stats
    assert stats.received == stats.processed + stats.skipped + stats.dropped


def test_slider_is_not_delayed_by_rate_limit(start):
    cell = start("gain: (0, 9) = 1\ngain", max_rate=0.01)
    frames(cell, 1)
    cell.set(gain=5)
    until(cell, lambda: cell.latest[1].value == 5)
    assert cell.stats.processed == 1


def test_lossless_cell_gets_every_frame(start, microscope):
    seen = []
    pause(microscope)
    cell = start("import time\ntime.sleep(0.03)\ninfo.index", seen=seen, mode="lossless")
    step(cell, microscope, 25)
    reader = cell._runner._reader
    stats, seen = until_true(lambda: not reader._waiting and at_rest(cell, seen))
    assert seen == list(range(seen[0], seen[-1] + 1))
    assert stats.dropped == stats.skipped == 0
    assert stats.processed == len(seen)


def test_lossless_cell_counts_losses_at_once(start, microscope, monkeypatch):
    monkeypatch.setattr("dmlink.link.readers.WAITING_FRAMES", 40)
    pause(microscope)
    slow = start("import time\ntime.sleep(0.05)\ninfo.index", "slow", mode="lossless")
    quick = start("info.index", "quick", mode="lossless")  # its frames keep arriving
    until(slow, lambda: slow.latest)
    until(quick, lambda: quick.latest)
    microscope.camera.resume()
    until(slow, lambda: slow.stats.dropped > 20)
    microscope.camera.pause()
    microscope.settle()
    until_true(lambda: 0 <= slow.link.stats.received - slow.stats.received <= 2)


def test_lossless_cell_starts_again(start, link):
    cell = start("frame.mean()", mode="lossless")
    frames(cell, 3)
    for _ in range(2):
        cell.stop()
        until_true(lambda: cell.link.closed)
        cell.start(cell.link)
        frames(cell, 3)
    assert cell.error == ""


def test_lossless_cell_gives_every_result(start, microscope):
    pause(microscope)
    cell = start("info.index", "numbers", mode="lossless")
    step(cell, microscope, 40)
    results = cell.results()
    indices = [index for index, _ in itertools.islice(results, 30)]
    assert indices == list(range(indices[0], indices[0] + 30))
    again = [index for index, _ in itertools.islice(cell.results(), 10)]
    assert again == indices[:10]  # from the start


def test_unread_results_are_bounded(start, monkeypatch):
    monkeypatch.setattr("dmlink.cell.outcomes.KEPT_RESULTS", 5)
    cell = start("info.index", "numbers", mode="lossless")
    until(cell, lambda: cell.stats.processed > 30)
    (first, _), (second, _) = itertools.islice(cell.results(), 2)
    assert first >= 25
    assert second > first


@pytest.mark.parametrize("text", ["image", "(image, 1)", "Overlay(image, Points([]))"])
def test_memory_of_unread_results_is_bounded(start, monkeypatch, text):
    monkeypatch.setattr("dmlink.cell.outcomes.KEPT_BYTES", 5 * 48 * 64 * 8)
    cell = start(f"import numpy as np\nimage = np.zeros((48, 64))\n{text}", "images", mode="lossless")
    until(cell, lambda: cell.stats.processed > 20)
    assert 1 < len(cell._outcomes.history) < 6


def test_slow_lossless_cell_delays_no_other(start, link):
    slow = start("import time\ntime.sleep(0.5)\ninfo.index", "slow", mode="lossless")
    quick = start("info.index", "quick", mode="lossless")
    part = slow.link
    assert quick.link is part
    until(quick, lambda: quick.stats.processed > slow.stats.processed + 20)
    slow.stop()
    frames(quick, 3)
    quick.stop()
    assert part.closed  # otherwise frames would wait in DigitalMicrograph
    assert not link.closed


def test_lossless_overflow_is_counted(start, monkeypatch):
    monkeypatch.setattr("dmlink.link.readers.WAITING_BYTES", 3 * 16 * 32 * 2)
    cell = start("import time\ntime.sleep(0.1)\ninfo.index", mode="lossless")
    until(cell, lambda: cell.stats.dropped > 0)
    assert cell.stats.skipped == 0


def test_lossless_cell_repeats_last_frame(start, microscope):
    pause(microscope)
    cell = start("gain: (0, 9) = 1\n{'gain': gain, 'index': info.index}", mode="lossless")
    step(cell, microscope, 3)
    newest = cell.link.newest.index
    until(cell, lambda: cell.latest and cell.latest[0] == newest)
    before = cell.stats
    cell.set(gain=4)
    until(cell, lambda: cell.latest[1].value["gain"] == 4)
    assert cell.latest[0] == newest
    assert cell.stats[:4] == before[:4]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"every": 0}, "every=0: it must be 1, 2, 3"),
        ({"every": 1.5}, "every=1.5"),
        ({"max_rate": -1.0}, "max_rate=-1.0: it must be greater than 0"),
        ({"timeout": 0}, "timeout=0"),
        ({"memory": 0}, "memory=0"),
        ({"mode": "all"}, 'it must be "latest" or "lossless"'),
        ({"mode": "lossless", "max_rate": 5.0}, "use only one of them"),
    ],
)
def test_bad_option_is_refused_with_value(options, said):
    with pytest.raises(ValueError, match=said):
        dmlink.LiveCell("frame.mean()", **options)


def test_new_program_runs_in_same_process(start):
    cell = start("state['n'] = state.get('n', 0) + 1\nfloat(state['n'])")
    frames(cell, 5)
    pid = cell._runner._worker.pid
    cell.replace(Program.from_cell("state['n'] = state.get('n', 0) - 1\nfloat(state['n'])", "test"))
    until(cell, lambda: cell.latest[1].value < 0)
    assert cell._runner._worker.pid == pid
    assert cell.error == ""
    assert "- 1" in cell.source


def test_new_program_reruns_on_still_image(start, microscope):
    cell = start("1.0")
    frames(cell, 1)
    microscope.camera.pause()
    cell.replace(Program.from_cell("2.0", "test"))
    until(cell, lambda: cell.latest[1].value == 2.0)


def test_slider_reruns_despite_every_tenth(start, microscope, link):
    cell = start("gain: (1, 9) = 1\ngain * frame.mean()", every=10)
    frames(cell, 2)
    microscope.camera.pause()
    while (newest := link.newest.index) == cell.frame.index:
        microscope.camera.step()
        until_true(lambda: link.newest.index > newest)
    cell.set(gain=3)
    until(cell, lambda: cell.latest[1].value == 3 * cell.frame.data.mean())


# Parameters, state, pause


def test_parameter_changes_and_state_stays(start):
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


def test_rerun_frame_is_counted_once(start, microscope):
    pause(microscope)
    cell = start("gain: (0.0, 9.0) = 1.0\ngain * frame.mean()")
    until(cell, lambda: cell.latest)
    step(cell, microscope, 1)
    newest = cell.link.newest.index
    until(cell, lambda: cell.latest[0] == newest)
    before, (index, result) = cell.stats, cell.latest
    for gain in (2, 3, 4):
        cell.set(gain=gain)
        until(cell, lambda gain=gain: cell.latest[1].value == gain * result.value or not result.value)
    assert cell.latest[0] == index
    assert cell.stats[:4] == before[:4]


def test_rerun_frame_adds_up_once(start, microscope):
    pause(microscope)
    cell = start("""
        gain: (0.0, 9.0) = 1.0
        state["n"] = state.get("n", 0) + (not info.again)
        {"n": state["n"], "gain": gain, "event": Event("here")}
        """)  # fmt: skip
    until(cell, lambda: cell.latest)
    step(cell, microscope, 3)
    newest = cell.link.newest.index
    until(cell, lambda: cell.latest[0] == newest)
    n, events = value_of(cell, "n"), cell.event_count
    for gain in (2.0, 3.0, 4.0):
        cell.set(gain=gain)
        until(cell, lambda gain=gain: value_of(cell, "gain") == gain)
    assert value_of(cell, "n") == n == events == cell.event_count
    cell.reset()
    cell.set(gain=5.0)
    until(cell, lambda: value_of(cell, "gain") == 5.0)
    assert value_of(cell, "n") == 1  # an empty state has not seen the frame


def test_new_program_gets_no_old_values(start):
    cell = start("import time\ngain: int = 1\ntime.sleep(0.5)\ngain")
    until(cell, lambda: cell.latest)
    done = cell.stats.processed
    cell.set(gain=3)
    cell.replace(Program.from_cell("gain: int = 1\n{'gain': gain}", "test"))
    until(cell, lambda: cell.stats.processed > done + 2)
    assert cell.latest[1].series == {"gain": cell.parameters["gain"].value} == {"gain": 1}


def test_unknown_parameter_lists_known_ones(start):
    cell = start("gain: (0.0, 9.0) = 1.0\ngain * frame.mean()")
    with pytest.raises(ValueError, match=r"no parameter 'sigma'\. It has: gain"):
        cell.set(sigma=3)
    with pytest.raises(ValueError, match="takes a number"):
        cell.set(gain="high")
    frames(cell, 2)
    assert cell.error == ""


def test_set_and_reset_are_thread_safe(start):
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


def test_reset_empties_state(start):
    seen = []
    cell = start(
        'state["n"] = state.get("n", 0) + 1\nstate["n"]', seen=seen, note=lambda cell: cell.latest[1].value
    )
    frames(cell, 5)
    cell.reset()
    until(cell, lambda: was_reset(seen))
    assert cell.stats.processed >= 5


def test_new_shape_empties_state(start, link):
    link.set_roi("shape", Roi(0, 0, 8, 8))
    until_true(lambda: "shape" in link.rois())
    cell = start(
        'state["n"] = state.get("n", 0) + 1\n{"n": state["n"], "width": frame.shape[1]}', roi="shape"
    )
    frames(cell, 5)
    link.set_roi("shape", Roi(2, 2, 10, 10))  # only moved
    frames(cell, 3)
    assert cell.latest[1].value["n"] > 5
    link.set_roi("shape", Roi(0, 0, 8, 16))
    with cell._outcomes.changed:  # no other frame arrives meanwhile
        until(cell, lambda: cell.latest[1].value["width"] == 16)
        assert cell.latest[1].value["n"] < cell.stats.processed  # they would be equal


def test_pause_skips_frames(start, microscope, link):
    seen = []
    cell = start("frame.mean()", seen=seen)
    frames(cell, 3)
    cell.paused = True
    processed = cell.stats.processed
    microscope.wait_displayed(20)
    stats, before = until_true(lambda: at_rest(cell, seen))
    assert stats.processed <= processed + 1  # the one that it was at
    assert "paused" in repr(cell)
    index = link.next(60).index
    cell.paused = False
    until_true(lambda: len(seen) > len(before))
    assert seen[len(before)] >= index  # not the one that it was processing


def test_paused_slider_reruns_same_frame(start, microscope):
    seen = []
    cell = start("gain: (0.0, 9.0) = 1.0\n{'gain': gain, 'index': info.index}", seen=seen)
    frames(cell, 3)
    cell.paused = True
    microscope.wait_displayed(5)
    until_true(lambda: at_rest(cell, seen))  # on the same frame
    index = cell.latest[0]
    for gain in (2.0, 3.0):
        cell.set(gain=gain)
        until(cell, lambda gain=gain: cell.latest[1].value["gain"] == gain)
        assert cell.latest[0] == index
    microscope.wait_displayed(5)
    assert cell.latest[0] == index
    cell.paused = False
    until(cell, lambda: cell.latest[0] > index)


# Errors in the user's cell


def test_error_has_line_and_clears(start):
    cell = start("""
        value = int(frame[0, 0]) % 10
        1 / (value > 4)
    """)
    error = until(cell, lambda: cell.error)
    assert "line 2: 1 / (value > 4)\nZeroDivisionError: division by zero" in error
    until(cell, lambda: not cell.error)
    assert cell.stats.errors > 0
    until(cell, lambda: cell.error)


def test_repeated_error_is_counted(start):
    seen = []
    text = """
        part: (0, 1) = 0
        if part:
            raise ValueError(f"frame {info.index} is {frame.mean()}")
        frame[9, 99]
    """
    cell = start(text, seen=seen, note=lambda cell: (cell.repeats, "out of bounds" in cell.error))
    until(cell, lambda: (7, True) in seen)
    cell.set(part=1)
    until(cell, lambda: (5, False) in seen)  # although its numbers differ
    first = seen.index((1, False))
    assert seen[: first + 5] == [(n, True) for n in range(1, first + 1)] + [(n, False) for n in range(1, 6)]
    assert cell.stats.errors >= 12


def test_log_has_each_warning_once():
    outcomes = Outcomes()
    for log in ("dark\n", "dark\nnoisy\n", "dark\nnoisy\n", "", "dark\n"):
        outcomes.add(Outcome(log=log))
    assert outcomes.log == ["dark", "noisy", "dark"]


def test_log_has_prints_and_is_bounded(start):
    cell = start("for i in range(50):\n    print(info.index, i)\nframe.mean()")
    frames(cell, 8)
    assert len(cell.log) == 200
    assert cell.log[-1].endswith(" 49")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_crash_names_frame_and_recovers(start):
    cell = start("import ctypes\nif info.index % 40 == 7:\n    ctypes.string_at(0)\ninfo.index")
    error = until(cell, lambda: "SIGSEGV" in cell.error and cell.error)
    index = int(error.partition(":")[0].removeprefix("Frame "))
    assert index % 40 == 7
    until(cell, lambda: not cell.error and cell.latest and cell.latest[0] > index)


def test_crash_loop_backs_off(start):
    cell, times = start("import os\nos._exit(3)"), []
    cell.watch(lambda: times.append(time.monotonic()))  # before it rests
    until(cell, lambda: cell.stats.errors >= 3)
    assert "code 3" in cell.error
    until_true(lambda: len(times) >= 3)
    assert times[2] - times[1] > 0.5


def test_stop_does_not_wait_after_a_crash(start, monkeypatch):
    monkeypatch.setattr("dmlink.cell.runner.MAX_BACKOFF", 600.0)
    monkeypatch.setattr("dmlink.cell.runner.MOST_CRASHES", 1000)
    cell = start("import os\nos._exit(3)")
    cell._runner._crashes = 600  # as if it had crashed this often
    until(cell, lambda: cell.stats.errors)
    thread = cell._runner._thread
    cell.stop()
    thread.join(60)
    assert not thread.is_alive()


def test_endless_loop_is_given_up(start):
    cell = start("while True:\n    pass", timeout=0.1)
    until(cell, lambda: not cell.running)
    assert "5 times in a row" in cell.error
    assert cell.stats.errors == 5


def test_timeout_names_frame_and_recovers(start, tmp_path):
    once = str(tmp_path / "once")
    text = f"""
        from pathlib import Path
        if not Path({once!r}).exists():
            Path({once!r}).touch()
            while True:
                pass
        info.index
    """
    cell = start(text, timeout=1.5)
    error = until(cell, lambda: cell.error)
    assert error.startswith("Frame ")
    assert "longer than 1.5 s (--timeout)" in error
    until(cell, lambda: not cell.error and cell.latest)


def test_missing_package_stops_the_cell(start):
    cell = start("import no_such_package\nframe.mean()")
    until(cell, lambda: not cell.running)
    assert cell.error == (
        "line 1: import no_such_package\nModuleNotFoundError: No module named 'no_such_package'"
    )
    with pytest.raises(RuntimeError, match="no_such_package"):
        cell.results()


def test_result_executes_nothing_here(start, tmp_path):
    text = (
        "from dmlink import Image\n"
        "class Tilted(Image):\n"
        "    def __reduce__(self):\n"
        f"        return open, ({str(tmp_path / 'executed')!r}, 'w')\n"
    )
    names = {"__name__": "__main__", "In": [text]}
    exec(text, names)  # noqa: S102 - as the notebook does
    cell = start("tilted = Tilted(frame)\ntilted.own = Tilted(frame)\ntilted", namespace=names)
    frames(cell, 3)
    assert type(cell.latest[1]) is dmlink.Image
    assert not cell.error
    assert not (tmp_path / "executed").exists()


def test_unreadable_result_is_an_error(start):
    text = "result = Image(frame)\nif info.index % 2:\n    result.values = np.array([None])\nresult"
    cell = start(text, namespace={"np": np})
    until(cell, lambda: "numbers and text, not object" in cell.error)
    until(cell, lambda: cell.latest and not cell.error)
    assert cell.running


def test_failed_start_is_an_error(start, monkeypatch):
    def refuse(*_):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(engine, "worker", refuse)
    cell = start("frame.mean()")
    until(cell, lambda: not cell.running)
    assert "Resource temporarily unavailable" in cell.error
    monkeypatch.undo()
    frames(cell.start(cell.link), 2)
    assert cell.error == ""


def test_failing_watcher_does_not_end_cell(start, caplog):
    cell = start("frame.mean()")
    unwatch = cell.watch(lambda: 1 / 0)
    frames(cell, 3)
    unwatch()
    unwatch()  # as if a panel were closed twice
    assert cell.running
    assert "ZeroDivisionError" in caplog.text


def test_sleeping_cell_slows_nobody(start, microscope):
    quick = start("frame.mean()", "quick")
    text = "import time\nif state:\n    time.sleep(600)\nstate['slept'] = True\nframe.mean()"
    sleeper = start(text, "sleeper", timeout=600)
    frames(sleeper, 1)
    until_true(lambda: sleeper._runner._worker._deadline)  # the cell sleeps
    frames(quick, 40)
    microscope.wait_displayed(40)
    assert sleeper.stats.processed == 1
    assert quick.error == sleeper.error == ""


# Start, stop, and lost frames


def test_run_works_before_start():
    cell = dmlink.LiveCell(
        "gain: int = 2\nstate['n'] = state.get('n', 0) + 1\ngain * frame.mean() + state['n']"
    )
    assert cell.run(np.ones((3, 3))).value == 3.0
    cell.set(gain=5)
    assert cell.run(np.ones((3, 3))).value == 7.0  # its state is kept
    assert cell.run(np.ones((2, 3))).value == 6.0
    cell.run(np.ones((2, 3)))
    cell.reset()
    assert cell.run(np.ones((2, 3))).value == 6.0
    assert cell.latest is None
    assert not cell.running
    assert cell.stats == (0, 0, 0, 0, 0, 0.0, None)
    assert "stopped" in repr(cell)
    with pytest.raises(RuntimeError, match=r"'cell' is not running: call start\(link\) first"):
        cell.results()
    cell.stop()


def test_run_returns_what_stays():
    cell = dmlink.LiveCell("s = state.setdefault('s', frame * 0.0)\ns += frame\ns")
    first, second = cell.run(np.ones((2, 2))), cell.run(np.ones((2, 2)))
    assert (first.values == 1).all()
    assert (second.values == 2).all()


def test_run_gets_a_read_only_frame():
    frame = np.ones((3, 3))
    with pytest.raises(ValueError, match="read-only") as caught:
        dmlink.LiveCell("frame[0] = 2\nframe").run(frame)
    assert "frame.copy()" in caught.value.__notes__[0]
    assert frame.flags.writeable


def test_start_and_stop_can_be_repeated(start, link):
    seen = []
    text = "state['n'] = state.get('n', 0) + 1\nstate['n']"
    cell = start(text, seen=seen, note=lambda cell: cell.latest[1].value)
    frames(cell, 10)
    process, thread = cell._runner._worker, cell._runner._thread
    assert cell.start(link) is cell
    ended(cell, thread)
    assert process._process.poll() is not None
    until(cell, lambda: was_reset(seen))
    thread = cell._runner._thread
    cell.stop()
    ended(cell, thread)
    latest, stats = cell.latest, cell.stats
    cell.stop()
    assert not cell.running
    assert cell.latest is latest
    assert cell.stats[:5] == stats[:5]
    assert [index for index, _ in cell.results()] == [latest[0]]


def test_stop_does_not_wait_for_a_frame(start):
    cell = start("print('in it')\nimport time\ntime.sleep(600)", timeout=600)
    until_true(lambda: cell._runner._worker and cell._runner._worker._deadline and cell.stats.received)
    thread = cell._runner._thread
    cell.stop()
    thread.join(60)
    assert not thread.is_alive()
    assert cell.error == ""


def test_stop_does_not_wait_for_imports(start, tmp_path, monkeypatch):
    begun = tmp_path / "begun"
    slow = f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(600)"
    (tmp_path / "slow.py").write_text(slow)
    monkeypatch.syspath_prepend(tmp_path)
    cell = start("import slow\nframe.mean()")
    until_true(begun.exists)
    thread = cell._runner._thread
    cell.stop()
    thread.join(30)  # otherwise its process would be ended after 60 s, LOAD_SECONDS
    assert not thread.is_alive()
    assert cell.error == ""


def test_watcher_may_stop_the_cell(start):
    cell = start("frame.mean()")
    thread = cell._runner._thread
    cell.watch(cell.stop)
    thread.join(60)
    assert not thread.is_alive()
    assert not cell.running


def test_results_end_with_stop(start):
    cell = start("frame.mean()")
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(cell.results()))
    thread.start()
    frames(cell, 5)
    cell.stop()
    thread.join(60)
    assert not thread.is_alive()
    assert seen


def test_stop_and_close_leave_nothing(start):
    threads = {t for t in threading.enumerate() if t.name.startswith("dmlink-cell")}
    cell = start("frame * 2")
    frames(cell, 3)
    process, thread = cell._runner._worker._process, cell._runner._thread
    spare = engine._spare._process
    cell.stop()
    ended(cell, thread)
    assert process.poll() is not None
    engine.close()
    assert spare.poll() is not None
    left = {t for t in threading.enumerate() if t.name.startswith(("dmlink-cell", "dmlink-timeouts"))}
    assert left <= threads


def test_closed_link_is_reported(running):
    with dmlink.connect(running[1]) as link:
        running[0].camera.resume()
        cell = dmlink.LiveCell("frame.mean()", "test").start(link)
        frames(cell, 3)
        told = threading.Event()
        cell.watch(told.set)
    until(cell, lambda: not cell.running)
    assert "was closed" in cell.error
    assert told.wait(60)
    assert cell.latest
    with pytest.raises(ConnectionError, match="closed; connect again"):
        cell.start(link)


def test_unknown_roi_is_an_error(link):
    with pytest.raises(ValueError, match="nowhere"):
        dmlink.LiveCell("frame.mean()").start(link, "nowhere")


def test_running_cells_are_known_by_name(link):
    first, second = (dmlink.LiveCell("frame.mean()", name) for name in ("b", "a"))
    assert first not in live_cells()
    first.start(link)
    second.start(link)
    assert live_cells() == [second, first]
    assert first.link is link
    first.stop()
    assert live_cells() == [second]
    second.stop()


def test_cells_can_start_while_listed(monkeypatch):
    idle = SimpleNamespace(start=lambda: None, stop=lambda: None, running=False)
    cells = [dmlink.LiveCell("frame.mean()") for _ in range(300)]
    monkeypatch.setattr("dmlink.cell.live_cell.Runner", lambda *_: idle)
    link = SimpleNamespace(closed=False, newest_first=False, session=Session())
    started = []
    thread = threading.Thread(target=lambda: started.extend(cell.start(link) for cell in cells))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        thread.start()
        while thread.is_alive():
            assert live_cells() == []
    finally:
        sys.setswitchinterval(interval)
        thread.join()
    assert started == cells


def test_cell_survives_lost_link(running):
    """This test is last, because it replaces the companion that the others use."""
    microscope, _ = running
    with dmlink.connect() as link:
        cell = dmlink.LiveCell("state['n'] = state.get('n', 0) + 1\nstate['n']").start(link)
        frames(cell, 5)
        lost = threading.Event()
        link.watch(lambda: link.state == "lost" and lost.set())
        microscope.start_companion()
        assert lost.wait(60)
        assert cell.running
        frames(cell, 5)
        assert link.state == "live"
        assert cell.error == ""
        assert cell.latest[1].value >= 10  # its state was kept
        cell.stop()
