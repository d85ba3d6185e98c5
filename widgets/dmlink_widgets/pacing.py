"""Pacing: nothing is drawn before the browser has painted what was drawn before.

Without it the picture runs seconds to minutes late: a page takes what it is sent, however much, and works it
off in its own time. So every panel has a Fence, a widget without looks beside its figures, that answers when
the browser has painted; at most two drawings are on their way, and hidden panels get nothing. One Painter,
one thread, draws all panels, in rounds: the page paints what is drawn in a round in one go.
"""

from __future__ import annotations

import collections
import contextvars
import pathlib
import threading
import time
import traceback
import uuid
import weakref
from typing import TYPE_CHECKING, Any, Protocol

import anywidget
import traitlets

from dmlink_widgets.round import Round

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.frame import Frame

MAX_IN_FLIGHT = 2
# Acknowledgements can stop because the kernel's main thread is busy: which thread they arrive on depends on
# ipykernel's version. Then drawings are sent at this interval, and small ones.
BLIND_SECONDS = 0.5
# From drawing to drawing, in times of what the page took for the last round: with 1.0 it is never idle, but
# rounds wait for each other there and grow old.
SPACING = 1.35
UNHEARD_SECONDS = 60.0  # no answer for so long: the page is gone without a word, not the kernel busy
STANDS_SECONDS = 1.0  # without an answer: the picture has stopped
# What was drawn together last time is drawn together again if it changes within so long, about a frame: the
# page paints it in one go. One part after the other would cost it as much each time.
GATHER_SECONDS = 0.03
STATUS_SECONDS = 1.0  # how often what is said of a panel is refreshed: calm to read, and work for the page


class Drawable(Protocol):
    """What a Painter draws."""

    def draw(self, *, small: bool) -> Frame | None:
        """Bring the widgets up to date, in as few bytes as possible if `small`; return what is shown now."""

    def draw_status(self) -> None:
        """Bring numbers and messages up to date."""


