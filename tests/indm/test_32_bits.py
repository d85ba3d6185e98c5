"""NumPy 1 on Windows counts in 32 bits; scripts in DigitalMicrograph get the notebook's numbers."""

import numpy as np
import pytest

from dmlink.indm import chart
from dmlink.indm.script import sums


def test_long_charts_show_every_frame(monkeypatch):
    arange = np.arange
    monkeypatch.setattr(chart.np, "arange", lambda n, dtype=np.int32: arange(n, dtype=dtype))
    drawn = chart.Chart(1, 60_000)
    drawn._values[0] = arange(60_000)
    drawn.n = 60_000
    np.testing.assert_array_equal(drawn.columns[0], arange(60_000))


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "u2", "i4", "u4"])
@pytest.mark.parametrize("compute", [np.sum, np.prod, np.cumsum, np.cumprod])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_sums_of_a_frame_have_64_bits(monkeypatch, dtype, compute, axis):
    monkeypatch.setattr(sums, "NARROW", True)
    frame = np.full((3, 4), 1 if dtype == "?" else 100, dtype)
    frame[0] = 0
    for pixels in (frame, frame[1:, ::2]):
        seen, expected = compute(sums.summable(pixels), axis), compute(pixels, axis)
        np.testing.assert_array_equal(seen, expected)
        assert seen.dtype == (np.uint64 if dtype[0] == "u" else np.int64)
    method = getattr(sums.summable(frame), compute.__name__)
    assert method(axis=axis, dtype=np.float32).dtype == np.float32
    assert (sums.summable(frame) > 0).sum(axis=axis).dtype == np.int64


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "max", "min", "std", "any"])
def test_single_values_are_numbers(monkeypatch, name):
    monkeypatch.setattr(sums, "NARROW", True)
    frame = sums.summable(np.arange(6, dtype=np.uint16).reshape(2, 3))
    assert isinstance(getattr(frame, name)(), np.generic)
    assert isinstance(getattr(np, name)(frame), np.generic)
    assert getattr(frame, name)(axis=0).shape == (3,)


def test_floats_are_left_alone(monkeypatch):
    monkeypatch.setattr(sums, "NARROW", True)
    frame = np.ones((2, 2), np.float32)
    assert sums.summable(frame) is frame
    assert (sums.summable(np.ones((2, 2), np.uint16)) * 0.5).sum().dtype == np.float64
