"""Results of cells drawn without a browser: no value breaks a plot, and none is lost in a saved file."""

from __future__ import annotations

import csv
import io

import numpy as np
import PIL.Image
import pytest
import tifffile
from dmlink_widgets import plots
from dmlink_widgets.controls import html_text
from dmlink_widgets.drawing.ranges import covering
from dmlink_widgets.drawing.samples import POINTS, envelope
from dmlink_widgets.plots.history import MAX_SERIES, History
from dmlink_widgets.plots.profile import ROWS
from dmlink_widgets.plots.waterfall import WIDEST, Waterfall

import dmlink
from dmlink.frame import Axis
from dmlink.indm.results import (
    MAX_SEVERAL,
    Boxes,
    Image,
    Overlay,
    Points,
    Profile,
    Scalar,
    Several,
    Table,
    Text,
)

NASTY = "<img src=x onerror=alert(1)>\"'"


def drawn(result, times=2, **options):
    """Return the plot of a result after it has arrived a few times."""
    plot = plots.plot_for(result, lambda: None, colour="#56b4e9", **options)
    for time in range(times):
        plot.remember(float(time), result)
        plot.draw(result, small=False)
    plot.draw(result, small=True)
    plot.draw(result, small=False, lossless=True)
    plot.write()
    plot.draw_status()
    return plot


def rows(content):
    return list(csv.reader(io.StringIO(content.decode())))


def y_range(plot):
    scale = plot.figure.bqplot_figure.axes[1].scale
    return scale.min, scale.max


def curves(plot):
    """Return the painted curves, by colour: (x, y) in the units of linear axes."""
    widget, (x, y) = plot.figure.curves, (axis.scale for axis in plot.figure.bqplot_figure.axes)
    _, _, height, width = widget.area
    across, down = np.frombuffer(widget.points, "<f4").reshape(-1, 2).T.astype(float)
    points = x.min + across / width * (x.max - x.min), y.max - down / height * (y.max - y.min)
    ends = np.cumsum(widget.lengths)[:-1]
    return dict(zip(widget.colours, zip(*(np.split(p, ends) for p in points), strict=True), strict=True))


@pytest.mark.parametrize("value", [0.0, -3.5, 1e9, 1e-12, 1e308, -1e308, np.nan, np.inf, -np.inf])
def test_any_number_can_be_drawn(value):
    low, high = y_range(drawn(Scalar(value, "counts")))
    assert np.isfinite([low, high]).all()
    assert low < high
    if abs(value) < 1e300:
        assert low < value < high


@pytest.mark.exhaustive(cover=2)
@pytest.mark.parametrize(
    "values",
    [
        np.array([np.nan, 3.0, np.nan]),
        np.array([np.inf, -np.inf, 1.0]),
        np.full(50, 7),
        np.array([5.0]),
        np.array([-1e9, 1e9]),
        np.array([True, False]),
        np.arange(100_000),
        np.array([1e9, 1e9 + 1]),
    ],
    ids=["nan", "inf", "constant", "one", "wide", "bool", "long", "far from zero"],
)
@pytest.mark.parametrize("axis", [(1.0, 0.0, ""), (0.0, 3.0, "nm"), (-0.5, 0.0, "1/nm"), (np.nan, 0.0, "")])
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("waterfall", [False, True])
def test_any_profile_can_be_drawn(values, axis, log, waterfall):
    scale, origin, unit = axis
    result = Profile(values, scale, origin, unit)
    plot = drawn(result, waterfall=waterfall)
    plot._log.value = log
    plot.draw(result, small=False)
    low, high = y_range(plot)
    if not waterfall:
        assert low < high
        assert 0 < sum(plot.figure.curves.lengths) <= POINTS
    else:
        assert plot.image.canvas.shape == [ROWS, plot.waterfall.rows.shape[1]]


