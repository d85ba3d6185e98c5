"""Pacing without a browser: what the fence allows, and what the painter makes of it."""

from __future__ import annotations

import queue
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from dmlink_widgets import pacing
from dmlink_widgets.canvas import Canvas
from dmlink_widgets.curves import Curves
from dmlink_widgets.round import Round


@pytest.fixture
def fence():
    made = pacing.Fence(lambda frame: frame)
    made.send = lambda *_: None
    return made


@pytest.fixture
def clock(monkeypatch):
    """Give what tells the fence the time; it stands still unless `now` is set."""
    clock = SimpleNamespace(now=100.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(pacing, "time", clock)
    return clock


def answer(fence, **message):
    """Say what the page in the browser says."""
    fence._on_message(fence, {"view": "a", **message}, [])


def test_nothing_is_sent_before_somebody_looks(fence):
    assert fence.allows(0.0) == (False, False)
    answer(fence, visible=True)
    assert fence.allows(0.0) == (True, False)


def test_at_most_two_drawings_are_on_their_way(fence):
    answer(fence, visible=True)
    now = fence._heard
    for _ in range(2):
        assert fence.allows(now) == (True, False)
        fence.mark(now, None)
    assert fence.allows(now) == (False, False)
    answer(fence, painted={fence.name: 1})
    assert fence.allows(now + 1) == (True, False)


def test_next_drawing_waits_for_a_third_longer_than_the_page_took_for_a_round(fence):
    answer(fence, visible=True)
    fence.mark(fence._heard, None)
    answer(fence, painted={fence.name: 1}, took=0.2)
    now = fence._heard
    assert fence.allows(now) == (True, False)
    fence.mark(now, None)
    assert fence.allows(now + 0.2) == (False, False)  # it would wait there for the one before
    assert fence.allows(now + 0.4) == (True, False)
    answer(fence, painted={fence.name: 2}, took=120.0)  # it was hidden
    now = fence._heard
    fence.mark(now, None)
    assert fence.allows(now + 1) == (True, False)


def test_age_is_that_of_the_paint_and_grows_when_the_picture_has_stopped(fence, clock):
    answer(fence, visible=True)
    fence.mark(clock.now, 0.25)
    assert fence.age is None
    clock.now += 0.25
    answer(fence, painted={fence.name: 1})
    assert fence.age == 0.25 + 0.25
    clock.now += 0.5
    assert fence.age == 0.5
    clock.now += 1.0
    assert fence.age == 0.25 + 0.25 + 1.5  # it has stopped: as old as it is by now


def test_hidden_panel_gets_nothing_until_it_is_seen_again(fence):
    answer(fence, visible=True)
    answer(fence, visible=False)
    assert fence.allows(fence._heard) == (False, False)
    answer(fence, visible=True)
    assert fence.allows(fence._heard) == (True, False)


def test_panel_seen_in_one_of_two_browsers_is_drawn(fence):
    answer(fence, visible=True)
    fence._on_message(fence, {"view": "b", "visible": True}, [])
    answer(fence, visible=False)
    assert fence.visible


def test_without_answers_small_drawings_go_out_twice_a_second_and_not_for_ever(fence):
    answer(fence, visible=True)
    heard = fence._heard
    for _ in range(pacing.MAX_IN_FLIGHT):
        fence.mark(heard, None)
    assert fence.allows(heard + 0.4) == (False, False)
    assert fence.allows(heard + 0.6) == (True, True)
    fence.mark(heard + 0.6, None)
    assert fence.allows(heard + 0.9) == (False, False)
    assert fence.allows(heard + 1.2) == (True, True)
    assert fence.allows(heard + pacing.UNHEARD_SECONDS + 1) == (False, False)


class Panel:
    """Something to draw, that says when it was."""

    def __init__(self):
        self.drawn = threading.Semaphore(0)
        self.small = []

    def draw(self, *, small):
        self.small.append(small)
        self.drawn.release()

    def draw_status(self):
        pass


def test_painter_draws_a_changed_panel_when_its_fence_allows_it(fence):
    panel = Panel()
    painter = pacing.painter
    painter.add(panel, fence)
    try:
        painter.changed(panel)
        assert not panel.drawn.acquire(timeout=0.3)  # nobody looks
        answer(fence, visible=True)
        assert panel.drawn.acquire(timeout=5)
        for _ in range(pacing.MAX_IN_FLIGHT - 1):
            painter.changed(panel)
            assert panel.drawn.acquire(timeout=5)
        painter.changed(panel)
        assert not panel.drawn.acquire(timeout=0.3)  # enough are on their way
        answer(fence, painted={fence.name: 2})
        assert panel.drawn.acquire(timeout=5)
        assert panel.small == [False] * (pacing.MAX_IN_FLIGHT + 1)
    finally:
        painter.remove(panel)


def test_panels_drawn_together_wait_for_each_other_and_one_alone_for_nobody(fence, monkeypatch):
    monkeypatch.setattr(pacing, "GATHER_SECONDS", 30.0)
    other = pacing.Fence(lambda frame: frame)
    panels, sent = {Panel(): fence, Panel(): other}, queue.SimpleQueue()
    fence.send = other.send = lambda message, _: sent.put(message["drawn"])
    painter = pacing.painter
    for panel, its in panels.items():
        answer(its, visible=True)
        painter.add(panel, its)
    one, two = panels
    try:
        painter.changed(one)
        assert one.drawn.acquire(timeout=5)  # at once: nothing was drawn with it
        with painter._condition:
            painter._together.update(panels)
        painter.changed(one)
        assert not one.drawn.acquire(timeout=0.3)
        painter.changed(two)
        assert two.drawn.acquire(timeout=5)
        assert one.drawn.acquire(timeout=5)
        assert set(painter._together) == set(panels)
        assert sent.get(timeout=5) == {fence.name: 1}
        assert sent.get(timeout=5) == {fence.name: 2, other.name: 1}  # the page is told once
    finally:
        for panel in panels:
            painter.remove(panel)


def test_panel_that_fails_does_not_end_the_others(fence, capsys):
    class Broken(Panel):
        def draw(self, *, small):
            super().draw(small=small)
            raise RuntimeError("broken panel")

    broken, sound = Broken(), Panel()
    answer(fence, visible=True)
    other = pacing.Fence(lambda frame: frame)
    other.send = lambda *_: None
    answer(other, visible=True)
    painter = pacing.painter
    painter.add(broken, fence)
    painter.add(sound, other)
    try:
        painter.changed(broken)
        assert broken.drawn.acquire(timeout=5)
        painter.changed(sound)
        assert sound.drawn.acquire(timeout=5)
        assert "broken panel" in capsys.readouterr().err
    finally:
        painter.remove(broken)
        painter.remove(sound)


def test_panel_is_told_when_the_last_page_has_let_it_go():
    told = []
    fence = pacing.Fence(lambda frame: frame, told.append)
    answer(fence, visible=True)
    fence._on_message(fence, {"view": "b", "visible": False}, [])
    answer(fence, visible=False)  # scrolled away
    answer(fence, visible=True)
    assert (told, fence.appeared) == ([True], 2)
    answer(fence, gone=True)
    assert told == [True]  # another page still has it
    fence._on_message(fence, {"view": "b", "gone": True}, [])
    assert told == [True, False]
    answer(fence, visible=True)
    assert told == [True, False, True]


def test_page_that_has_gone_without_a_word_is_let_go_and_taken_again_if_it_answers_after_all(clock):
    told = []
    fence = pacing.Fence(lambda frame: frame, told.append)
    answer(fence, visible=True)
    clock.now += pacing.UNHEARD_SECONDS + 1
    fence.mark(clock.now, 0.1)
    assert fence.unheard(clock.now) == 0.0  # it had nothing to answer before
    clock.now += pacing.UNHEARD_SECONDS + 1
    assert fence.unheard(clock.now) > pacing.UNHEARD_SECONDS
    fence.let_go()
    assert (told, fence.visible) == ([True, False], False)
    answer(fence, painted={fence.name: 1})
    assert (told, fence.visible) == ([True, False, True], True)


def test_painter_lets_go_of_a_page_that_does_not_answer_also_of_a_panel_that_stands_still(monkeypatch):
    monkeypatch.setattr(pacing, "UNHEARD_SECONDS", 1.0)
    monkeypatch.setattr(pacing, "STATUS_SECONDS", 0.1)
    gone, panel = threading.Event(), Panel()
    fence = pacing.Fence(lambda _: None, lambda there: there or gone.set())
    fence.send = lambda *_: None
    answer(fence, visible=True)
    pacing.painter.add(panel, fence)
    try:
        assert panel.drawn.acquire(timeout=5)  # nothing has changed: it asks for an answer
        assert gone.wait(5)
    finally:
        pacing.painter.remove(panel)


def test_view_that_comes_anew_makes_others_say_that_they_are_there(fence):
    sent = []
    fence.send = sent.append
    answer(fence, visible=True)
    fence._on_message(fence, {"view": "b", "visible": False, "fresh": True}, [])
    assert (sent, fence.visible) == ([{"who": True}], False)  # the page of a may have been killed
    answer(fence, visible=True)
    assert fence.visible


def test_widget_that_hears_nothing_does_not_keep_the_others_from_being_painted(fence):
    panels, deaf, painted = (Panel(), Panel()), pacing.Fence(lambda _: None), threading.Semaphore(0)
    deaf.send = lambda *_: None

    def paint(message, _):
        painted.release()
        answer(fence, painted=message["drawn"])

    fence.send = paint
    for panel, each in zip(panels, (deaf, fence), strict=True):
        answer(each, visible=True)
        pacing.painter.add(panel, each)
    try:
        came = 0
        for _ in range(10):
            for panel in panels:
                pacing.painter.changed(panel)
            came += painted.acquire(timeout=1)
        assert came >= 8  # it was asked once, perhaps twice
    finally:
        for panel in panels:
            pacing.painter.remove(panel)


def test_one_answer_is_for_all_panels_that_were_painted_together(fence):
    other = pacing.Fence(lambda _: 0.0)
    for each in (fence, other):
        answer(each, visible=True)
        for _ in range(pacing.MAX_IN_FLIGHT):
            each.mark(0.0, None)
        assert not each.allows(0.1)[0]
    painted = dict.fromkeys((fence.name, other.name), pacing.MAX_IN_FLIGHT)
    answer(fence, painted=painted | {"closed meanwhile": 5})
    now = fence._heard
    assert fence.allows(now) == other.allows(now) == (True, False)


@pytest.fixture
def widgets(monkeypatch):
    """Give (a canvas, curves, what they send by themselves)."""
    canvas, curves, sent = Canvas(), Curves((0, 0, 100, 100)), []
    for widget in (canvas, curves):
        monkeypatch.setattr(widget.comm, "send", lambda data, **_: sent.append(data["state"]))
    return canvas, curves, sent


def test_what_is_drawn_together_is_one_message_with_the_newest_of_each(widgets):
    canvas, curves, sent = widgets
    with Round() as together:
        canvas.picture = b"old"
        curves.draw([("#000000", np.array([0.0, 1.0]), np.array([0.0, 1.0]))])
        with canvas.hold_sync():
            canvas.picture, canvas.part = b"new", [0, 0, 2, 3]
    found, buffers = together.message()
    assert not sent
    assert [widget["id"] for widget in found] == [canvas.model_id, curves.model_id]
    assert found[0]["state"] == {"part": [0, 0, 2, 3]}
    assert found[1]["state"] == {"lengths": [2], "colours": ["#000000"]}
    assert buffers[found[0]["buffers"]["picture"]] == b"new"
    points = np.frombuffer(buffers[found[1]["buffers"]["points"]], "<f4")
    assert points.tolist() == [0, 100, 100, 0]


def test_what_changes_outside_of_a_round_or_in_another_thread_is_sent_at_once(widgets):
    canvas, _, sent = widgets
    with Round() as together:
        other = threading.Thread(target=setattr, args=(canvas, "description", "there"))
        other.start()
        other.join()
    canvas.description = "now"
    assert together.message() == ([], [])
    assert sent == [{"description": "there"}, {"description": "now"}]


def test_widget_that_is_closed_while_it_is_drawn_is_left_out(widgets):
    canvas, _, _ = widgets
    with Round() as together:
        canvas.picture = b"1"
        canvas.close()
    assert together.message() == ([], [])
