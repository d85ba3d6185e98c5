"""Pacing without a browser: what the fence allows, and how the painter responds."""

from __future__ import annotations

import queue
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from dmlink_widgets.drawing.canvas import Canvas
from dmlink_widgets.drawing.curves import Curves
from dmlink_widgets.pacing import fence as fence_module
from dmlink_widgets.pacing import kernel_status
from dmlink_widgets.pacing import painter as painter_module
from dmlink_widgets.pacing.fence import LOST_SECONDS, MAX_IN_FLIGHT, Fence
from dmlink_widgets.pacing.painter import painter
from dmlink_widgets.pacing.round import Html, Round


@pytest.fixture
def fence():
    made = Fence(lambda frame: frame)
    made.send = lambda *_: None
    return made


@pytest.fixture
def clock(monkeypatch):
    """Yield the fence's clock, which stands still unless `now` is set."""
    clock = SimpleNamespace(now=100.0, perf_counter=lambda: clock.now)
    monkeypatch.setattr(fence_module, "time", clock)
    return clock


def answer(fence, **message):
    """Send a message as the page in the browser."""
    fence._on_message(fence, {"view": "a", **message}, [])


@pytest.mark.parametrize("kernel", [None, object(), SimpleNamespace(_publish_status=lambda status: status)])
def test_unknown_kernel_is_left_alone(kernel, monkeypatch):
    monkeypatch.setattr(kernel_status, "get_ipython", lambda: SimpleNamespace(kernel=kernel))
    before = getattr(kernel, "_publish_status", None)
    assert kernel_status.quiet_mark() == ""
    assert getattr(kernel, "_publish_status", None) is before


def test_nothing_is_sent_unseen(fence):
    assert fence.allows(0.0) == (False, False)
    answer(fence, visible=True)
    assert fence.allows(0.0) == (True, False)


def test_two_drawings_in_flight_at_most(fence):
    answer(fence, visible=True)
    now = fence._heard
    for _ in range(2):
        assert fence.allows(now) == (True, False)
        fence.count_drawing(now, None)
    assert fence.allows(now) == (False, False)
    answer(fence, painted={fence.name: 1})
    assert fence.allows(now + 1) == (True, False)


def test_pace_follows_the_round_trip(fence):
    answer(fence, visible=True)
    fence.count_drawing(fence._heard, None)
    answer(fence, painted={fence.name: 1}, took=0.2)
    now = fence._heard
    assert fence.allows(now) == (True, False)
    fence.count_drawing(now, None)
    assert fence.allows(now + 0.2) == (False, False)  # it would wait there for the previous one
    assert fence.allows(now + 0.4) == (True, False)
    answer(fence, painted={fence.name: 2}, took=120.0)  # it was hidden
    now = fence._heard
    fence.count_drawing(now, None)
    assert fence.allows(now + 1) == (True, False)


def test_age_is_that_of_the_paint(fence, clock):
    answer(fence, visible=True)
    fence.count_drawing(clock.now, 0.25)
    assert fence.age is None
    clock.now += 0.25
    answer(fence, painted={fence.name: 1})
    assert fence.age == 0.25 + 0.25
    clock.now += 0.5
    assert fence.age == 0.5
    clock.now += 1.0
    assert fence.age == 0.25 + 0.25 + 1.5  # the picture has stopped: its current age


def test_hidden_panel_gets_nothing(fence):
    answer(fence, visible=True)
    answer(fence, visible=False)
    assert fence.allows(fence._heard) == (False, False)
    answer(fence, visible=True)
    assert fence.allows(fence._heard) == (True, False)


def test_panel_is_drawn_if_seen_anywhere(fence):
    answer(fence, visible=True)
    fence._on_message(fence, {"view": "b", "visible": True}, [])
    answer(fence, visible=False)
    assert fence.visible


def test_silent_page_gets_two_small_a_second(fence):
    answer(fence, visible=True)
    heard = fence._heard
    for _ in range(MAX_IN_FLIGHT):
        fence.count_drawing(heard, None)
    assert fence.allows(heard + 0.4) == (False, False)
    assert fence.allows(heard + 0.6) == (True, True)
    fence.count_drawing(heard + 0.6, None)
    assert fence.allows(heard + 0.9) == (False, False)
    assert fence.allows(heard + 1.2) == (True, True)
    assert fence.allows(heard + LOST_SECONDS + 1) == (False, False)


