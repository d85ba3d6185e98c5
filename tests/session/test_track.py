"""A track keeps numbers for hours, loses no peak, and is drawn at a cost that does not grow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmlink.session.track import BLOCK, CHUNK, DETAIL, Track, extremes_of


def filled(n, peak=None, step=0.05):
    track = Track("mean", "e")
    for i in range(n):
        track.add(i * step, i, 1e6 if i == peak else float(i % 7))
    return track


@given(st.lists(st.floats(-1e9, 1e9) | st.just(float("nan")), max_size=300), st.integers(2, 50))
def test_extremes_keep_every_peak(values, n):
    array = np.array(values)
    places = extremes_of(array, n)
    assert len(places) <= max(n, 2)
    assert (np.diff(places) >= 0).all()
    if np.isfinite(array).any():
        assert np.nanmax(array[places]) == np.nanmax(array)
        assert np.nanmin(array[places]) == np.nanmin(array)


@pytest.mark.parametrize("peak", [0, 5, CHUNK - 1, CHUNK, 5 * CHUNK + 17, 7 * CHUNK - 1])
@pytest.mark.parametrize("thin", [0, 3, 99])
def test_no_peak_is_lost(peak, thin):
    track = filled(7 * CHUNK, peak)
    for _ in range(thin):
        track.thin()
    times, values = track.envelope(0.0, 1e9, 600)
    assert len(times) <= 600
    assert values.max() == 1e6
    assert times[values.argmax()] == peak * 0.05


def test_few_numbers_are_all_kept():
    times, values = filled(100).envelope(1.0, 2.0, 600)
    assert times.tolist() == [i * 0.05 for i in range(20, 41)]
    assert values.tolist() == [i % 7 for i in range(20, 41)]


def test_cost_is_bounded():
    """For many numbers only the extremes of blocks are examined, for few all of them."""
    track = filled(100 * CHUNK)
    assert DETAIL * 600 < 100 * CHUNK
    looked_at = [len(piece.extremes[0]) for piece in track._pieces if piece.extremes]
    assert sum(looked_at) <= 2 * 100 * CHUNK / BLOCK
    zoomed, _ = track.envelope(1000.0, 1010.0, 600)
    assert len(zoomed) == 201


def test_number_at_a_given_time():
    track = filled(2 * CHUNK)
    assert track.at(-1.0) is None
    assert track.at(10.02).frame == 200
    assert track.at(1e9).frame == 2 * CHUNK - 1
    track.thin()
    moment = track.at(10.02)
    assert moment.time <= 10.02
    assert moment.value == moment.frame % 7


def test_thinning_ends_when_nothing_is_left():
    track = filled(2 * CHUNK + 5)
    before = track.bytes
    assert track.thin()
    assert track.thin()
    assert not track.thin()
    assert track.bytes < 0.6 * before
    assert track.span == (0.0, (2 * CHUNK + 4) * 0.05)


def test_new_track_is_empty():
    track = Track("mean")
    assert track.span is None
    assert [a.size for a in track.envelope(0.0, 1.0, 10)] == [0, 0]
