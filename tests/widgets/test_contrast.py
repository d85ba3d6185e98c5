"""Contrast: the grey level or colour of each value; the colours of cells."""

from __future__ import annotations

import numpy as np
import pytest
import simplejpeg
from dmlink_widgets.controls.contrast_controls import ContrastControls
from dmlink_widgets.drawing import colour, picture
from dmlink_widgets.drawing.contrast import Contrast
from dmlink_widgets.drawing.image_figure import ImageFigure

from dmlink.frame import Axis

RAMP = np.linspace(-5.0, 10.0, 100 * 100).reshape(100, 100)


def test_percentiles_clip_their_share():
    low, high = Contrast(percentiles=(10, 90)).limits(RAMP)
    assert low == pytest.approx(-3.5, abs=0.4)
    assert high == pytest.approx(8.5, abs=0.4)
    assert Contrast(percentiles=(0, 100)).limits(RAMP) == (-5.0, 10.0)


def test_fixed_limits_hold():
    contrast = Contrast(fixed=(0.0, 8.0))
    assert contrast.limits(RAMP * 100) == (0.0, 8.0)
    assert contrast.apply(np.array([[-1.0, 0.0, 4.0, 8.0, 99.0]]), (0.0, 8.0)).tolist() == [
        [0, 0, 127, 255, 255]
    ]


def test_gamma_and_log_brighten_the_dark():
    values = np.array([[0.0, 0.1, 1.0]])
    linear, gamma, log = (
        Contrast(**options).apply(values, (0.0, 1.0))[0] for options in ({}, {"gamma": 0.5}, {"log": True})
    )
    for levels in (gamma, log):
        assert levels[1] > 2 * linear[1]
        assert (levels[0], levels[2]) == (0, 255)


@pytest.mark.parametrize("name", colour.MAPS)
def test_colour_map_is_monotonic(name):
    shown = Contrast(colours=name).apply(np.linspace(0, 1, 256)[None], (0.0, 1.0))[0]
    assert shown.dtype == np.uint8
    if shown.ndim == 2:
        assert np.array_equal(shown, colour.colour_map(name)) or len(np.unique(shown, axis=0)) > 200
    if name != "rainbow":  # familiar to DM's users; its brightness rises and falls
        brightness = shown @ [0.3, 0.6, 0.1] if shown.ndim == 2 else shown.astype(float)
        steps = np.diff(brightness)
        assert (steps >= -1).all() or (steps <= 1).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"colours": "jet"}, "no colour map 'jet'"),
        ({"percentiles": (50, 50)}, r"percentiles \(50, 50\) must be in ascending order"),
        ({"percentiles": (-1, 50)}, r"percentiles \(-1, 50\) must be in ascending order, from 0"),
        ({"gamma": 0}, "gamma=0: it must be from"),
    ],
)
def test_impossible_setting_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        Contrast(**options)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((70, 70), np.nan),
        np.full((70, 70), 1e9),
        np.full((2, 2), -3.0),
        np.array([[1 + 2j, -3j]]),
        np.array([[1e300, -1e300]]),
        np.eye(70, dtype=bool),
    ],
    ids=["nan", "1e9", "constant", "complex", "beyond float32", "bool"],
)
@pytest.mark.parametrize("colours", ["grey", "viridis"])
def test_any_values_make_a_picture(pixels, colours):
    data, (low, high) = picture.render(pixels, 512, Contrast(colours=colours, log=True))
    assert simplejpeg.decode_jpeg_header(data)[:2] == pixels.shape
    assert low < high


def test_sides_are_reduced_independently():
    pixels = np.arange(3.0)[:, None] + np.zeros((3, 1640))
    assert picture.reduced(pixels, (184, 472)).tolist() == [[row] * 410 for row in (0.0, 1.0, 2.0)]
    assert picture.reduced(np.ones((500, 100)), (184, 472)).shape == (166, 100)


def test_bad_percentiles_keep_other_controls():
    controls = ContrastControls(lambda: None)
    controls._low.value, controls._high.value = 60.0, 50.0
    controls._gamma.value, controls._log.value = 2.0, True
    assert (controls.contrast.gamma, controls.contrast.log) == (2.0, True)
    assert controls.contrast.percentiles == (60.0, 99.5)