class Panel:
    """Something to draw that reports when it was drawn."""

    def __init__(self, frame=0.0):
        self.frame = frame  # when it was taken
        self.drawn = threading.Semaphore(0)
        self.small = []

    def draw(self, *, small):
        self.small.append(small)
        self.drawn.release()
        return self.frame

    def draw_status(self):
        pass


def test_changed_panel_is_drawn(fence, monkeypatch):
    monkeypatch.setattr(fence_module, "BLIND_SECONDS", 600.0)
    panel = Panel()
    painter.add(panel, fence)
    try:
        painter.changed(panel)
        assert not panel.drawn.acquire(timeout=0.3)  # nobody is watching
        answer(fence, visible=True)
        assert panel.drawn.acquire(timeout=60)
        for _ in range(MAX_IN_FLIGHT - 1):
            painter.changed(panel)
            assert panel.drawn.acquire(timeout=60)
        painter.changed(panel)
        assert not panel.drawn.acquire(timeout=0.3)  # enough are in transit
        answer(fence, painted={fence.name: 2})
        assert panel.drawn.acquire(timeout=60)
        assert panel.small == [False] * (MAX_IN_FLIGHT + 1)
    finally:
        painter.remove(panel)


def test_panel_without_frame_is_not_waited_for(fence, monkeypatch):
    monkeypatch.setattr(painter_module, "GATHER_SECONDS", 600.0)
    other = Fence(lambda frame: frame)
    fence.send = other.send = lambda *_: None
    view, timeline = Panel(), Panel(frame=None)
    for panel, its in ((view, fence), (timeline, other)):
        answer(its, visible=True)
        painter.add(panel, its)
    try:
        with painter._condition:  # both in one round
            painter.changed(view)
            painter.changed(timeline)
        for panel in (view, timeline):
            assert panel.drawn.acquire(timeout=60)
        painter.changed(view)
        assert view.drawn.acquire(timeout=60)
    finally:
        for panel in (view, timeline):
            painter.remove(panel)


def test_panels_of_a_round_wait_together(fence, monkeypatch):
    monkeypatch.setattr(painter_module, "GATHER_SECONDS", 600.0)
    other = Fence(lambda frame: frame)
    panels, sent = {Panel(): fence, Panel(): other}, queue.SimpleQueue()
    fence.send = other.send = lambda message, _: sent.put(message["drawn"])
    for panel, its in panels.items():
        answer(its, visible=True)
        painter.add(panel, its)
    one, two = panels
    try:
        painter.changed(one)
        assert one.drawn.acquire(timeout=60)  # immediately, because nothing was drawn with it
        with painter._condition:
            painter._together.update(panels)
        painter.changed(one)
        assert not one.drawn.acquire(timeout=0.3)
        painter.changed(two)
        assert two.drawn.acquire(timeout=60)
        assert one.drawn.acquire(timeout=60)
        assert set(painter._together) == set(panels)
        assert sent.get(timeout=60) == {fence.name: 1}
        assert sent.get(timeout=60) == {fence.name: 2, other.name: 1}  # the page is told once
    finally:
        for panel in panels:
            painter.remove(panel)


def test_failing_panel_harms_no_other(fence, capsys):
    class Broken(Panel):
        def draw(self, *, small):
            super().draw(small=small)
            raise RuntimeError("broken panel")

    broken, sound = Broken(), Panel()
    answer(fence, visible=True)
    other = Fence(lambda frame: frame)
    other.send = lambda *_: None
    answer(other, visible=True)
    painter.add(broken, fence)
    painter.add(sound, other)
    try:
        painter.changed(broken)
        assert broken.drawn.acquire(timeout=60)
        painter.changed(sound)
        assert sound.drawn.acquire(timeout=60)
        assert "broken panel" in capsys.readouterr().err
    finally:
        painter.remove(broken)
        painter.remove(sound)


