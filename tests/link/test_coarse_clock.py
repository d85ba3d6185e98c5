"""Times are right even if the computer's clock is coarse, as on Windows before Python 3.13."""

import time

import numpy as np
import pytest
import tifffile
from microscopes import PATIENCE, linked, microscope, until

import dmlink
from dmlink.program.program import Program
from dmlink.script.exporter import script

STEP = 1 / 64  # seconds, the step of time.time() and time.monotonic() there


@pytest.fixture(autouse=True)
def _coarse(monkeypatch):
    for name in ("time", "monotonic"):
        exact = getattr(time, name)
        monkeypatch.setattr(time, name, lambda exact=exact: exact() // STEP * STEP)


def test_frames_have_distinct_times():
    with linked(fps=170, mode="lossless") as (_, link):
        frames = [link.next(PATIENCE) for _ in range(50)]
        ages = [link.age(frame) for frame in frames]
        times = np.array([frame.time for frame in frames])
        assert (np.diff(times) > 0).all()
        assert (times % STEP != 0).mean() > 0.5  # they are between the steps
        assert np.median(ages) > 0


def test_script_frames_have_distinct_times():
    program = Program.from_cell("info.time - state.setdefault('first', info.time)", "since")
    with microscope(companion=False, fps=170) as dm:
        dm.run_script(script(program))
        dm.wait_until(lambda: dm.window("since").updates > 20, PATIENCE)
        times = dm.window("since").data[0]
        dm.close_view()
    times = np.unique(times)
    assert len(times) >= 20
    assert (times % STEP != 0).any()


def test_following_knows_its_lag(tmp_path):
    for i in range(3):
        tifffile.imwrite(tmp_path / f"{i:03}.tif", np.full((8, 8), i, np.uint16))
    with dmlink.follow(tmp_path) as source:
        source.next(PATIENCE)
        while source.written < 3:
            source.wait(PATIENCE)
        assert (np.diff([source.lag for _ in range(100)]) > 0).all()


def test_cells_and_links_measure():
    with linked(fps=170) as (_, link):
        cell = dmlink.LiveCell("frame.mean()", "test").start(link)
        until(link, lambda: cell.stats.processed > 5)
        assert cell.stats.ms_per_frame > 0
        assert cell.stats.age > 0
        until(link, lambda: link.stats.rate > 0)
        cell.stop()


def test_recorder_knows_its_rate(tmp_path):
    with linked(fps=170) as (_, link), link.record(tmp_path / "test") as recorder:
        first, second = recorder.seconds, recorder.seconds
        assert 0 < first < second
        until(link, lambda: recorder.frames)
        assert recorder.seconds_left > 0
