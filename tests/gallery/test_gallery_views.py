"""The gallery's cells that improve or measure the live view show what they claim."""

import sys

import numpy as np
import pytest
from gallery_cells import INFO, cell, poisson
from scipy import ndimage

from dmlink import Axis, Roi
from dmlink.frame import Info


def test_filtered_view_matches_scipy():
    view, expected = cell("filtered_view", median=3, sigma=1.5, frames=3), 0
    for i in range(4):
        frame = poisson((61, 87), seed=i)
        filtered = ndimage.gaussian_filter(ndimage.median_filter(np.float32(frame), 3, mode="nearest"), 1.5)
        expected = filtered if i == 0 else 0.5 * expected + 0.5 * filtered
        shown = view.run(frame, INFO)
    np.testing.assert_allclose(shown.values, expected, rtol=1e-5)
    assert (shown.x, shown.y) == (INFO.x, INFO.y)


@pytest.mark.parametrize("shape", [(64, 64), (61, 87), (8, 8), (3, 200)])
@pytest.mark.parametrize(("median", "sigma"), [(1, 0.0), (3, 0.0), (5, 2.5), (1, 10.0)])
def test_filtered_view_works_without_opencv(shape, median, sigma, monkeypatch):
    pytest.importorskip("cv2")
    frame = poisson(shape)
    fast = cell("filtered_view", median=median, sigma=sigma).run(frame).values
    monkeypatch.setitem(sys.modules, "cv2", None)
    np.testing.assert_allclose(
        cell("filtered_view", median=median, sigma=sigma).run(frame).values, fast, rtol=1e-5
    )


def test_filtered_view_removes_hot_pixels(capsys):
    clean, frame = poisson((64, 64)), poisson((64, 64)).astype(float)
    frame[10:60:7, 5] = 65535
    frame[3, 8:60:9] = np.nan
    frame[50, 20] = 0
    view = cell("filtered_view", frames=1)
    np.testing.assert_allclose(view.run(frame).values, view.run(clean).values, atol=8)
    assert "6 pixels are NaN or infinite" in capsys.readouterr().out
    assert view.run(np.full((64, 64), np.nan)) is None
    assert "every pixel is NaN or infinite" in capsys.readouterr().out
    assert np.isfinite(view.run(clean).values).all()


def test_roi_statistics_match_numpy():
    frame = poisson((33, 70))
    results = cell("roi_statistics").run(frame, INFO).results
    assert results["per pixel"].series == pytest.approx(
        {"mean": frame.mean(), "std": frame.std(), "min": frame.min(), "max": frame.max()}
    )
    assert results["sum"].value == frame.sum()
    assert list(results) == ["per pixel", "sum", "limit"]


def test_mean_beyond_its_limit_is_an_event():
    statistics = cell("roi_statistics", limit=10)
    means = [100] * 12 + [105, 130, 135, 130, 100, 60]
    events = [
        statistics.run(np.full((8, 8), mean, np.uint16), INFO).results["limit"].happened for mean in means
    ]
    assert np.flatnonzero(events).tolist() == [13, 16, 17]


def test_dose_rate_needs_gain_and_exposure(capsys):
    frame = poisson((50, 50), 30.0)
    results = cell("roi_statistics", gain=4.0).run(frame, INFO).results
    rate = frame.mean() / 4 / 0.1
    assert (results["dose rate"].value, results["dose rate"].unit) == (pytest.approx(rate), "e/px/s")
    on_sample = results["dose rate on the sample"]
    assert (on_sample.value, on_sample.unit) == (pytest.approx(rate / 25), "e/A^2/s")  # 0.5 nm per pixel
    by_hand = cell("roi_statistics", gain=4.0, exposure=0.2).run(frame).results
    assert by_hand["dose rate"].value == pytest.approx(rate / 2)
    assert "dose rate on the sample" not in by_hand
    assert "dose rate" not in cell("roi_statistics", gain=4.0).run(frame).results
    assert "does not report the exposure" in capsys.readouterr().out


def test_roi_statistics_name_ignored_pixels(capsys):
    frame = poisson((40, 40)).astype(np.float32)
    frame[:2] = np.nan
    assert cell("roi_statistics").run(frame).results["sum"].value == frame[2:].sum(dtype=float)
    assert "80 of 1600 pixels are NaN or infinite" in capsys.readouterr().out
    full = np.full((8, 8), 65535, np.uint16)
    assert cell("roi_statistics").run(full).results["per pixel"].series["std"] == 0
    assert "pixels are saturated (65535 counts)" in capsys.readouterr().out
    negative = cell("roi_statistics").run(np.full((8, 8), -3, np.int16)).results
    assert negative["sum"].value == -192
    assert cell("roi_statistics").run(np.full((8, 8), np.nan)) is None


def test_statistics_are_those_of_the_drawn_shape():
    frame = np.full((32, 32), 100, np.uint16)
    roi = Roi.around("ellipse", [(0, 0), (32, 32)])
    frame[roi.mask] = 1
    results = cell("roi_statistics").run(frame, Info(roi=roi)).results
    assert results["per pixel"].series["mean"] == 1
    assert results["sum"].value == roi.mask.sum()


@pytest.mark.parametrize("name", ["denoise", "filtered_view", "running_difference", "drift"])
def test_images_keep_the_axes_of_the_frame(name):
    y, x = Axis(3.0, 0.25, "nm"), Axis(-8.0, 0.5, "nm")
    result = cell(name).run(poisson((64, 64)), Info(x=x, y=y))
    image = result.results["corrected"] if name == "drift" else result
    assert (image.y, image.x) == (y, x)


@pytest.mark.parametrize("name", ["maximum_fft", "fft_colour_map"])
def test_transforms_have_an_axis_for_each_side(name):
    result = cell(name).run(poisson((256, 256)), Info(x=Axis(0, 0.5, "nm"), y=Axis(0, -0.25, "nm")))
    image = result.results["wheel"] if name == "fft_colour_map" else result
    assert image.y.scale == pytest.approx(2 * image.x.scale)
    assert image.y.origin == pytest.approx(2 * image.x.origin)