def test_panel_hears_of_its_last_page():
    told = []
    fence = Fence(lambda frame: frame, told.append)
    answer(fence, visible=True)
    fence._on_message(fence, {"view": "b", "visible": False}, [])
    answer(fence, visible=False)  # scrolled away
    answer(fence, visible=True)
    assert (told, fence.appearances) == ([True], 2)
    answer(fence, gone=True)
    assert told == [True]  # another page still shows it
    fence._on_message(fence, {"view": "b", "gone": True}, [])
    assert told == [True, False]
    answer(fence, visible=True)
    assert told == [True, False, True]


def test_silent_page_is_dropped_and_retaken(clock):
    told = []
    fence = Fence(lambda frame: frame, told.append)
    answer(fence, visible=True)
    clock.now += LOST_SECONDS + 1
    fence.count_drawing(clock.now, 0.1)
    assert fence.silence(clock.now) == 0.0  # it had nothing to acknowledge before
    clock.now += LOST_SECONDS + 1
    assert fence.silence(clock.now) > LOST_SECONDS
    fence.give_up()
    assert (told, fence.visible) == ([True, False], False)
    answer(fence, painted={fence.name: 1})
    assert (told, fence.visible) == ([True, False, True], True)


def test_painter_drops_silent_pages(monkeypatch):
    monkeypatch.setattr(fence_module, "LOST_SECONDS", 1.0)
    monkeypatch.setattr(painter_module, "STATUS_SECONDS", 0.1)
    gone, panel = threading.Event(), Panel()
    fence = Fence(lambda _: None, lambda there: there or gone.set())
    fence.send = lambda *_: None
    answer(fence, visible=True)
    painter.add(panel, fence)
    try:
        assert panel.drawn.acquire(timeout=60)  # nothing has changed, but it requests an answer
        assert gone.wait(60)
    finally:
        painter.remove(panel)


def test_new_view_makes_others_answer(fence):
    sent = []
    fence.send = sent.append
    answer(fence, visible=True)
    fence._on_message(fence, {"view": "b", "visible": False, "fresh": True}, [])
    assert (sent, fence.visible) == ([{"who": True}], False)  # the page of a may have been killed
    answer(fence, visible=True)
    assert fence.visible


def test_failing_close_harms_no_other_panel(monkeypatch, capsys):
    monkeypatch.setattr(fence_module, "LOST_SECONDS", 0.0)
    monkeypatch.setattr(painter_module, "STATUS_SECONDS", 0.0)
    told, panel = threading.Semaphore(0), Panel()

    def leave(there):
        if not there:
            told.release()
            raise RuntimeError("it cannot leave")

    fence = Fence(lambda _: None, leave)
    fence.send = lambda *_: None
    painter.add(panel, fence)
    try:
        for _ in range(2):
            answer(fence, visible=True)
            assert told.acquire(timeout=60)
        assert "it cannot leave" in capsys.readouterr().err
    finally:
        painter.remove(panel)


def test_silent_widget_harms_no_other(fence, monkeypatch):
    monkeypatch.setattr(painter_module, "GATHER_SECONDS", 600.0)  # those of a round are drawn together
    panels, deaf, painted = (Panel(), Panel()), Fence(lambda _: None), threading.Semaphore(0)
    asked = []
    deaf.send = lambda *_: asked.append(1)

    def paint(message, _):
        painted.release()
        answer(fence, painted=message["drawn"])

    fence.send = paint
    for panel, each in zip(panels, (deaf, fence), strict=True):
        answer(each, visible=True)
        painter.add(panel, each)
    try:
        came = 0
        while came < 8:
            for panel in panels:
                painter.changed(panel)
            came += painted.acquire(timeout=1)
        assert len(asked) <= 2
    finally:
        for panel in panels:
            painter.remove(panel)


def test_one_answer_for_a_round(fence):
    other = Fence(lambda _: 0.0)
    for each in (fence, other):
        answer(each, visible=True)
        for _ in range(MAX_IN_FLIGHT):
            each.count_drawing(0.0, None)
        assert not each.allows(0.1)[0]
    painted = dict.fromkeys((fence.name, other.name), MAX_IN_FLIGHT)
    answer(fence, painted=painted | {"closed meanwhile": 5})
    now = fence._heard
    assert fence.allows(now) == other.allows(now) == (True, False)


