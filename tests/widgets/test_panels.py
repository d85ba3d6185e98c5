"""Panels without a browser: real cells on a simulated microscope, and simulated answers of the page."""

from __future__ import annotations

import base64
import gc
import io
import re
import threading
import weakref

import ipywidgets
import numpy as np
import PIL.Image
import pytest
import simplejpeg
import tifffile
from dmlink_widgets import plots
from dmlink_widgets.controls import html_text
from dmlink_widgets.controls.parameter_controls import parameter_control
from dmlink_widgets.drawing import picture, prints
from dmlink_widgets.panels.cell_panel import CellPanel
from growing_writer import until

import dmlink
from dmlink.program.program import Program
from dmlink.simulator import Microscope


@pytest.fixture
def link(tmp_path, monkeypatch):
    """Yield a link to a simulated microscope that shows 40 frames of 64 x 96 pixels, 0.5 nm each."""
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path))
    frames = np.random.default_rng(1).poisson(50, (40, 64, 96)).astype(np.uint16)
    np.save(tmp_path / "view.npy", frames)
    recording = dmlink.open(tmp_path / "view.npy", scale=0.5, unit="nm")
    with Microscope(recording, fps=50) as microscope:
        with dmlink.connect(microscope.start_companion()) as link:
            yield link
        assert microscope.escaped == []


def seen(panel):
    """Acknowledge like a browser that shows the panel and paints every drawing."""
    panel.fence.send = lambda message, _: panel.fence._on_message(
        panel.fence, {"view": "a", "painted": message["drawn"]}, []
    )
    panel.fence._on_message(panel.fence, {"view": "a", "visible": True}, [])


def wait_for(panel, condition):
    """Wait until `condition()` is true after a drawing."""
    done = threading.Event()
    draw_status = panel.draw_status

    def look():
        draw_status()
        if condition():
            done.set()

    panel.draw_status = look
    assert done.wait(60)


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("frame.mean()", plots.StripChart),
        ("{'low': frame.min(), 'high': frame.max()}", plots.StripChart),
        ("frame.mean(axis=0)", plots.ProfilePlot),
        ("frame * 2.0", plots.ImagePlot),
        ("f'mean {frame.mean():.1f}'", plots.TextPlot),
        ("[{'particle': 1, 'size': 2.5}, {'particle': 2, 'size': 3.5}]", plots.TextPlot),
        ("Points([[1, 2], [3, 4]])", plots.TextPlot),
        ("frame[:, :, None].repeat(3, axis=2).astype('uint8')", plots.ImagePlot),
        ("Overlay(frame, Points([[1, 2]], labels=['a']), Boxes([[1, 2, 9, 9]]))", plots.OverlayPlot),
        ("frame.mean(), frame.mean(axis=0), 'words'", plots.PlotGrid),
    ],
)
def test_result_of_each_kind_is_drawn(link, cell, kind):
    live = dmlink.LiveCell(cell, "cell").start(link)
    panel = CellPanel(live)
    seen(panel)
    wait_for(panel, lambda: panel.fence.age is not None)
    assert isinstance(panel._plot, kind)
    assert panel._output.children == (panel._plot.widget,)
    kept = panel._repr_mimebundle_()
    png = PIL.Image.open(io.BytesIO(base64.b64decode(kept["image/png"])))
    assert np.asarray(png).std() > 1
    assert kept["text/plain"].startswith("cell \u00b7 frame ")
    assert "application/vnd.jupyter.widget-view+json" in kept
    panel.close()
    assert not live.running


def test_kept_picture_is_small():
    noise = np.random.default_rng(1).integers(0, 256, (1500, 1500, 3), np.uint8)
    page = prints.Print("noise", ["frame 1"], [PIL.Image.fromarray(noise)])
    assert len(base64.b64encode(prints.png(page))) < 200_000


def test_stop_and_start_buttons(link):
    live = dmlink.LiveCell("frame.mean()", "cell").start(link)
    panel = CellPanel(live)
    seen(panel)
    wait_for(panel, lambda: panel.fence.age is not None)
    panel._stop.click()
    assert not live.running
    assert "stopped" in panel._light.value
    panel._stop.click()
    wait_for(panel, lambda: live.stats.processed > 2 and "dmlink-live" in panel._light.value)
    panel.close()


