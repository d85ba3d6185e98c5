"""Events, their frames, clips and the last seconds, in the notebook without a browser."""

import json

import numpy as np
import pytest
from dmlink_widgets.controls import lookback_button
from dmlink_widgets.controls.event_list import MOST_ROWS
from dmlink_widgets.panels.cell_panel import CellPanel
from dmlink_widgets.panels.live_view import LiveView
from dmlink_widgets.panels.timeline_panel import COLUMNS
from dmlink_widgets.plots.event import MOST_EVENTS, EventPlot
from dmlink_widgets.plots.profile import ProfilePlot
from microscopes import Noise, linked, until

import dmlink
from dmlink.cell.outcomes import MAX_EVENTS
from dmlink.indm.results import Event, Profile
from dmlink.session.session import MOST_MARKS

HTML = 'Event("<b onclick=alert(1)>it</b>", when=info.index % 10 == 0)'


@pytest.fixture(autouse=True)
def _place(monkeypatch, tmp_path):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def show(panel, visible=True):
    """Acknowledge like a browser that shows the panel and paints every drawing."""

    def say(**message):
        panel.fence._on_message(panel.fence, {"view": "a", **message}, [])

    panel.fence.send = lambda message, _: say(painted=message["drawn"])
    say(visible=visible)


def click(panel, event):
    panel._events._take({"show": [event.frame, event.time]})


def test_click_shows_the_frame_from_memory():
    recording = Noise()
    with linked(recording, mode="lossless") as (_, link):
        view = LiveView(link)
        view.in_page(there=True)
        cell = dmlink.LiveCell(HTML, "it", mode="lossless").start(link)
        panel = CellPanel(cell)
        until(link, lambda: len(cell.events) >= 3)
        panel.draw_status()
        rows, event = panel._events._lines.rows, cell.events[-2]
        assert rows[0][0] > rows[1][0]
        assert rows[0][3] == "<b onclick=alert(1)>it</b>"  # the page writes it as text
        assert panel._events._lines.caption == f"{len(rows)} events"
        click(panel, event)
        assert "from memory" in panel._events._about.value
        assert "&lt;b onclick" in panel._events._about.value
        assert panel._events._image.layout.display == "inline"
        assert recording.has(dmlink_frame(cell, event))
        panel._events._take({"show": None})
        assert panel._events._image.layout.display == "none"
        cell.stop()
        view.in_page(there=False)
        click(panel, event)
        assert "no longer available" in panel._events._about.value
        panel.close()
        view.close()


def test_ten_thousand_events_a_second():
    with linked(Noise(), fps=1000, mode="lossless") as (_, link):
        cell = dmlink.LiveCell("{f'n{i}': Event(f'{i}') for i in range(16)}", "many", mode="lossless")
        cell.start(link)
        panel, timeline = CellPanel(cell), dmlink.timeline(link)
        until(link, lambda: len(cell.events) == MAX_EVENTS)
        panel.draw_status()
        assert len(panel._events._lines.rows) == MOST_ROWS
        assert panel._events._lines.caption == f"{panel._events._lines.count} events"
        assert panel._events._lines.count >= MAX_EVENTS
        timeline.draw(small=False)
        assert 0 < len(timeline._strips.marks) <= COLUMNS
        cell.stop()
        assert cell.error == ""
        assert len(link.session.marks) <= MOST_MARKS
        panel.close()
        timeline.close()


def dmlink_frame(cell, event):
    from dmlink_widgets.panels.moments import frame_of_event

    return frame_of_event(cell, event)[0]


def test_click_shows_the_frame_from_its_clip(tmp_path):
    with linked(Noise(), mode="lossless") as (_, link):
        text = 'Event("once", when=info.index == state.setdefault("n", info.index) + 10)'
        cell = dmlink.LiveCell(text, "once", mode="lossless", keep=0.1, keep_after=0.05).start(link)
        panel = CellPanel(cell)
        until(link, lambda: cell.clips)
        cell.stop()
        panel.draw_status()
        click(panel, cell.events[0])
        assert f"from once {cell.events[0].frame}.ome.zarr" in panel._events._about.value
        assert "1 clip" in panel._clips._text.value
        panel._clips._most.value = 3.0
        assert cell.clips_budget.total == 3_000_000_000
        assert json.loads((tmp_path / "clips" / "budget.json").read_text()) == {"bytes": 3_000_000_000}
        panel.close()


def test_last_seconds_are_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(lookback_button, "MOST_MEMORY", 40 * (48 * 64 * 2 + 4096))
    with linked(Noise(), mode="lossless") as (_, link):
        one, two = LiveView(link), LiveView(link)
        one._lookback._press()
        assert "only while a page shows" in one._message.value
        one.in_page(there=True)
        two.in_page(there=True)
        begun = until(link, lambda: link.newest).index  # `next` may return a frame older than the look-back
        until(link, lambda: link.newest.index > begun + 60)
        two._lookback._press()
        until(link, lambda: "Saved" in two._message.value)
        until(link, lambda: not two._lookback.saving)
        (path,) = tmp_path.glob("moment-*.ome.zarr")
        with dmlink.open(path) as saved:
            numbers = [frame.tags["source_index"] for frame in saved]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert 30 <= len(numbers) <= 40
        assert "give the look-back more memory" in two._message.value
        one.in_page(there=False)
        assert len(link._lookbacks) == 1
        two.in_page(there=False)
        assert not link._lookbacks
        one.close()
        two.close()


def test_lookback_memory_is_a_share_of_the_limit(monkeypatch, tmp_path):
    assert 0 < lookback_button.memory() <= 1_000_000_000
    (tmp_path / "memory.max").write_text("160000000\n")
    monkeypatch.setattr(lookback_button, "LIMIT_OF_CONTAINER", tmp_path / "memory.max")
    assert lookback_button.memory() == 10_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert lookback_button.memory() > 10_000_000


def test_plot_of_an_event_keeps_the_last_ones():
    plot = EventPlot()
    for i in range(MOST_EVENTS + 5):
        plot.remember(float(i), Event(f"{i}", when=i > 2))
    lines = plot.files()[".csv"]().decode().splitlines()
    assert (len(lines), lines[1]) == (MOST_EVENTS + 1, "5.0,5")
    plot.close()


def test_waterfall_marks_the_rows_of_events():
    plot = ProfilePlot(lambda: None, rows=8, waterfall=True)
    for i in range(10):
        profile = Profile(np.arange(40.0) + i)
        plot.remember(i * 0.1, profile)
        if i in (1, 5, 9):
            plot.mark(i * 0.1)
        plot.draw(profile, small=False)
    (mark,) = plot.image.overlay.marks
    assert mark["boxes"] == [[3, 0, 4, 2], [7, 0, 8, 2]]  # the first one is no longer in the waterfall
    plot.remember(0.0, profile)  # a clock that was set back
    plot.draw(profile, small=False)
    assert plot.image.overlay.marks == []
    plot.close()
