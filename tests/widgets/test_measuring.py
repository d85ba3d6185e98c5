"""Lengths, spacings, profiles, masks and statistics compared with their true values."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from dmlink_widgets.drawing.scale_bar import scale_bar
from dmlink_widgets.drawing.spectrum import power_spectrum
from dmlink_widgets.measuring.lengths import angle_between, length, peak_near, spacing
from dmlink_widgets.measuring.line_profile import line_profile
from dmlink_widgets.measuring.statistics import statistics

from dmlink.frame import Axis, Roi

NM = Axis(0.0, 0.5, "nm")
PIXELS = np.arange(12 * 20, dtype=float).reshape(12, 20)


def test_ruler_has_length_and_anticlockwise_angle():
    found = length((10, 0), (7, 4), NM, NM)
    assert found == pytest.approx((2.5, "nm", 5.0, math.degrees(math.atan2(3, 4)))[0:1] + found[1:])
    assert found.unit == "nm"
    assert found.pixels == 5
    assert found.angle == pytest.approx(36.87, abs=0.01)
    assert length((0, 0), (1, 0), NM, NM).angle == -90


@pytest.mark.parametrize(
    ("y", "x"),
    [
        (NM, Axis(0, 1, "s")),
        (Axis(), Axis()),
        (NM, NM._replace(scale=0.0)),
        (NM, NM._replace(scale=math.nan)),
    ],
)
def test_length_without_one_unit_is_in_pixels(y, x):
    assert length((0, 0), (3, 4), y, x)[:2] == (5.0, "px")


def test_length_of_nothing_is_zero():
    assert length((3, 3), (3, 3), NM, NM) == (0.0, "nm", 0.0, 0.0)


def test_unequal_pixel_sizes_are_respected():
    found = length((0, 0), (2, 3), NM._replace(scale=2.0), NM._replace(scale=1.0))
    assert found.value == 5.0
    assert found.pixels == pytest.approx(math.sqrt(13))


@pytest.mark.parametrize(
    ("first", "second", "turn"), [((0, 9), (-9, 0), 90), ((1, 9), (-1, -9), 180), ((-1, -9), (1, -9), 12.68)]
)
def test_angle_between_is_at_most_180(first, second, turn):
    one, other = (length((0, 0), end, NM, NM) for end in (first, second))
    assert angle_between(one, other) == pytest.approx(turn, abs=0.01)


@pytest.mark.parametrize(("d", "turned"), [(4.0, 0), (5.0, 30), (3.0, 75)])
def test_click_near_a_spot_gives_its_spacing(d, turned):
    y, x = np.mgrid[:256, :256] * 0.5  # nm
    angle = math.radians(turned)
    waves = np.cos(2 * np.pi * (x * math.cos(angle) - y * math.sin(angle)) / d)
    power, fy, fx = power_spectrum(waves, NM, NM)
    q = 1 / d
    at = [
        (s * q * part - axis.origin) / axis.scale + 0.5
        for s, part, axis in ((-1, math.sin(angle), fy), (1, math.cos(angle), fx))
    ]
    found = spacing(peak_near(10**power, (at[0] + 2, at[1] - 1)), fy, fx)
    assert found.d == pytest.approx(d, rel=0.01)
    assert (found.d_unit, found.q_unit) == ("nm", "1/nm")
    assert found.angle == pytest.approx(turned, abs=1)


def test_middle_of_a_spectrum_has_no_spacing():
    found = spacing((2.5, 2.5), Axis(-2.0, 1.0, "1/nm"), Axis(-2.0, 1.0, "1/nm"))
    assert (found.q, found.d, found.d_unit) == (0.0, math.inf, "nm")


@pytest.mark.parametrize("values", [np.full((5, 5), np.nan), np.zeros((5, 5)), np.ones((1, 1))])
def test_peak_of_flat_or_empty_values_is_a_place(values):
    y, x = peak_near(values, (99.0, -3.0)) if np.isfinite(values).any() else (0.0, 0.0)
    assert 0 <= y <= 5
    assert 0 <= x <= 5


def test_profile_along_a_row_and_a_column():
    np.testing.assert_allclose(line_profile(PIXELS, (3.5, 0.5), (3.5, 19.5)), PIXELS[3])
    np.testing.assert_allclose(line_profile(PIXELS, (0.5, 4.5), (11.5, 4.5)), PIXELS[:, 4])


def test_wide_profile_is_the_mean_across():
    found = line_profile(PIXELS, (5.5, 2.5), (5.5, 12.5), width=3)
    np.testing.assert_allclose(found, PIXELS[4:7, 2:13].mean(axis=0))


def test_profile_outside_is_nan():
    found = line_profile(PIXELS, (5.5, -9.5), (5.5, 9.5))
    assert np.isnan(found[:9]).all()
    np.testing.assert_allclose(found[10:], PIXELS[5, :10])
    assert np.isnan(line_profile(PIXELS, (-9, -9), (-5, -5))).all()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, complex])
def test_profile_of_any_type(dtype):
    assert line_profile(PIXELS.astype(dtype), (3, 3), (3, 3), 5).shape == (2,)
    assert line_profile(np.zeros((1, 1), dtype), (0, 0), (9, 9)).shape[0] > 2
    assert line_profile(np.zeros((4, 4, 3), np.uint8), (0, 0), (3, 3)).ndim == 1


def test_masked_pixels_are_left_out_of_a_profile():
    holes = PIXELS.copy()
    holes[4, 6] = np.nan
    found = line_profile(holes, (4.5, 2.5), (4.5, 10.5), width=3)
    assert found[4] == pytest.approx(PIXELS[[3, 5], 6].mean())


def mask(kind, points, shape):
    """Return which pixels of an image of `shape` an ROI of this kind marks."""
    whole = np.zeros(shape, bool)
    top, left, bottom, right = roi = Roi.around(kind, points).clamped(shape)
    whole[top:bottom, left:right] = roi.mask
    return whole


def test_masks_have_the_pixels_within():
    ellipse = mask("ellipse", [(1, 2), (7, 12)], (10, 16))
    assert ellipse[1:7, 2:12].sum() == ellipse.sum()
    assert ellipse.sum() == pytest.approx(math.pi * 3 * 5, rel=0.1)
    ring = mask("ring", [(32, 32), (32, 52), (22, 32)], (64, 64))
    assert ring.sum() == pytest.approx(math.pi * (20**2 - 10**2), rel=0.02)
    assert not ring[32, 32]
    square = mask("polygon", [(2, 2), (2, 6), (6, 6), (6, 2)], (10, 10))
    assert square.sum() == 16
    assert square[2:6, 2:6].all()
    assert mask("polygon", [(0, 0), (0, 9), (0, 5)], (10, 10)).sum() == 0
    assert mask("ellipse", [(-50, -50), (99, 99)], (4, 4)).all()


def test_statistics_ignore_nan_and_infinity():
    found = statistics(np.array([[1.0, np.nan], [3.0, np.inf]]), NM, NM, 2.0)
    assert found[:6] == (4, 2.0, 4.0, 1.0, 1.0, 3.0)
    assert found.area == 1.0
    assert found.area_unit == "nm\u00b2"
    assert found.per_second == 2.0
    nothing = statistics(np.full(3, np.nan), NM, NM)
    assert nothing.pixels == 3
    assert math.isnan(nothing.mean)
    assert math.isnan(nothing.per_second)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_statistics_of_a_large_image_need_little_memory(dtype):
    large = np.zeros((8192, 8192), dtype)
    large[4000, ::2] = 200
    large[-1, -1] = 7
    tracemalloc.start()
    try:
        found = statistics(large, NM, NM)
        assert tracemalloc.get_traced_memory()[1] < 64e6
    finally:
        tracemalloc.stop()
    assert found[:3] == (8192**2, pytest.approx((4096 * 200 + 7) / 8192**2), 4096 * 200 + 7)
    assert found.std == pytest.approx(math.sqrt((4096 * 200**2 + 49) / 8192**2 - found.mean**2))
    assert (found.minimum, found.maximum) == (0, 200)


@pytest.mark.parametrize(
    "values",
    [
        np.array([[7]], np.uint8),
        np.array([1 + 1j]),
        np.empty(0),
        np.array([True, False]),
        np.full(9, 65535, np.uint16),
    ],
)
def test_statistics_of_any_values(values):
    found = statistics(values, NM, Axis(), None)
    assert found.area_unit == "px"
    assert found.sum == pytest.approx(np.abs(values).sum(dtype=float), nan_ok=True) or values.size == 0


@pytest.mark.parametrize(
    ("width", "unit", "bar"),
    [
        (25.6, "nm", "5 nm"),
        (9000, "nm", "2 \u00b5m"),
        (3, "um", "0.5 \u00b5m"),
        (512, "", "100 px"),
        (11, "1/nm", "2 1/nm"),
    ],
)
def test_scale_bar_is_round(width, unit, bar):
    assert scale_bar(width, unit)[1] == bar