@pytest.mark.exhaustive(cover=1)
@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 1)),
        np.array([[np.nan, 2.0], [np.nan, np.nan]]),
        np.array([[np.inf, 1.0]]),
        np.full((9, 9), -7),
        np.full((9, 9), 10**9),
        np.eye(5, dtype=bool),
        np.ones((3000, 2)),
        np.zeros((6, 4, 3), np.uint8),
    ],
    ids=["1x1", "nan", "inf", "negative", "1e9 counts", "bool", "narrow", "colour"],
)
@pytest.mark.parametrize("scale", [0.0, 0.5, -0.5, 1e-12, 1e12])
def test_any_image_is_drawn_and_saved(pixels, scale):
    plot = drawn(Image(pixels, scale, 0.0, NASTY))
    files = plot.files()
    kept = tifffile.imread(io.BytesIO(files[".tif"]()))
    np.testing.assert_array_equal(kept.reshape(pixels.shape), pixels)
    np.testing.assert_array_equal(np.load(io.BytesIO(files[".npy"]())), pixels)
    assert PIL.Image.open(io.BytesIO(files[".png"]())).size == pixels.shape[1::-1]


def test_saved_image_is_calibrated():
    plot = drawn(Image(np.ones((4, 6), np.uint16), 0.25, 0.0, "nm"))
    with tifffile.TiffFile(io.BytesIO(plot.files()[".tif"]())) as file:
        assert file.imagej_metadata["unit"] == "nm"
        numerator, denominator = file.pages[0].tags["XResolution"].value
        assert numerator / denominator == pytest.approx(4.0)


@pytest.mark.parametrize("unit", ["µm", "Å"])
def test_saved_image_has_both_scales(unit, tmp_path):
    plot = drawn(Image(np.ones((4, 6), np.uint16), (4.0, 0.25), 0.0, unit))
    (tmp_path / "a.tif").write_bytes(plot.files()[".tif"]())
    with dmlink.open(tmp_path / "a.tif") as image:
        assert (image.y.scale, image.x.scale) == pytest.approx((4.0, 0.25))
        assert image.x.unit == unit


def test_numbers_without_a_name_are_no_curve():
    plot = drawn(Scalar({}))
    assert not plot.figure.curves.lengths
    plot.remember(3.0, Scalar({"a": 1.0}))
    plot.draw(Scalar({"a": 1.0}), small=False)


def test_waterfall_keeps_the_peaks_of_long_profiles():
    waterfall = Waterfall(4)
    values = np.zeros(3 * WIDEST)
    values[7] = 9.0
    waterfall.add(0.0, values, Axis())
    assert waterfall.rows.shape == (1, WIDEST)
    assert waterfall.rows.max() == 9.0


def test_strip_chart_keeps_its_length():
    plot = plots.plot_for(Scalar(0), lambda: None, colour="#56b4e9", history=5)
    for time in range(12):
        plot.remember(time / 10, Scalar({"a": time, "b": -time}))
    plot.draw(Scalar({"a": 11, "b": -11}), small=False)
    (x, up), (_, down) = curves(plot).values()
    np.testing.assert_allclose(x, [-0.4, -0.3, -0.2, -0.1, 0.0], atol=1e-6)
    np.testing.assert_allclose(up, [7, 8, 9, 10, 11], atol=1e-5)
    np.testing.assert_allclose(down, [-7, -8, -9, -10, -11], atol=1e-5)
    assert rows(plot.files()[".csv"]())[0] == ["time (s)", "a", "b"]
    assert rows(plot.files()[".csv"]())[-1] == ["1.1", "11.0", "-11.0"]
    plot._clear.click()
    assert rows(plot.files()[".csv"]()) == [["time (s)"]]


def test_strip_chart_breaks_at_a_pause():
    plot = plots.plot_for(Scalar(0), lambda: None, colour="#56b4e9", history=100)
    for time in [*range(10), *range(60, 70)]:
        plot.remember(time / 10, Scalar(1.0))
    plot.draw(Scalar(1.0), small=False)
    ((x, y),) = curves(plot).values()
    assert list(np.flatnonzero(np.isnan(x))) == list(np.flatnonzero(np.isnan(y))) == [10]
    assert len(x) == 21