def test_removed_output_stops_its_cell(link, monkeypatch):
    monkeypatch.setattr("dmlink_widgets.panels.cell_panel.UNSEEN_SECONDS", 0.01)
    live = dmlink.LiveCell("frame.mean()", "cell").start(link)
    panel = CellPanel(live, ends_unseen=True)
    stopped = threading.Event()
    live.watch(lambda: None if live.running else stopped.set())
    seen(panel)
    panel.fence._on_message(panel.fence, {"view": "a", "gone": True}, [])  # hidden with its page
    assert panel._stopping is None
    seen(panel)
    panel.fence._on_message(panel.fence, {"view": "a", "gone": True, "removed": True}, [])
    assert stopped.wait(60)
    panel.close()


def test_failing_and_paused_are_not_running(link):
    live = dmlink.LiveCell("slow: bool = False\n1 / slow", "cell").start(link)
    panel = CellPanel(live)
    seen(panel)
    wait_for(panel, lambda: panel.state == "failing")
    panel.draw_status()
    assert "dmlink-lost" in panel._light.value
    live.set(slow=True)
    wait_for(panel, lambda: panel.state == "running")
    live.paused = True
    panel.draw_status()
    assert "paused" in panel._light.value
    assert "f/s" not in panel._light.value
    panel.close()


