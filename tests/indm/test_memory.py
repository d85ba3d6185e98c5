"""The memory that cells use: averages, the last frames, a reference, a count."""

import pickle

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from dmlink import FrameCounter, LastFrames, LiveCell, Reference, RunningAverage, Tracks

FRAMES = np.random.default_rng(3).integers(0, 60000, (12, 4, 6)).astype(np.uint16)


def test_running_average_follows_formula():
    average = RunningAverage(5)
    expected = FRAMES[0].astype(float)
    for frame in FRAMES[1:]:
        expected = 4 / 6 * expected + 2 / 6 * frame
    got = [average.add(frame) for frame in FRAMES][-1]
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert got.dtype == np.float32
    assert RunningAverage(5).add(FRAMES[0].astype(np.int32)).dtype == np.float64


@pytest.mark.parametrize("n", [1, 0, -3])
def test_running_average_of_one_is_that_frame(n):
    average = RunningAverage(n)
    assert [average.add(frame).tolist() for frame in FRAMES] == FRAMES.tolist()


def test_averages_follow_slider_and_shape():
    average, last = RunningAverage(10), LastFrames(10)
    for frame in FRAMES:
        average.add(frame)
        last.add(frame)
    average.n, last.n = 1, 3
    np.testing.assert_array_equal(average.add(FRAMES[3]), FRAMES[3])
    last.add(FRAMES[3])
    np.testing.assert_array_equal(last.frames, FRAMES[[10, 11, 3]])
    assert average.add(FRAMES[0][:2]).shape == (2, 6)
    last.add(FRAMES[0][:2])
    assert last.frames.shape == (1, 2, 6)


def test_last_frames_are_oldest_first():
    last = LastFrames(3)
    assert len(last) == len(last.frames) == 0
    for frame in FRAMES[:2]:
        last.add(frame)
    np.testing.assert_array_equal(last.frames, FRAMES[:2])
    for frame in FRAMES[2:]:
        last.add(frame)
    np.testing.assert_array_equal(last.frames, FRAMES[-3:])
    assert len(last) == 3


@pytest.mark.parametrize("keep", [RunningAverage(3).add, LastFrames(3).add, Reference().take])
def test_kept_frames_are_copies(keep):
    frame = FRAMES[0].copy()
    keep(frame)
    kept = pickle.loads(pickle.dumps(vars(keep.__self__)))  # noqa: S301
    frame[:] = 0
    np.testing.assert_equal(vars(keep.__self__), kept)


def test_reference_and_counter():
    reference, counter = Reference(), FrameCounter()
    assert reference.frame is None
    np.testing.assert_array_equal(reference.take(FRAMES[1]), FRAMES[1])
    assert [counter.add(), counter.add(3), counter.n] == [1, 4, 4]


def test_cells_need_no_import():
    cell = LiveCell(
        "average = state.setdefault('average', RunningAverage(3))\n"
        "last = state.setdefault('last', LastFrames(2))\n"
        "reference = state.setdefault('reference', Reference())\n"
        "count = state.setdefault('count', FrameCounter())\n"
        "if reference.frame is None:\n    reference.take(frame)\n"
        "last.add(frame)\n"
        "{'average': average.add(frame).mean(), 'last': len(last), 'count': count.add()}\n"
    )
    average = RunningAverage(3)
    for n, frame in enumerate(FRAMES, start=1):
        expected = average.add(frame).mean()
        assert cell.run(frame).series == {"average": expected, "last": min(n, 2), "count": n}
    cell.reset()
    assert cell.run(FRAMES[0]).series["count"] == 1


def added(tracks, *place, **limits):
    which = tracks.add(*place, **limits)
    return tracks.ids[which].tolist()


def test_tracks_survive_gaps():
    tracks = Tracks(linear_sum_assignment)
    path = np.array([[[10 + 3 * i, 10], [40, 60 - 2 * i]] for i in range(8)], float)
    for i in (0, 1, 2):
        assert added(tracks, path[i], i, reach=5) == [1, 2]
    np.testing.assert_allclose(tracks.velocity, [[3, 0], [0, -2]])
    for i in (3, 4):
        assert added(tracks, path[i, :1], i, reach=5) == [1]
    assert added(tracks, path[5, ::-1], 5, reach=5) == [2, 1]
    np.testing.assert_allclose(tracks.tails[0], path[:6, 0])


def test_tracks_minimise_sum_of_squares():
    tracks = Tracks(linear_sum_assignment)
    tracks.add([[0, 0], [0, 4]], 0, reach=9)
    assert added(tracks, [[0, 3], [0, 7]], 1, reach=9) == [1, 2]


def test_ended_track_numbers_are_not_reused():
    tracks = Tracks(linear_sum_assignment)
    for i in range(2):
        tracks.add([[5, 5]], i, reach=3, memory=2)
    for i in range(2, 5):
        assert tracks.add([], i, reach=3, memory=2).shape == (0,)
    assert len(tracks.ids) == len(tracks.tails) == 0
    assert added(tracks, [[5, 5]], 5, reach=3, memory=2) == [2]


def test_tracks_survive_dropped_frames():
    tracks = Tracks(linear_sum_assignment)
    for at, frame in ((0, 0), (3, 1), (6, 2), (30, 10), (33, 0), (36, 1)):
        assert added(tracks, [[at, 0]], frame, reach=4, memory=20) == [1]
    assert len(tracks.tails[0]) == 6
    tracks.add([[39, 0]], 2, reach=4, tail=3)
    np.testing.assert_allclose(tracks.tails[0][:, 0], [33, 36, 39])