@pytest.mark.parametrize("value", [5, 1000, 0])
def test_constant_count_has_short_ticks(value):
    axis = drawn(Scalar(value)).figure.y.axis
    assert all(len(format(tick, axis.tick_format)) <= 5 for tick in axis.tick_values)


def test_shorter_table_keeps_its_height():
    plot = drawn(Table({"n": [1, 2, 3, 4]}))
    height = plot.widget.value.partition("min-height: ")[2].partition("px")[0]
    plot.draw(Table({"n": [1]}), small=False)
    plot.write()
    assert "<td>1</td>" in plot.widget.value
    assert "<td>4</td>" not in plot.widget.value
    assert f"min-height: {height}px" in plot.widget.value


def test_shorter_chart_forgets_the_oldest():
    plot = drawn(Scalar(1.0), times=9)
    plot._length.value = 4
    times, series = plot.history.now
    assert list(times) == [5, 6, 7, 8]
    assert len(series["value"]) == 4
    plot.remember(9.0, Scalar(2.0))
    assert list(plot.history.now[0]) == [6, 7, 8, 9]


def test_missing_series_leaves_a_gap():
    history = History(10)
    history.add(0.0, {"a": 1.0})
    history.add(1.0, {"a": 2.0, "b": 5.0})
    history.add(2.0, {"b": 6.0})
    _, series = history.now
    np.testing.assert_array_equal(series["a"], [1.0, 2.0, np.nan])
    np.testing.assert_array_equal(series["b"], [np.nan, 5.0, 6.0])


def test_history_is_bounded_and_restarts():
    history = History(10)
    for i in range(100):
        history.add(float(i), {f"name {i}": 1.0})
    assert len(history.now[1]) == MAX_SERIES
    history.add(0.0, {"a": 1.0})
    times, series = history.now
    assert list(times) == [0.0]
    assert list(series) == ["a"]


def test_frame_processed_again_is_drawn_once():
    history, waterfall = History(10), Waterfall(10)
    for time, value, again in ((0.0, 1.0, False), (1.0, 2.0, False), (1.0, 3.0, True), (1.0, 4.0, False)):
        history.add(time, {"a": value}, again=again)
        waterfall.add(time, np.full(4, value), Axis(), again=again)
    times, series = history.now
    assert (times.tolist(), series["a"].tolist()) == ([0.0, 1.0, 1.0], [1.0, 3.0, 4.0])  # a coarse clock
    assert waterfall.rows[:, 0].tolist() == [1.0, 3.0, 4.0]


def test_held_curve_stays_and_is_saved():
    first, second = Profile([1.0, 2.0, 3.0], 0.5, 1.0, "1/nm"), Profile([3.0, 2.0, 9.0], 0.5, 1.0, "1/nm")
    plot = drawn(first)
    plot._hold.value = True
    plot.draw(second, small=False)
    (x, held), (_, new) = curves(plot).values()
    np.testing.assert_allclose(x, [1.0, 1.5, 2.0], atol=1e-6)
    np.testing.assert_allclose(held, [1.0, 2.0, 3.0], atol=1e-5)
    np.testing.assert_allclose(new, [3.0, 2.0, 9.0], atol=1e-5)
    assert plot.figure.bqplot_figure.axes[0].label == "1/nm"
    assert rows(plot.files()[".csv"]()) == [
        ["x (1/nm)", "value"],
        ["1.0", "3.0"],
        ["1.5", "2.0"],
        ["2.0", "9.0"],
    ]
    plot._hold.value = False
    plot.draw(second, small=False)
    assert len(curves(plot)) == 1


def test_one_point_peak_is_drawn():
    values = np.zeros(1_000_000)
    values[123_457], values[123_461] = 5.0, -4.0
    indices, picked = envelope(values, 2048)
    assert len(picked) <= 2048
    assert (picked.max(), picked.min()) == (5.0, -4.0)
    assert (np.diff(indices) >= 0).all()