class Fence(anywidget.AnyWidget):
    """Answers when the browser has painted. `allows` says whether the next drawing may be sent.

    `age` tells how old a frame is now, in seconds. `in_page` is called with True when the panel comes into a
    page, and with False when the last page has let it go: its output was cleared, its notebook closed, its
    browser killed.
    """

    _esm = (pathlib.Path(__file__).parent / "pacing.js").read_text("utf-8")

    name = traitlets.Unicode().tag(sync=True)  # in what is told of all fences at once

    def __init__(
        self, age: Callable[[Frame], float | None], in_page: Callable[[bool], None] | None = None
    ) -> None:
        super().__init__(name=uuid.uuid4().hex)
        _fences[self.name] = self
        self.appeared = 0  # how often it came into sight
        self._in_page = in_page
        self._views: dict[str, bool] = {}  # that pages have, of all browsers: whether they can be seen
        self._silent = False  # their pages have not answered for long
        self.painted = 0  # drawings painted by the browser that is ahead
        self.drawn = 0  # drawings sent
        self._age_of = age
        self._born: float | None = None  # the frame that can be seen, monotonic
        self._age: float | None = None  # of that frame when it was painted, s
        # (number, when its frame was born): frames themselves are large, and may never be answered
        self._on_their_way: collections.deque[tuple[int, float | None]] = collections.deque(maxlen=8)
        self._took = 0.0  # the page, for the last round, s
        self.context: contextvars.Context | None = None
        self._heard = 0.0  # monotonic, when the last answer came
        self._sent = 0.0
        self._waits_since = 0.0  # for an answer, if it does
        self.carried = 0  # rounds, since it has answered one
        self.on_msg(self._on_message)

    @property
    def visible(self) -> bool:
        """Whether somebody can see the panel."""
        return any(self._views.values()) and not self._silent

    def allows(self, now: float) -> tuple[bool, bool]:
        """Return (whether a drawing may be sent now, whether it has to be a small one)."""
        if not self.visible:
            return False, False
        if self.drawn - self.painted < MAX_IN_FLIGHT and now >= self.next:
            return True, False
        blind = now - self._sent >= BLIND_SECONDS and BLIND_SECONDS <= self.unheard(now) < UNHEARD_SECONDS
        return blind, blind

    @property
    def next(self) -> float:
        """When the next drawing may follow (monotonic): sooner it waits for the one before, and grows old."""
        return self._sent + (SPACING * self._took if self.drawn > self.painted else 0.0)

    @property
    def age(self) -> float | None:
        """How old the picture was when it was painted; how old it is by now, if it has stopped (s)."""
        now = time.monotonic()
        return self._age if self._born is None or now - self._heard < STANDS_SECONDS else now - self._born

    def mark(self, now: float, frame: Frame | None) -> int:
        """Count a drawing, of this frame, that is on its way now; return its number."""
        if self.drawn == self.painted:
            self._waits_since = now
        self.drawn += 1
        age = None if frame is None else self._age_of(frame)
        self._on_their_way.append((self.drawn, None if age is None else now - age))
        self._sent = now
        return self.drawn

    def _on_message(self, _: Any, message: dict[str, Any], __: Any) -> None:
        # Where ipykernel answers depends on the shell that sent last: what is drawn from within this context
        # is answered even while a cell runs.
        context = contextvars.copy_context()
        self.hear(context)
        if "visible" in message or "gone" in message:
            self._seen(message)
        if "painted" in message:
            self.carried = 0
        for name, number in message.get("painted", {}).items():
            if fence := _fences.get(name):
                fence.hear(context)
                fence.take(int(number), float(message.get("took", 0.0)))
        painter.wake()

    def hear(self, context: contextvars.Context) -> None:
        """Note that the browser has answered, and in which context answers come."""
        self._heard = time.monotonic()
        self.context = context
        if self._silent:
            self._silent = False
            self._tell(there=bool(self._views))

    def unheard(self, now: float) -> float:
        """Return for how long no answer has come, and some drawing waits for one if any does (s)."""
        return now - max(self._heard, self._waits_since)

    def let_go(self) -> None:
        """Count its page as gone; if it answers some day, it has the panel again."""
        self._silent = True
        self._tell(there=False)

    def _tell(self, *, there: bool) -> None:
        if self._in_page:
            self._in_page(there)

    def _seen(self, message: dict[str, Any]) -> None:
        """Note that a view has come, is seen or not, or has gone."""
        before, there = self.visible, bool(self._views)
        if message.get("fresh"):  # pages may have gone without a word: those that are there answer
            self._views.clear()
            self.send({"who": True})
        if "gone" in message:
            self._views.pop(str(message["view"]), None)
        else:
            self._views[str(message["view"])] = bool(message["visible"])
        self.appeared += self.visible and not before
        if bool(self._views) != there:
            self._tell(there=not there)

    def take(self, number: int, took: float) -> None:
        """Note that all drawings up to this number are painted, the last in `took` seconds."""
        self.painted = max(self.painted, number)
        self._took = min(took, BLIND_SECONDS)  # a page that was hidden meanwhile says minutes
        while self._on_their_way and self._on_their_way[0][0] <= number:
            _, born = self._on_their_way.popleft()
            if born is not None:
                self._born, self._age = born, max(0.0, self._heard - born)