def test_export_form_replaces_if_asked(link, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    live = dmlink.LiveCell("frame.mean(axis=0)", "cell").start(link)
    panel = CellPanel(live)
    form = panel._export
    form.write()
    assert "Saved" in form._answer.value
    assert "def process(" in (tmp_path / "cell_dm.py").read_text("utf-8")
    form.write()
    assert "exists" in form._answer.value
    assert form._check.disabled
    form._replace.value = True
    form.write()
    assert "Saved" in form._answer.value
    panel.close()


def test_panel_keeps_one_plot_per_result_kind(link):
    live = dmlink.LiveCell("frame.mean() if info.index % 2 else frame.mean(axis=0)", "cell").start(link)
    panel = CellPanel(live)
    seen(panel)
    shown = set()
    panel._output.observe(lambda change: shown.add(change["new"]), "children")
    wait_for(panel, lambda: len(shown) == 2 and live.stats.processed > 40)
    assert {plot.widget for plot in panel._plots.values()} == {widget for [widget] in shown}
    panel.close()


@pytest.mark.parametrize("cell", ["frame", "frame.mean(axis=0)", "limit: (0, 9) = 3\n(float(limit), frame)"])
def test_closed_panel_leaves_no_widget(link, cell):
    before, forgotten = set(ipywidgets.widgets.widget._instances), threading.Event()

    def show_and_close():
        panel = CellPanel(dmlink.LiveCell(cell, "cell").start(link))
        seen(panel)
        wait_for(panel, lambda: panel.fence.age is not None)
        weakref.finalize(panel, forgotten.set)
        panel.close()

    show_and_close()
    left = {k: v for k, v in ipywidgets.widgets.widget._instances.items() if k not in before}
    assert list(left.values()) == []
    while not forgotten.wait(0.1):  # the painter still uses it until its next turn
        gc.collect()


def test_control_sets_and_follows_parameter(link):
    live = dmlink.LiveCell("n: (1, 9) = 2\nframe.mean() * n", "cell").start(link)
    panel = CellPanel(live)
    seen(panel)
    panel.controls["n"].value = 5
    assert live.parameters["n"].value == 5
    live.set(n=7)
    wait_for(panel, lambda: panel.controls["n"].value == 7)
    panel.close()


def test_automatic_slider_goes_back(link):
    live = dmlink.LiveCell("n: (1, 9) = None\nframe.mean() if n is None else n", "cell").start(link)
    panel = CellPanel(live)
    seen(panel)
    control = panel.controls["n"]
    assert (control.value, control.slider.description, control.slider.readout) == (None, "n: auto", False)
    control.slider.value = 4
    assert (live.parameters["n"].value, control.slider.description) == (4, "n")
    control.button.click()
    assert (live.parameters["n"].value, control.slider.description) == (None, "n: auto")
    live.set(n=7)
    wait_for(panel, lambda: control.value == 7 and not control.button.disabled)
    panel.close()


def test_numbers_of_a_panel_are_of_one_frame(link):
    live = dmlink.LiveCell("Scalar(info.index, name='n'), f'text {info.index}', Scalar(info.index)", "cell")
    panel = CellPanel(live.start(link))
    seen(panel)
    texts = []
    draw = panel.draw

    def look(*, small):
        for _ in range(3):  # results arrive while others are drawn
            panel._take_result()
        frame = draw(small=small)
        plot = panel._plot
        if plot is not None and len(plot.plots["n"].history.now[0]) > 1:
            legends = [
                re.sub("<.*?>", "", plot.plots[name]._legend.value) for name in plot.plots if name != "2"
            ]
            texts.append(
                ([*map(float, legends)], plot.plots["2"].widget.value, panel._which.value, frame.index)
            )
        return frame

    panel.draw = look
    wait_for(panel, lambda: len({which for _, _, which, _ in texts}) > 5)
    live.paused = True
    # once it is paused, the numbers are those of the picture
    wait_for(panel, lambda: texts[-1][0] == [texts[-1][3]] * 2 == [live.frame.index] * 2)
    panel.close()
    for (number, other), text, which, index in texts:
        assert number == other <= index
        assert f"text {number:.0f}<" in text
        assert f"{number:.0f}</span>" in which


def test_error_has_its_line_and_clears(link):
    live = dmlink.LiveCell("n: (0, 9) = 0\n[1.0][n]", "cell").start(link)
    panel = CellPanel(live)
    seen(panel)
    panel.controls["n"].value = 3
    wait_for(panel, lambda: "line 2: [1.0][n]" in panel._error.value)
    panel.controls["n"].value = 0
    wait_for(panel, lambda: panel._error.value == "")
    panel.close()


def test_outside_text_is_escaped():
    nasty = "<img src=x onerror=alert(1)>"
    for shown in (
        html_text.title(nasty),
        html_text.error(nasty),
        html_text.log([nasty]),
        html_text.message(nasty),
    ):
        assert "<img" not in shown
        assert "&lt;img" in shown


@pytest.mark.parametrize(
    ("line", "widget", "value"),
    [
        ("p: (0, 10, 2) = 4", "IntSlider", 6),
        ("p: (0.0, 1.0) = 0.5", "FloatSlider", 0.75),
        ("p: (0.0, 5.0, 0.25) = 0.5", "FloatSlider", 2.25),
        ("p: int = 3", "IntText", 4),
        ("p: float = 3.5", "FloatText", 4.5),
        ("p: bool = True", "Checkbox", False),
        ("p: ['a', 'b'] = 'a'", "Dropdown", "b"),
        ("p: str = 'a'", "Text", "b"),
    ],
)
def test_each_parameter_has_its_control(line, widget, value):
    parameter = Program.from_cell(f"{line}\nframe.mean()").parameters["p"]
    told = []
    made = parameter_control(parameter, lambda name, new: told.append((name, new)))
    assert type(made).__name__ == widget
    made.value = value
    assert told == [("p", value)]
    if widget == "FloatSlider":
        assert format(value, made.readout_format) == str(value)


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("p: (0.0, 1.0, 0.25) = 0.5", 0.25),
        ("p: (0.0, 1.0, 0.3) = 0.5", 0.1),
        ("p: (0.0, 1.0, 0.1) = 0.123", 0.001),
        ("p: (0.5, 50.0, 0.5) = None", 0.5),
        ("p: (3, 99, 2) = 50", 1),
        ("p: (3, 99, 2) = None", 2),
    ],
)
def test_each_slider_is_on_a_step(line, step):
    made = parameter_control(Program.from_cell(f"{line}\nframe.mean()").parameters["p"], lambda *_: None)
    slider = getattr(made, "slider", made)
    assert slider.step == pytest.approx(step)
    steps = (slider.value - slider.min) / slider.step
    assert steps == pytest.approx(round(steps))


