"""Painter: draws all panels of the kernel, on one thread, in rounds that the page paints together."""

from __future__ import annotations

import threading
import time
import traceback
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from dmlink_widgets.pacing.round import Round

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.frame import Frame
    from dmlink_widgets.pacing.fence import Fence

# Panels that showed frames in the last round wait this long for each other, about a frame, because painting
# them one after the other would cost the page the same amount each time.
GATHER_SECONDS = 0.03
STATUS_SECONDS = 1.0  # between two updates of the status: readable, and little work for the page


class Drawable(Protocol):
    """Something that a Painter draws."""

    def draw(self, *, small: bool) -> Frame | None:
        """Update the widgets, in as few bytes as possible if `small`; return the frame shown."""

    def draw_status(self) -> None:
        """Update numbers and messages."""


class Painter:
    """Draws each changed panel as soon as its fence allows."""

    def __init__(self) -> None:
        self._panels: weakref.WeakKeyDictionary[Drawable, Fence] = weakref.WeakKeyDictionary()
        self._changed: weakref.WeakSet[Drawable] = weakref.WeakSet()
        self._together: weakref.WeakSet[Drawable] = weakref.WeakSet()  # showed frames in the last round
        self._condition = threading.Condition()
        self._drawing = threading.Lock()  # panels are drawn one at a time
        self._thread: threading.Thread | None = None

    def add(self, panel: Drawable, fence: Fence) -> None:
        """From now on, draw this panel whenever it has changed."""
        fence.on_answer = self.wake
        with self._condition:
            self._panels[panel] = fence
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="dmlink-painter", daemon=True)
                self._thread.start()

    def remove(self, panel: Drawable) -> None:
        """Stop drawing this panel."""
        with self._condition:
            self._panels.pop(panel, None)
            self._condition.notify_all()  # others may wait for it

    def changed(self, panel: Drawable) -> None:
        """Draw this panel as soon as its browser is ready for it; can be called from any thread."""
        with self._condition:
            self._changed.add(panel)
            self._condition.notify_all()

    def draw_now(self, panel: Drawable) -> None:
        """Draw a panel even if nobody sees it, and send the drawing immediately."""
        with self._drawing:
            panel.draw(small=False)

    def wake(self) -> None:
        """Check again which panels may be drawn."""
        with self._condition:
            self._condition.notify_all()

    def _run(self) -> None:
        next_status = 0.0
        while True:
            with self._condition:
                if self._condition.wait_for(self._ready, timeout=self._patience()):
                    self._condition.wait_for(self._gathered, timeout=GATHER_SECONDS)
                now = time.perf_counter()
                todo = self._allowed(now)
                visible = [(p, f) for p, f in self._panels.items() if f.visible and now >= next_status]
            if now >= next_status:
                next_status = now + STATUS_SECONDS
            if todo:
                self._draw(todo)
            self._draw_status(visible, now)
            del todo, visible  # these references would keep a closed panel alive

    def _draw(self, todo: list[tuple[Drawable, Fence, bool]]) -> None:
        drawn, showed_frames = {}, weakref.WeakSet[Drawable]()
        with self._drawing, Round() as together:
            for panel, fence, small in todo:
                with self._condition:  # not sooner: panels that change while others are drawn are included
                    self._changed.discard(panel)
                frame = _call_within(fence, panel.draw, small=small)
                drawn[fence.name] = fence.count_drawing(time.perf_counter(), frame)
                if frame is not None:
                    showed_frames.add(panel)
        if showed_frames:  # a timeline, drawn once a second, shows none: the next round must not wait for it
            self._together = showed_frames
        # one that answered most recently, because not every fence hears
        carrier = min((fence for _, fence, _ in todo), key=lambda fence: fence.rounds_carried)
        carrier.rounds_carried += 1
        _call_within(carrier, lambda: _send(carrier, together, drawn))

    def _draw_status(self, visible: list[tuple[Drawable, Fence]], now: float) -> None:
        """Update the status of these panels, and check that their page is still there."""
        with Round() as together:
            for panel, fence in visible:
                fence.read_rate(now)
                _call_within(fence, panel.draw_status)
        carrier = next((fence for _, fence in visible if fence.hears), None)
        if carrier:  # nothing would show that it does not hear: a status is not acknowledged
            _call_within(carrier, lambda: _send(carrier, together, {}))
        elif visible:
            _call_within(visible[0][1], together.send_one_by_one)
        for panel, fence in visible:
            if fence.is_lost(now):
                _call_within(fence, fence.give_up)
            elif fence.needs_probe(now):
                self.changed(panel)

    def _patience(self) -> float:
        """Return how long (s) to wait before something may be drawn, unless an event comes first."""
        now = time.perf_counter()
        fences = [fence for panel in self._changed if (fence := self._panels.get(panel))]
        waits = [fence.next_time - now for fence in fences if fence.visible and fence.next_time > now]
        return min([STATUS_SECONDS / 4, *waits])

    def _ready(self) -> bool:
        return bool(self._allowed(time.perf_counter()))

    def _gathered(self) -> bool:
        ready = {panel for panel, _, _ in self._allowed(time.perf_counter())}
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


def _send(carrier: Fence, together: Round, drawn: dict[str, int]) -> None:
    """Send a round through this fence."""
    widgets, buffers = together.message()
    if widgets or drawn:
        carrier.send({"drawn": drawn, "widgets": widgets}, buffers)


def _call_within(fence: Fence, call: Callable[..., Frame | None], **arguments: Any) -> Frame | None:
    """Call in the context in which the fence is answered; an error is printed and affects nothing else."""
    try:
        if fence.context:
            return fence.context.run(call, **arguments)
        return call(**arguments)
    except Exception:  # noqa: BLE001 - one panel that fails must not end all the others
        traceback.print_exc()
        return None


painter = Painter()
