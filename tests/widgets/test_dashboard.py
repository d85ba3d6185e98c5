"""Link panel, replay bar and dashboard without a browser, with a simulated microscope and a real replay."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from dmlink_widgets import widget_tree
from dmlink_widgets.panels import link_panel
from dmlink_widgets.panels.cell_panel import CellPanel, panel_of
from dmlink_widgets.panels.replay_bar import ReplayBar
from ipywidgets.widgets.widget import _instances as open_widgets

import dmlink
from dmlink.simulator import Microscope


@pytest.fixture
def recording(tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path))
    frames = np.random.default_rng(1).poisson(50, (40, 32, 32)).astype(np.uint16)
    np.save(tmp_path / "view.npy", frames)
    return dmlink.open(tmp_path / "view.npy", scale=0.5, unit="nm")


@pytest.fixture
def microscope(recording):
    with Microscope(recording, fps=50) as microscope:
        microscope.endpoint = microscope.start_companion()
        yield microscope
        assert microscope.escaped == []


@pytest.fixture
def replay(recording):
    with dmlink.replay(recording, fps=20) as replay:
        yield replay


def seen(panel):
    """Acknowledge like a browser that shows the panel and paints every drawing."""

    def say(**message):
        panel.fence._on_message(panel.fence, {"view": "a", **message}, [])

    panel.fence.send = lambda message, _: say(painted=message["drawn"])
    say(visible=True)


def wait_for(panel, condition):
    """Wait until `condition()` is true after a turn of the painter."""
    done = threading.Event()
    draw_status = type(panel).draw_status

    def look():
        draw_status(panel)
        if condition():
            done.set()

    panel.draw_status = look
    assert done.wait(60)


def test_link_panel_hides_the_token(microscope):
    with dmlink.connect(microscope.endpoint) as link:
        panel = link_panel.LinkPanel(link)
        seen(panel)
        wait_for(panel, lambda: link.stats.received and "Receiving frames" in panel._state.value)
        said = panel._properties.value + panel._counters.value + panel._state.value
        assert link.endpoint.address in said
        assert "32 x 32" in said
        assert link.endpoint.token not in said
        panel.close()
        assert not link.closed


def test_link_panel_says_why_no_frames_arrive(microscope, monkeypatch):
    monkeypatch.setattr(link_panel, "PATIENCE_SECONDS", 1.0)
    with dmlink.connect(microscope.endpoint) as link:
        panel = link_panel.LinkPanel(link)
        seen(panel)
        microscope.camera.pause()
        wait_for(panel, lambda: "does not change" in panel._diagnosis.value)
        panel.close()


def test_reconnect_finds_the_companion(microscope):
    with dmlink.connect(microscope.endpoint) as link:
        states = []
        back = threading.Event()
        link.watch(lambda: (states.append(link.state), back.set() if "lost" in states[:-1] else None))
        link.next(60)
        link.reconnect()
        while not (states and states[-1] == "live" and "lost" in states):
            assert back.wait(60)
        assert link.next(60) is not None


def test_replay_bar_follows_and_leads(replay):
    bar = ReplayBar(replay)
    seen(bar)
    wait_for(bar, lambda: bar._play.value and bar._slider.value > 0)
    bar._play.value = False
    assert not replay.playing
    bar._slider.value = 7
    assert replay.position == 7
    replay.step()
    wait_for(bar, lambda: bar._slider.value == 8)
    assert "8 of 39" in bar._place.value
    assert f"{replay.time - replay.recording.times[0]:.3f} s" in bar._place.value
    bar._speed.value = 2.0
    bar._loop.value = False
    assert (replay.speed, replay.loop) == (2.0, False)
    bar._speed.value = bar._speed.options["fastest"]
    assert replay.speed is None
    replay.speed = 5.0
    wait_for(bar, lambda: bar._speed.value == 5.0)
    replay.speed = None
    wait_for(bar, lambda: bar._speed.label == "fastest")
    replay.seek(20)
    wait_for(bar, lambda: bar._slider.value == 20)
    assert not replay.playing
    bar.close()


def test_ended_replay_says_so(replay):
    bar = ReplayBar(replay)
    replay.close()
    bar.draw_status()
    assert "has ended" in bar._error.value


def test_view_of_a_replay_has_controls(replay):
    view = dmlink.view(replay)
    assert view.link is replay.link
    (bar,) = view.below
    assert bar.widget in widget_tree.parts(view.widget)
    view.close()
    assert bar.closed


def test_dashboard_shows_later_cells_too(microscope):
    with dmlink.connect(microscope.endpoint) as link:
        first = dmlink.LiveCell("frame.mean()", "first").start(link)
        shown = CellPanel(first)
        board = dmlink.dashboard(link)
        seen(board)
        wait_for(board, lambda: list(board._cells) == [first])
        assert panel_of(first) is shown
        second = dmlink.LiveCell("frame.max()", "second").start(link)
        wait_for(board, lambda: list(board._cells) == [first, second])
        panels = (*board.panels, *board._cells.values())
        assert {panel.widget for panel in panels} <= set(board.widget.children)
        shown.close()
        wait_for(board, lambda: list(board._cells) == [second])
        board.close()
        assert second.running
        second.stop()


def test_dashboard_of_a_replay_has_controls(replay):
    board = dmlink.dashboard(replay)
    assert isinstance(board.panels[0].below[0], ReplayBar)
    board.close()


@pytest.mark.parametrize("made", [dmlink.view, dmlink.dashboard], ids=["view", "dashboard"])
def test_closed_panels_leave_no_widget(replay, made):
    before = set(open_widgets)
    for _ in range(8):
        panel = made(replay)
        seen(panel)
        wait_for(panel, lambda panel=panel: panel.fence.drawn)
        panel.close()
    assert set(open_widgets) == before


def test_closed_dashboard_keeps_cell_panels(replay):
    cell = dmlink.LiveCell("frame.mean()", "cell").start(replay.link)
    board = dmlink.dashboard(replay)
    seen(board)
    wait_for(board, lambda: cell in board._cells)
    panel = panel_of(cell)
    before = set(open_widgets)
    board.close()
    assert not panel.closed
    assert all(widget.comm for widget in panel.widget.children)
    assert len(open_widgets) < len(before)
    panel.close()