def test_colour_bar_has_the_unit_of_the_values():
    figure, controls = ImageFigure(64), ContrastControls(lambda: None)
    controls.widget.reveal(opened=True)
    figure.draw(RAMP, Axis(), Axis(), controls.contrast)
    controls.draw(figure, "e-")
    assert (controls.histogram.unit, len(controls.histogram.colours)) == ("e-", 33)


def test_double_click_unlocks():
    controls = ContrastControls(lambda: None)
    controls._lock.value = True
    assert controls.contrast.fixed == (0.0, 1.0)
    controls.histogram.chosen = []
    assert controls.contrast.fixed == (None, None)


def test_large_images_are_block_averaged():
    pixels = np.arange(64 * 64).reshape(64, 64)
    assert picture.reduced(pixels, 8).shape == (8, 8)
    assert picture.reduced(pixels, 8)[0, 0] == pytest.approx(pixels[:8:2, :8:2].mean())


@pytest.mark.parametrize("shape", [(7, 2048), (15, 4096), (2048, 3), (100, 2048), (2046, 2048), (1, 5000)])
@pytest.mark.parametrize("size", [128, 512])
def test_narrow_images_keep_their_rows(shape, size):
    figure = ImageFigure(size)
    figure.draw(np.ones(shape), Axis(), Axis())
    top, left, bottom, right = figure.canvas.extent
    assert (top, left) == (0, 0)
    assert shape[0] - bottom < shape[0] / 32
    assert shape[1] - right < shape[1] / 32
    assert figure.shown_values.shape >= (min(shape[0], 32), min(shape[1], 32))
    assert max(figure.shown_values.shape) <= 1.06 * size
    # the picture has the pixels of its extent, in equal blocks
    assert bottom % figure.shown_values.shape[0] == right % figure.shown_values.shape[1] == 0


@pytest.mark.parametrize("fixed", [(10.0, 90.0), (None, 90.0)])
def test_double_click_removes_typed_limits(fixed):
    controls = ContrastControls(lambda: None)
    for end, limit in zip(controls._ends, fixed, strict=True):
        end.value = "" if limit is None else str(limit)
    assert controls.contrast.fixed == fixed
    restored = ContrastControls(lambda: None)
    restored.contrast = controls.contrast
    for one in (controls, restored):
        assert one.contrast.fixed == fixed
        assert one.histogram.chosen  # or a double-click would change nothing
        one.histogram.chosen = []
        assert one.contrast.fixed == (None, None)
        assert [end.value for end in one._ends] == ["", ""]


def test_cell_keeps_its_colour():
    first, second = colour.colour_of("first of this test"), colour.colour_of("second of this test")
    assert first != second
    assert colour.colour_of("first of this test") == first


def test_limits_can_be_typed():
    figure, changes = ImageFigure(64), []
    controls = ContrastControls(lambda: changes.append(controls.contrast.fixed))
    controls.widget.reveal(opened=True)
    low, high = controls._ends

    def draw():
        figure.draw(RAMP, Axis(), Axis(), controls.contrast)
        controls.draw(figure)

    draw()
    automatic = figure.limits
    assert (low.value, high.value) == ("", "")
    assert (float(low.placeholder), float(high.placeholder)) == pytest.approx(automatic, abs=1e-4)
    high.value = "5"
    assert changes[-1] == (None, 5.0)
    draw()
    assert figure.limits == (automatic[0], 5.0)
    assert low.value == ""
    low.value = "-2.5"
    assert changes[-1] == (-2.5, 5.0)
    n = len(changes)
    for nonsense in ("7", "nan", "a lot", "-inf"):  # 7 is above the upper limit
        low.value = nonsense
    assert len(changes) == n
    low.value = "-1e0"
    draw()
    assert figure.limits == (-1.0, 5.0)
    controls.histogram.chosen = [0.25, 4.0]  # the limits were dragged, and the fields follow
    assert (low.value, high.value) == ("0.25", "4")
    controls._lock.value = False
    assert (low.value, high.value) == ("", "")
    controls._lock.value = True  # as last drawn
    assert controls.contrast.fixed == (-1.0, 5.0)
    high.value = "4"
    low.value = ""
    assert not controls._lock.value
    draw()
    assert figure.limits == (automatic[0], 4.0)
    high.value = ""
    draw()
    assert figure.limits == automatic
