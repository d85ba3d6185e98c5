"""What cells remember by: the averages, the last frames, a reference, a count."""

import pickle

import numpy as np
import pytest

from dmlink import FrameCounter, LastFrames, LiveCell, Reference, RunningAverage

FRAMES = np.random.default_rng(3).integers(0, 60000, (12, 4, 6)).astype(np.uint16)


def test_running_average_follows_its_formula():
    average = RunningAverage(5)
    expected = FRAMES[0].astype(float)
    for frame in FRAMES[1:]:
        expected = 4 / 6 * expected + 2 / 6 * frame
    got = [average.add(frame) for frame in FRAMES][-1]
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert got.dtype == np.float32
    assert RunningAverage(5).add(FRAMES[0].astype(np.int32)).dtype == np.float64


@pytest.mark.parametrize("n", [1, 0, -3])
def test_running_average_of_one_frame_is_the_frame(n):
    average = RunningAverage(n)
    assert [average.add(frame).tolist() for frame in FRAMES] == FRAMES.tolist()


def test_running_average_and_last_frames_follow_a_slider_and_a_new_shape():
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


def test_last_frames_are_the_newest_oldest_first():
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
def test_what_is_kept_does_not_change_with_the_frame(keep):
    frame = FRAMES[0].copy()
    keep(frame)
    kept = pickle.loads(pickle.dumps(vars(keep.__self__)))  # noqa: S301
    frame[:] = 0
    np.testing.assert_equal(vars(keep.__self__), kept)


def test_reference_is_none_until_taken_and_the_counter_counts():
    reference, counter = Reference(), FrameCounter()
    assert reference.frame is None
    np.testing.assert_array_equal(reference.take(FRAMES[1]), FRAMES[1])
    assert [counter.add(), counter.add(3), counter.n] == [1, 4, 4]


def test_cells_remember_without_an_import():
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
