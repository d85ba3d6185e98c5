"""While a link is open, receiving threads do not wait long for a computing one."""

import math
import sys

import pytest

from dmlink.link import switch_interval


@pytest.fixture
def interval():
    """Yield Python's own interval, and restore it afterwards."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield
    sys.setswitchinterval(before)


def is_interval(seconds):
    return math.isclose(sys.getswitchinterval(), seconds, rel_tol=0.01)


@pytest.mark.usefixtures("interval")
def test_short_until_the_last_user_leaves():
    with switch_interval.short():
        with switch_interval.short():
            assert is_interval(switch_interval.TURN_SECONDS)
        assert is_interval(switch_interval.TURN_SECONDS)
    assert is_interval(0.005)


@pytest.mark.usefixtures("interval")
def test_interval_set_by_the_user_stays():
    with switch_interval.short():
        sys.setswitchinterval(0.02)
    assert is_interval(0.02)


@pytest.mark.usefixtures("interval")
def test_shorter_interval_stays():
    sys.setswitchinterval(0.0001)
    with switch_interval.short():
        assert is_interval(0.0001)
    assert is_interval(0.0001)