@pytest.fixture
def widgets(monkeypatch):
    """Yield (a canvas, curves, the messages that they send on their own)."""
    canvas, curves, sent = Canvas(), Curves((0, 0, 100, 100)), []
    for widget in (canvas, curves):
        monkeypatch.setattr(widget.comm, "send", lambda data, **_: sent.append(data["state"]))
    return canvas, curves, sent


def test_round_is_one_message(widgets):
    canvas, curves, sent = widgets
    with Round() as together:
        canvas.picture = b"old"
        curves.draw([("#000000", np.array([0.0, 1.0]), np.array([0.0, 1.0]))])
        with canvas.hold_sync():
            canvas.picture, canvas.extent = b"new", [0, 0, 2, 3]
    found, buffers = together.message()
    assert not sent
    assert [widget["id"] for widget in found] == [canvas.model_id, curves.model_id]
    assert found[0]["state"] == {"extent": [0, 0, 2, 3]}
    assert found[1]["state"] == {"lengths": [2], "colours": ["#000000"]}
    assert buffers[found[0]["buffers"]["picture"]] == b"new"
    points = np.frombuffer(buffers[found[1]["buffers"]["points"]], "<f4")
    assert points.tolist() == [0, 100, 100, 0]


@pytest.mark.parametrize("status", [False, True])
def test_texts_of_all_panels_are_one_message(fence, monkeypatch, status):
    """Each message makes JupyterLab and the page work; seven panels have some fifty texts."""
    texts, alone, sent = [Html() for _ in range(5)], [], []
    for text in texts:
        monkeypatch.setattr(text.comm, "send", lambda data, **_: alone.append(data))
    fence.send = lambda message, _: sent.append(message)

    class Panel:
        def draw(self, **_):
            for text in texts:
                text.value = "new"

        draw_status = draw

    if status:
        fence.hears = True
        painter._draw_status([(Panel(), fence)], 0.0)
    else:
        painter._draw([(Panel(), fence, False)])
    assert not alone
    (message,) = sent
    assert [widget["id"] for widget in message["widgets"]] == [text.model_id for text in texts]
    assert all(widget["state"] == {"value": "new"} for widget in message["widgets"])
    assert list(message["drawn"]) == ([] if status else [fence.name])  # a status needs no answer


@pytest.mark.parametrize("hears", [False, True])
def test_status_without_news_sends_nothing(fence, hears):
    fence.send = pytest.fail
    fence.hears = hears
    painter._draw_status([(SimpleNamespace(draw_status=lambda: None), fence)], 0.0)


def test_status_reaches_a_page_in_which_a_fence_is_deaf(fence, monkeypatch):
    text, alone, sent, deaf = Html(), [], [], Fence(lambda _: 0.0)
    monkeypatch.setattr(text.comm, "send", lambda data, **_: alone.append(data["state"]))
    fence.send = lambda message, *_: sent.extend(each["state"] for each in message.get("widgets", ()))
    deaf.send = lambda *_: None

    def draw(value):
        def draw_status():
            text.value = value

        painter._draw_status(
            [(SimpleNamespace(draw_status=draw_status), each) for each in (deaf, fence)], 0.0
        )

    draw("before any answer")
    fence.count_drawing(0.0, None)
    answer(fence, painted={fence.name: 1, deaf.name: 1})  # the round came through this one
    draw("then")
    answer(fence, visible=True, fresh=True)  # the page was loaded again
    draw("again")
    assert alone == [{"value": "before any answer"}, {"value": "again"}]
    assert sent == [{"value": "then"}]


def test_late_change_is_sent_at_once(widgets):
    canvas, _, sent = widgets
    with Round() as together:
        other = threading.Thread(target=setattr, args=(canvas, "description", "there"))
        other.start()
        other.join()
    canvas.description = "now"
    assert together.message() == ([], [])
    assert sent == [{"description": "there"}, {"description": "now"}]


def test_closed_widget_is_left_out(widgets):
    canvas, _, _ = widgets
    with Round() as together:
        canvas.picture = b"1"
        canvas.close()
    assert together.message() == ([], [])
