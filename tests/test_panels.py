"""Panels without a browser: real cells on a simulated microscope, and a stand-in for the page's answers."""

from __future__ import annotations

import gc
import threading
import weakref

import ipywidgets
import numpy as np
import pytest
import simplejpeg
from dmlink_widgets import picture, plots, text
from dmlink_widgets.cell_panel import CellPanel
from dmlink_widgets.controls import control

import dmlink
from dmlink.program import Program
from dmlink.simulator import Microscope


@pytest.fixture
def link(tmp_path, monkeypatch):
    """Give a link to a simulated microscope that shows 40 frames of 64 x 96 pixels, 0.5 nm each."""
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path))
    frames = np.random.default_rng(1).poisson(50, (40, 64, 96)).astype(np.uint16)
    np.save(tmp_path / "view.npy", frames)
    recording = dmlink.open(tmp_path / "view.npy", scale=0.5, unit="nm")
    with Microscope(recording, fps=50) as microscope:
        with dmlink.connect(microscope.start_companion()) as link:
            yield link
        assert microscope.escaped == []


def seen(panel):
    """Answer for the browser: it shows the panel, and has painted all that is drawn."""
    panel.fence.send = lambda message, _: panel.fence._on_message(
        panel.fence, {"view": "a", "painted": message["drawn"]}, []
    )
    panel.fence._on_message(panel.fence, {"view": "a", "visible": True}, [])


def wait_for(panel, condition):
    """Wait until `condition()` holds after a drawing."""
    done = threading.Event()
    draw_status = panel.draw_status

    def look():
        draw_status()
        if condition():
            done.set()

    panel.draw_status = look
    assert done.wait(10)


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("frame.mean()", plots.StripChart),
        ("{'low': frame.min(), 'high': frame.max()}", plots.StripChart),
        ("frame.mean(axis=0)", plots.ProfilePlot),
        ("frame * 2.0", plots.ImageResult),
        ("f'mean {frame.mean():.1f}'", plots.WrittenResult),
        ("[{'particle': 1, 'size': 2.5}, {'particle': 2, 'size': 3.5}]", plots.WrittenResult),
        ("Points([[1, 2], [3, 4]])", plots.WrittenResult),
        ("frame[:, :, None].repeat(3, axis=2).astype('uint8')", plots.ImageResult),
        ("Overlay(frame, Points([[1, 2]], labels=['a']), Boxes([[1, 2, 9, 9]]))", plots.OverlayResult),
        ("frame.mean(), frame.mean(axis=0), 'words'", plots.SeveralResults),
    ],
)
def test_result_of_each_kind_is_drawn(link, cell, kind):
    live = dmlink.LiveCell(cell, "cell").start(link)
    panel = CellPanel(live)
    seen(panel)
    wait_for(panel, lambda: panel.fence.age is not None)
    assert isinstance(panel._plot, kind)
    assert panel._output.children == (panel._plot.widget,)
    panel.close()
    assert not live.running


def test_result_that_is_now_of_one_kind_and_now_of_another_is_drawn_in_two_plots_and_not_in_ever_more(link):
    live = dmlink.LiveCell("frame.mean() if info.index % 2 else frame.mean(axis=0)", "cell").start(link)
    panel = CellPanel(live)
    seen(panel)
    shown = set()
    wait_for(
        panel, lambda: shown.add(panel._output.children) or (len(shown) == 2 and live.stats.processed > 40)
    )
    assert {plot.widget for plot in panel._plots.values()} == {widget for [widget] in shown}
    panel.close()


@pytest.mark.parametrize("cell", ["frame", "frame.mean(axis=0)", "limit: (0, 9) = 3\n(float(limit), frame)"])
def test_panel_that_is_closed_leaves_no_widget_and_is_forgotten(link, cell):
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
    for _ in range(50):  # the painter looks at it until its next turn
        gc.collect()
        if forgotten.wait(0.1):
            return
    raise AssertionError("Something holds the panel.")


def test_control_sets_the_parameter_and_follows_it(link):
    live = dmlink.LiveCell("n: (1, 9) = 2\nframe.mean() * n", "cell").start(link)
    panel = CellPanel(live)
    seen(panel)
    panel.controls["n"].value = 5
    assert live.parameters["n"].value == 5
    live.set(n=7)
    wait_for(panel, lambda: panel.controls["n"].value == 7)
    panel.close()


def test_error_is_shown_with_its_line_and_goes_when_the_cell_works_again(link):
    live = dmlink.LiveCell("n: (0, 9) = 0\n[1.0][n]", "cell").start(link)
    panel = CellPanel(live)
    seen(panel)
    panel.controls["n"].value = 3
    wait_for(panel, lambda: "line 2: [1.0][n]" in panel._error.value)
    panel.controls["n"].value = 0
    wait_for(panel, lambda: panel._error.value == "")
    panel.close()


def test_what_comes_from_outside_is_escaped():
    nasty = "<img src=x onerror=alert(1)>"
    for shown in (text.title(nasty), text.error(nasty), text.log([nasty]), text.status(nasty)):
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
def test_each_kind_of_parameter_has_its_control(line, widget, value):
    parameter = Program.from_cell(f"{line}\nframe.mean()").parameters["p"]
    told = []
    made = control(parameter, lambda name, new: told.append((name, new)))
    assert type(made).__name__ == widget
    made.value = value
    assert told == [("p", value)]
    if widget == "FloatSlider":
        assert format(value, made.readout_format) == str(value)


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
    data, (low, high) = picture.encoded(pixels, 512)
    h, w = simplejpeg.decode_jpeg_header(data)[:2]
    assert max(h, w) <= 512
    assert low < high


def test_lossless_picture_keeps_the_grey_levels():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    data, limits = picture.encoded(ramp, 512, lossless=True)
    assert data.startswith(b"\x89PNG")
    assert limits[0] < limits[1]


def test_save_writes_a_new_file_each_time_and_never_over_another_one(link, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cell_001.csv").write_text("mine")
    panel = CellPanel(dmlink.LiveCell("frame.mean()", "cell").start(link))
    seen(panel)
    panel._save()
    assert "no result" in panel._said.value
    wait_for(panel, lambda: panel._ending.value == ".csv")
    for _ in range(2):
        panel._save()
    assert (tmp_path / "cell_001.csv").read_text() == "mine"
    for name in ("cell_002.csv", "cell_003.csv"):
        assert (tmp_path / name).read_text().startswith("time (s),value")
    panel.close()


def test_panel_shows_its_results_in_digitalmicrograph_and_hides_them_again(link):
    shown, hidden = threading.Event(), threading.Event()
    link.show = lambda name, result: shown.set() if (name, result.kind) == ("cell", "scalar") else None
    link.hide = lambda name: hidden.set() if name == "cell" else None
    panel = CellPanel(dmlink.LiveCell("frame.mean()", "cell").start(link), show_in_dm=True)
    assert shown.wait(10)
    panel._show.value = False
    assert hidden.wait(10)
    panel.close()