def test_waterfall_has_newest_row_last():
    fall = Waterfall(3)
    for time in range(5):
        fall.add(time * 0.5, np.full(4, time), Axis())
    np.testing.assert_array_equal(fall.rows[:, 0], [2, 3, 4])
    assert fall.interval == 0.5
    fall.add(3.0, np.zeros(7), Axis())
    assert fall.rows.shape == (1, 7)


def test_waterfall_axis_fits_kept_values():
    values = np.arange(10_000.0)
    plot = drawn(Profile(values, 0.5, 3.0, "nm"), waterfall=True)
    origin, scale, unit = plot.image.overlay.x
    row = plot.waterfall.rows[-1]
    assert unit == "nm"
    np.testing.assert_allclose(origin + scale * np.arange(len(row)), 3.0 + 0.5 * row, atol=scale / 2)
    plot.remember(
        9.0, Profile(np.arange(len(row)), 0.5, 3.0, "nm")
    )  # the same number of values, from a different profile
    assert (len(plot.waterfall.rows), plot.waterfall.axis.scale) == (1, 0.5)


def test_waterfall_has_its_length():
    plot = plots.plot_for(Profile([1.0, 2.0]), lambda: None, colour="#56b4e9", waterfall=True, history=9)
    for time in range(20):
        plot.remember(float(time), Profile([1.0, 2.0]))
    plot.draw(Profile([1.0, 2.0]), small=False)
    assert plot.image.canvas.shape == [9, 2]


def test_waterfall_fills_from_below():
    plot = plots.plot_for(Profile([1.0, 2.0]), lambda: None, colour="#56b4e9", waterfall=True)
    axes = set()
    for time in range(2, 40):
        plot.remember(time * 0.1, Profile([1.0, 2.0]))
        if time > 3:
            plot.draw(Profile([1.0, 2.0]), small=False)
            axes.add((*plot.image.overlay.y, *plot.image.canvas.area))
    assert len(axes) == 1
    assert plot.image.canvas.extent == [ROWS - 38, 0, ROWS, 2]  # no picture above: the page can be seen there
    assert plot.image.canvas.shape == [ROWS, 2]
    assert (plot.image.pixels == [1.0, 2.0]).all()
    plot.image._take_action({"pointer": [ROWS - 1, 1]})
    assert plot.image.overlay.value == [ROWS - 1, 1, "2"]
    plot.image._take_action({"pointer": [0, 1]})
    assert plot.image.overlay.value == []


def test_waterfall_has_its_own_contrast():
    plot = drawn(Profile([1.0, 2.0]), waterfall=True)
    plot.contrast.histogram.chosen = [0.0, 8.0]
    plot.draw(Profile([1.0, 2.0]), small=False)
    assert plot.image.limits == (0.0, 8.0)
    plot._adjust.value = True
    assert plot.contrast.widget.opened
    plot._fall.value = False
    assert not plot.contrast.widget.opened


def test_log_axis_leaves_no_trace():
    plot = drawn(Profile([0.0, 1.0, 5e4]))
    before = [(axis, axis.tick_format, axis.tick_values) for axis in plot.figure.bqplot_figure.axes]
    plot._log.value = True
    plot.draw(Profile([0.0, 1.0, 5e4]), small=False)
    assert list(plot.figure.bqplot_figure.axes[1].tick_values) == [1, 10, 100, 1e3, 1e4, 1e5]
    plot._log.value = False
    plot.draw(Profile([0.0, 1.0, 5e4]), small=False)
    assert [(axis, axis.tick_format, axis.tick_values) for axis in plot.figure.bqplot_figure.axes] == before


def test_axis_holds_while_values_fill_it():
    now = covering(np.array([3.0, 9.0]))
    assert covering(np.array([4.0, 8.8]), now) == now
    assert covering(np.array([4.0, 80.0]), now) != now
    assert covering(np.array([4.0, 4.01]), now) != now


