"""The strips of a timeline: curves that say where nothing was measured."""

from __future__ import annotations

import numpy as np

from dmlink import Frame
from dmlink.indm.results import Scalar
from dmlink.link.logs import Logs
from dmlink.logbook.strips import strips
from dmlink.session import Session


def session_of(times):
    session = Session()
    cell = session.enter("mean")
    for i, time in enumerate(times):
        frame = Frame(np.ones((2, 2)), i, float(time))
        session.see(frame)
        session.add(cell, frame, Scalar(1.0), [])
    return session


def test_curve_has_gaps_where_no_frames_came():
    times = [*np.arange(0, 100, 0.1), *np.arange(200, 300, 0.1)]
    (strip,) = strips(session_of(times), Logs(), 0.0, 300.0, 1200)
    gaps = strip.times[np.isnan(strip.values)]
    assert len(gaps) == 1
    assert 99.9 < gaps[0] < 200
    assert np.all(np.diff(strip.times) >= 0)
    assert (strip.low, strip.high) == (1.0, 1.0)


def test_points_stay_few_with_many_gaps():
    (strip,) = strips(session_of(range(0, 100_000, 10)), Logs(), 0.0, 1e5, 100)
    assert len(strip.times) <= 150