@pytest.mark.parametrize("value", ["1.0", "None"])
def test_unit_follows_number_and_tooltip_has_help(value):
    text = f"p: (0.0, 5.0) = {value}  # nm, width of the <b>Gaussian</b>\nframe.mean()"
    made = parameter_control(Program.from_cell(text).parameters["p"], lambda *_: None)
    control, unit, *_ = made.children
    assert unit.value == "nm"
    assert control.description in {"p", "p: auto"}
    assert control.tooltip == "width of the <b>Gaussian</b> (0.0 to 5.0 nm)"
    assert not control.description_allow_html
    made.value = 2.5
    assert control.value == made.value == 2.5


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 1)),
        np.full((5, 7), np.nan),
        np.array([[np.inf, -np.inf, 0.0]]),
        np.full((300, 300), 7, np.uint16),
        np.array([[-5, 10**9]]),
        np.eye(9, dtype=bool),
        np.zeros((2000, 3), np.float32),
        np.zeros((1025, 700), np.uint8),
    ],
    ids=["1x1", "nan", "inf", "constant", "wide range", "bool", "narrow", "odd"],
)
def test_any_image_makes_a_picture(pixels):
    data, (low, high) = picture.render(pixels, 512)
    h, w = simplejpeg.decode_jpeg_header(data)[:2]
    assert max(h, w) <= 512
    assert low < high


def test_lossless_keeps_grey_levels():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    data, limits = picture.render(ramp, 512, lossless=True)
    shown = np.asarray(PIL.Image.open(io.BytesIO(data)))
    assert len(np.unique(shown)) > 250  # the contrast cuts off the ends
    assert limits[0] < limits[1]


def test_save_never_overwrites(link, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cell_001.csv").write_text("mine")
    panel = CellPanel(dmlink.LiveCell("frame.mean()", "cell").start(link))
    panel._save()
    assert "no result" in panel._message.value
    seen(panel)
    wait_for(panel, lambda: panel._ending.value == ".csv")
    for _ in range(2):
        panel._save()
    assert (tmp_path / "cell_001.csv").read_text() == "mine"
    for name in ("cell_002.csv", "cell_003.csv"):
        assert (tmp_path / name).read_text().startswith("time (s),value")
    panel.close()


def test_panel_shows_and_hides_in_dm(link):
    shown, hidden = threading.Event(), threading.Event()
    link.show = lambda name, result: shown.set() if (name, result.kind) == ("cell", "scalar") else None
    link.hide = lambda name: hidden.set() if name == "cell" else None
    panel = CellPanel(dmlink.LiveCell("frame.mean()", "cell").start(link), show_in_dm=True)
    assert shown.wait(60)
    panel._show.value = False
    assert hidden.wait(60)
    panel.close()


def test_newest_first_is_charted_from_left_to_right(tmp_path):
    for i in range(6):
        tifffile.imwrite(tmp_path / f"{i}.tif", np.full((8, 9), i, np.uint16))
    with dmlink.follow(tmp_path, newest_first=True) as source:
        until(lambda: source.written == 6)
        cell = dmlink.LiveCell("info.index")
        panel = CellPanel(cell)
        cell.start(source.link)
        until(lambda: cell.stats.processed == 6 and panel._plot and len(panel._plot.history.now[0]))
        _, series = panel._plot.history.now
        assert series["value"].tolist() == [5.0]
        panel.close()
        cell.stop()


def test_slider_on_a_paused_cell_adds_no_points(link):
    cell = dmlink.LiveCell("n: (1, 9) = 2\nframe.mean() * 0 + n", "n").start(link)
    panel = CellPanel(cell)
    until(lambda: cell.latest)
    cell.paused = True
    points = []
    for value in (5, 7, 9):
        cell.set(n=value)
        until(lambda value=value: panel._plot and panel._plot.history.now[1]["value"][-1] == value)
        points.append(len(panel._plot.history.now[0]))
    assert points[0] == points[1] == points[2]
    panel.close()
    cell.stop()
