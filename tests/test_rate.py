"""Rate: how fast a counter rises, from its latest readings."""

from __future__ import annotations

import pytest

from dmlink.rate import Rate


def test_rate_is_the_mean_of_the_readings():
    rate = Rate(3)
    for time, count in ((0.0, 0), (1.0, 90), (2.0, 100), (4.0, 110)):
        rate.add(time, count)
    assert rate.per_second() == pytest.approx(20 / 3)  # the oldest is forgotten
    assert rate.per_second(since=1.0) == 5.0


def test_one_reading_gives_no_rate():
    rate = Rate(9, least=3)
    assert rate.per_second() == 0.0
    for time in range(3):
        assert rate.per_second() == 0.0
        rate.add(float(time), 7 * time)
    assert rate.per_second() == 7.0
    rate.clear()
    assert rate.per_second() == 0.0


def test_counts_within_a_tick_have_no_rate():
    rate = Rate(9)
    rate.add(5.0, 1)
    rate.add(5.0, 2)
    assert rate.per_second() == 0.0
