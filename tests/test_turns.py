"""While a link is open, threads that receive do not wait long for one that computes."""

import math
import sys

import pytest

from dmlink import turns


@pytest.fixture
def interval():
    """Give Python's own interval, and restore it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield
    sys.setswitchinterval(before)


def is_interval(seconds):
    return math.isclose(sys.getswitchinterval(), seconds, rel_tol=0.01)


@pytest.mark.usefixtures("interval")
def test_turns_are_short_until_the_last_user_has_left():
    with turns.short():
        with turns.short():
            assert is_interval(turns.TURN_SECONDS)
        assert is_interval(turns.TURN_SECONDS)
    assert is_interval(0.005)


@pytest.mark.usefixtures("interval")
def test_an_interval_that_the_user_has_set_meanwhile_stays():
    with turns.short():
        sys.setswitchinterval(0.02)
    assert is_interval(0.02)


@pytest.mark.usefixtures("interval")
def test_an_interval_that_is_shorter_already_stays():
    sys.setswitchinterval(0.0001)
    with turns.short():
        assert is_interval(0.0001)
    assert is_interval(0.0001)