class Painter:
    """Draws what has changed, when its fence allows it."""

    def __init__(self) -> None:
        self._panels: weakref.WeakKeyDictionary[Drawable, Fence] = weakref.WeakKeyDictionary()
        self._changed: weakref.WeakSet[Drawable] = weakref.WeakSet()
        self._together: weakref.WeakSet[Drawable] = weakref.WeakSet()  # drawn last
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, panel: Drawable, fence: Fence) -> None:
        """Take care of a panel."""
        with self._condition:
            self._panels[panel] = fence
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="dmlink-painter", daemon=True)
                self._thread.start()

    def remove(self, panel: Drawable) -> None:
        """Draw a panel no more."""
        with self._condition:
            self._panels.pop(panel, None)

    def changed(self, panel: Drawable) -> None:
        """Draw this panel as soon as its browser is ready for it; can be called from any thread."""
        with self._condition:
            self._changed.add(panel)
            self._condition.notify_all()

    def wake(self) -> None:
        """Look again at what may be drawn."""
        with self._condition:
            self._condition.notify_all()

    def _run(self) -> None:
        next_status = 0.0
        while True:
            with self._condition:
                if self._condition.wait_for(self._ready, timeout=self._patience()):
                    self._condition.wait_for(self._gathered, timeout=GATHER_SECONDS)
                now = time.monotonic()
                todo = self._allowed(now)
                if todo:
                    self._together = weakref.WeakSet(panel for panel, _, _ in todo)
                seen = [(p, f) for p, f in self._panels.items() if f.visible and now >= next_status]
            if now >= next_status:
                next_status = now + STATUS_SECONDS
            if todo:
                self._draw(todo)
            self._tell(seen, now)
            del todo, seen  # not to hold on to a panel that is closed

    def _draw(self, todo: list[tuple[Drawable, Fence, bool]]) -> None:
        drawn = {}
        with Round() as together:
            for panel, fence, small in todo:
                with self._condition:  # not sooner: what comes while others are drawn is drawn with it
                    self._changed.discard(panel)
                frame = _within(fence, panel.draw, small=small)
                drawn[fence.name] = fence.mark(time.monotonic(), frame)
        # One fence hears for all in its page. A widget that took the page more than two seconds to begin
        # hears nothing for ever (anywidget): that one is not asked again and again.
        carrier = min((fence for _, fence, _ in todo), key=lambda fence: fence.carried)
        carrier.carried += 1

        def send() -> None:
            widgets, buffers = together.message()
            carrier.send({"drawn": drawn, "widgets": widgets}, buffers)

        _within(carrier, send)

    def _tell(self, seen: list[tuple[Drawable, Fence]], now: float) -> None:
        """Bring what is said of panels up to date, and look whether their page is still there."""
        for panel, fence in seen:
            _within(fence, panel.draw_status)
            if fence.unheard(now) > UNHEARD_SECONDS and fence.drawn > fence.painted:
                fence.let_go()
            elif fence.unheard(now) > UNHEARD_SECONDS / 2:
                self.changed(panel)  # for an answer, also from one that stands still

    def _patience(self) -> float:
        """Return how long there is nothing to look at unless something happens, in s."""
        now = time.monotonic()
        fences = [fence for panel in self._changed if (fence := self._panels.get(panel))]
        waits = [fence.next - now for fence in fences if fence.visible and fence.next > now]
        return min([STATUS_SECONDS / 4, *waits])

    def _ready(self) -> bool:
        return bool(self._allowed(time.monotonic()))

    def _gathered(self) -> bool:
        ready = {panel for panel, _, _ in self._allowed(time.monotonic())}
        others = [self._panels.get(panel) for panel in self._together if panel not in ready]
        return not any(fence.visible for fence in others if fence)

    def _allowed(self, now: float) -> list[tuple[Drawable, Fence, bool]]:
        allowed = []
        for panel in list(self._changed):
            fence = self._panels.get(panel)
            may, small = fence.allows(now) if fence else (False, False)
            if fence and may:
                allowed.append((panel, fence, small))
        return allowed


def _within(fence: Fence, call: Callable[..., Frame | None], **arguments: Any) -> Frame | None:
    try:
        if fence.context:
            return fence.context.run(call, **arguments)
        return call(**arguments)
    except Exception:  # noqa: BLE001 - one panel that fails must not end all the others
        traceback.print_exc()
        return None


_fences: weakref.WeakValueDictionary[str, Fence] = weakref.WeakValueDictionary()  # by name
painter = Painter()
