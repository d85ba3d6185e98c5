"""A growing recording in the notebook, without a browser: view, bar, dashboard and the magic."""

import numpy as np
import pytest
import tifffile
from dmlink_widgets.magics import LiveMagics
from dmlink_widgets.panels.follow_bar import FollowBar
from dmlink_widgets.panels.live_view import LiveView
from dmlink_widgets.panels.timeline_panel import TimelinePanel
from growing_writer import until

import dmlink


@pytest.fixture
def source(tmp_path):
    for i in range(4):
        tifffile.imwrite(tmp_path / f"{i}.tif", np.full((8, 9), i, np.uint16), photometric="minisblack")
    with dmlink.follow(tmp_path, idle=None) as source:
        until(lambda: source.written == 4)
        yield source


def show(panel):
    """Acknowledge like a browser that shows the panel and paints every drawing."""

    def say(**message):
        panel.fence._on_message(panel.fence, {"view": "a", **message}, [])

    panel.fence.send = lambda message, _: say(painted=message["drawn"])
    say(visible=True)


def test_bar_shows_progress(source):
    bar = FollowBar(source)
    source.next(30)
    bar.draw_status()
    assert "4 (" in bar._counts.value
    assert "1 (" in bar._counts.value
    assert "3, " in bar._counts.value
    source.bad[2] = "2.tif <is> gone"
    bar.draw_status()
    assert "2.tif &lt;is&gt; gone" in bar._error.value
    bar.close()


def test_view_shows_the_newest_frame(source):
    view = dmlink.view(source)
    assert isinstance(view, LiveView)
    show(view)
    until(lambda: view._frame is not None and view._frame.index == 3)
    assert isinstance(view.below[0], FollowBar)
    assert source.seen == 0  # it only watches
    view.close()


def test_dashboard_has_the_bar(source):
    board = dmlink.dashboard(source)
    assert [type(panel) for panel in board.panels] == [LiveView, TimelinePanel]
    assert isinstance(board.panels[0].below[0], FollowBar)
    board.close()


def test_cells_follow_the_newest_source(source, new_shell):
    shell = new_shell()
    shell.register_magics(LiveMagics)
    shell.user_ns["source"] = source
    shell.run_cell_magic("live", "cell", "info.index\n")
    cell = shell.run_line_magic("live", "cell")
    until(lambda: cell.latest and cell.latest[0] == 3)
    assert cell.stats.received == 4
    shell.run_line_magic("live", "stop cell")