def test_marks_lie_at_pixel_centres():
    image = Image(np.zeros((10, 20)), 0.5, 0.0, "nm")
    plot = drawn(Overlay(image, Points([[2, 3]], labels=[NASTY]), Boxes([[0, 0, 4, 6]], name="grains")))
    points, boxes = plot.image.figure.overlay.marks
    assert (points["points"], points["labels"]) == ([[2.5, 3.5]], [NASTY])
    assert boxes["boxes"] == [[0, 0, 4, 6]]
    assert points["colour"] != boxes["colour"]
    assert plot.image.figure.overlay.x == [0.0, 0.5, "nm"]
    assert "1 points" in plot._legend.value
    assert "1 grains" in plot._legend.value
    assert rows(plot.files()["-points-1.csv"]())[0] == ["label", "y", "x"]
    plot.draw(Overlay(image), small=False)
    assert plot.image.figure.overlay.marks == []


def test_several_results_have_own_plots():
    result = Several({"a/b": Scalar(1), "curve": Profile([1, 2]), "seen": Image(np.eye(4))})
    plot = drawn(result)
    assert [type(part) for part in plot.plots.values()] == [
        plots.StripChart,
        plots.ProfilePlot,
        plots.ImagePlot,
    ]
    assert {"-a_b.csv", "-curve.csv", "-seen.tif", "-seen.png"} <= set(plot.files())
    plot.draw(Several({"curve": Scalar(3)}), small=False)  # a different kind under the same name
    assert isinstance(plot.plots["curve"], plots.StripChart)


def test_changing_names_add_no_plots_for_ever():
    closed = []
    plot = drawn(Several({"first": Scalar(1)}))
    for i in range(3 * MAX_SEVERAL):
        result = Several({f"particle {i}": Profile([1, 2, i])})
        plot.remember(float(i), result)
        plot.draw(result, small=False)
        closed += [old for old in plot._made.values() if old.widget.comm is None]
    assert len(plot.plots) == len(plot._made) == MAX_SEVERAL == len(plot.widget.children)
    assert f"particle {i}" in plot.plots
    assert not closed


def test_waterfall_keeps_no_memory_of_the_result():
    values, fall = np.arange(8, dtype=np.float32), Waterfall(4)
    fall.add(0.0, values, Axis())
    assert not np.shares_memory(fall._rows[-1], values)


def test_table_without_columns_has_a_picture():
    plot = drawn(Table([]))
    assert plot.picture().width


def test_columns_have_one_width():
    def columns(*parts):
        plot = drawn(Several(dict(zip("abc", parts, strict=False))))
        return plot.widget.layout.grid_template_columns

    wide, narrow = Image(np.eye(4)), Image(np.ones((9, 3)))
    assert columns(wide, Scalar(1)) == columns(Scalar(1), Profile([1, 2])) != columns(wide, wide)
    assert columns(Overlay(wide), narrow) == columns(narrow, wide) != columns(narrow, narrow)


def test_outside_text_is_never_html():
    plot = drawn(Points([[1, 2], [3, 4]], labels=[NASTY, "b"]))
    assert "2 found" in plot.widget.value
    shown = [
        plot.widget.value,
        drawn(Table({NASTY: [NASTY, "x"]})).widget.value,
        drawn(Text(NASTY)).widget.value,
        drawn(Scalar({NASTY: 1.0, "b": 2.0}, NASTY))._legend.value,
        html_text.title(NASTY, "#000000"),
        html_text.subtitle(NASTY),
        html_text.log([NASTY]),
        html_text.error(NASTY, 3),
    ]
    assert not [html for html in shown if "<img" in html]
    assert "on 3 frames" in shown[-1]


def test_long_table_is_shortened():
    html = drawn(Table({"n": np.arange(1000)})).widget.value
    assert html.count("<tr>") == html_text.MAX_ROWS + 1
    assert "1000 rows" in html
    assert len(rows(drawn(Table({"n": np.arange(1000)})).files()[".csv"]())) == 1001
    assert "0 found" in drawn(Points([])).widget.value
