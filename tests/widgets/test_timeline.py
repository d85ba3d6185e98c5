"""The timeline without a browser: what it draws, where it finds frames, and its messages."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from dmlink_widgets.panels.live_view import LiveView, views_of
from dmlink_widgets.panels.past import Past
from dmlink_widgets.panels.timeline_panel import COLUMNS, POINTS, TimelinePanel
from microscopes import PATIENCE, linked, until

import dmlink
from dmlink import Frame
from dmlink.indm.results import Image, Scalar
from dmlink.session import Session
from dmlink.session.session import SavedClip


@pytest.fixture
def link():
    with linked(fps=50) as (_, link):
        yield link


@pytest.fixture
def timeline(link):
    panel = dmlink.timeline(link)
    yield panel
    panel.close()


def filled(session, n, step=0.05, cells=5, first=0):
    numbers = [session.enter(f"cell {i}") for i in range(cells)]
    for i in range(first, first + n):
        frame = Frame(np.ones((2, 2)), i, 1e9 + i * step)
        session.see(frame)
        for number in numbers:
            session.add(number, frame, Scalar(float(i % 50), "e"), ["x"] if i % 500 == 0 else [])


def test_drag_looks_back_and_says_so(link, timeline):
    view = dmlink.view(link)
    with link.lookback(60) as lookback:
        until(link, lambda: lookback.last and lookback.last - lookback.first > 20)
        frames = list(lookback.frames)
        wanted = frames[len(frames) // 2]
        timeline.look_at(wanted.time)
        timeline.draw(small=False)
        view.draw(small=False)
        assert view.snapshot().index == wanted.index
        assert re.search(rf"this is frame {wanted.index}, [\d.]+ s old", view._light.value)
        assert f"this is frame {wanted.index}" in timeline._about.value
        timeline.take({"live": True})
        view.draw(small=False)
        assert "this is frame" not in view._light.value
        assert timeline._said() == "live"
    view.close()


def test_old_frame_never_stands_for_another_moment(link, timeline):
    """If no frame is left, the view stays live, and the timeline says so."""
    link.next(PATIENCE)
    view = dmlink.view(link)
    timeline.look_at(link.session.began)
    timeline.draw(small=False)
    assert view._past is None
    assert "no frame is left from this time" in timeline._about.value
    view.close()


def test_closed_timeline_leaves_views_live(link):
    timeline, view = dmlink.timeline(link), dmlink.view(link)
    with link.lookback(60) as lookback:
        until(link, lambda: lookback.last)
        timeline.look_at(lookback.newest.time)
        timeline.draw(small=False)
        assert view._past is not None
    timeline.close()
    assert view._past is None
    view.close()
    assert views_of(link) == []


def test_frames_are_found_in_recordings_and_clips(link, tmp_path):
    past = Past(link)
    with link.record(tmp_path / "a.zarr") as recorder:
        until(link, lambda: recorder.frames > 5)
    with dmlink.open(recorder.path) as recording:
        wanted = recording[3]
        found, where = past.nearest(wanted.time)
        assert where == recorder.path.name
        assert (found.data == wanted.data).all()
        assert found.index == wanted.tags["source_index"]
    assert past.nearest(wanted.time - 1e6)[0].time == recording.times[0]


def test_page_cost_does_not_grow(link, timeline):
    link.session = Session()
    link.session.see = lambda _: None  # the live frames are from another time
    sizes = []
    for n in (12_000, 60_000):
        filled(link.session, n, first=0 if not sizes else 12_000)
        timeline._strips.points = b""
        timeline.draw(small=False)
        sizes.append((len(timeline._strips.points), len(timeline._strips.marks), len(timeline._strips.rows)))
    assert all(size <= 8 * POINTS * rows for size, _, rows in sizes)
    assert all(marks <= COLUMNS for _, marks, _ in sizes)


def test_zoom_and_pan_stay_within_the_session(link, timeline):
    link.session = Session()
    link.session.see = lambda _: None
    session = link.session
    session.began, session.newest = 1000.0, 1000.0 + 3600.0
    timeline.draw(small=False)
    for _ in range(60):
        timeline.take({"zoom": 0.8, "around": 0.5})
        timeline.draw(small=False)
    begin, end = timeline._limits
    assert end - begin == pytest.approx(1.0)
    for _ in range(100):
        timeline.take({"pan": 1e9})
        timeline.draw(small=False)
    assert timeline._limits[1] <= 4600.0
    timeline.take({"zoom": 1e9, "around": 0.1})
    timeline.draw(small=False)
    assert timeline._limits == (1000.0, 4600.0)
    timeline._spans.value = "10 min"
    timeline.draw(small=False)
    assert timeline._limits == (4000.0, 4600.0)


def test_names_and_units_are_escaped(link, timeline):
    link.session = Session()
    evil = "<img src=x onerror=alert(1)>"
    cell = link.session.enter(evil)
    link.session.add(cell, Frame(np.ones((2, 2)), 1, 5.0), Scalar({evil: 1.0}, evil), [evil])
    link.log(evil, 1.0, evil, time=4.0)
    timeline.look_at(5.0)
    timeline.draw(small=False)
    for widget in (timeline._numbers, timeline._about, timeline._message):
        assert "<img" not in widget.value
    assert evil in timeline._strips.rows[0][0], "the page sets it as text"


def test_clips_and_the_clock_of_a_log_are_shown(link, timeline):
    link.session = Session()
    link.session.see = lambda _: None
    link.session.began, link.session.newest = 0.0, 100.0
    clip = SavedClip(Path("mean 7.ome.zarr"), 20.0, 30.0)
    link.session.keep_clips(link.session.enter("mean"), [clip])
    link.log("T", 20.0, "C", time=10.0)
    link.logs.log("T").offset = -3.2
    timeline.draw(small=False)
    assert timeline._strips.bands == [["clip", 0.2, 0.3, "mean 7.ome.zarr"]]
    assert timeline._strips.rows[0][0] == "T (C), clock -3.2 s"
    assert "T <b>20</b> C" in timeline._numbers.value


def test_cell_images_come_back(link, timeline):
    link.session = Session()
    cell = link.session.enter("a")
    for i in range(4):
        frame = Frame(np.ones((2, 2)), i, float(i))
        link.session.see(frame)
        link.session.add(cell, frame, Image(np.full((32, 32), float(i))), [])
    timeline.look_at(2.2)
    timeline.draw(small=False)
    assert [image.layout.display for image in timeline._images] == [None, "none", "none", "none"]
    assert timeline._images[0].value[:4] == b"\x89PNG"


def test_report_is_written_by_the_button(link, timeline, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    link.next(PATIENCE)
    for _ in range(2):
        timeline._write()
        assert "Report written: " in timeline._message.value
    assert len(list(tmp_path.glob("report-*.html"))) == 2


def test_dashboard_has_a_timeline(link):
    board = dmlink.dashboard(link)
    assert [type(panel) for panel in board.panels][:2] == [LiveView, TimelinePanel]
    board.close()
