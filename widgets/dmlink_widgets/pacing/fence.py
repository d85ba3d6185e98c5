"""Fence: tracks what the browser has painted of a panel, and whether the next drawing may be sent."""

from __future__ import annotations

import collections
import contextvars
import pathlib
import time
import uuid
import weakref
from typing import TYPE_CHECKING, Any

import traitlets

from dmlink.rate import Rate
from dmlink_widgets.pacing import kernel_status
from dmlink_widgets.page_widget import PageWidget

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.frame import Frame

MAX_IN_FLIGHT = 2
# With some versions of ipykernel, no acknowledgements arrive while the kernel's main thread is busy.
# Then small drawings are sent at this interval.
BLIND_SECONDS = 0.5
# Time between drawings, as a multiple of the time that the page took for the last round. Any sooner, a round
# would wait in the page behind the last one and grow old.
SPACING = 1.1
LOST_SECONDS = 60.0  # silence after which the page must be gone: a busy kernel hears something sooner
STALE_SECONDS = 1.0  # silence after which the picture counts as stopped
RATE_READINGS = 12  # one per second

_fences: weakref.WeakValueDictionary[str, Fence] = weakref.WeakValueDictionary()  # by name


class Fence(PageWidget):
    """An invisible widget that acknowledges when the browser has painted its panel.

    Parameters
    ----------
    age_of : callable
        Returns how old a frame is now, in seconds; None if that is unknown.
    in_page : callable, optional
        Called with True when a page shows the panel, and with False when the last page has dropped it: the
        output was cleared, its notebook closed, its browser killed.

    Attributes
    ----------
    drawn : int
        Drawings sent to the browser.
    painted : int
        Drawings painted, by the fastest browser if there are several.
    appearances : int
        How many times the panel has become visible.
    rounds_carried : int
        Rounds sent through this fence since its last acknowledgement.
    hears : bool
        Whether the page has acknowledged a round sent through this fence. A widget that took the page more
        than two seconds to start never receives messages (anywidget).
    removed : bool
        Whether the last view was removed from a page that is still there.
    context : contextvars.Context or None
        The context in which acknowledgements arrive.
    on_answer : callable
        Called after each message from the browser.
    on_view : callable
        Called when a page begins to show the panel: it may have missed earlier rounds.
    """

    _classes = ("dmlink-fence",)
    _code = (pathlib.Path(__file__).parent / "fence.js").read_text("utf-8")

    name = traitlets.Unicode().tag(sync=True)  # identifies the panel in messages
    quiet = traitlets.Unicode().tag(sync=True)  # marks acknowledgements, where the kernel omits its status

    def __init__(
        self, age_of: Callable[[Frame], float | None], in_page: Callable[[bool], None] = lambda _: None
    ) -> None:
        super().__init__(name=uuid.uuid4().hex, quiet=kernel_status.quiet_mark())
        _fences[self.name] = self
        self.drawn = 0
        self.painted = 0
        self.appearances = 0
        self.rounds_carried = 0
        self.hears = False
        self.context: contextvars.Context | None = None
        self.removed = False
        self.on_answer: Callable[[], None] = lambda: None
        self.on_view: Callable[[], None] = lambda: None
        self._age_of = age_of
        self._in_page = in_page
        self._views: dict[str, bool] = {}  # views in all browsers, by id: whether each is visible
        self._lost = False
        self._rate = Rate(RATE_READINGS)
        # Keep number and time only: a frame is large, and its acknowledgement may never arrive.
        self._in_flight: collections.deque[tuple[int, float | None]] = collections.deque(maxlen=8)
        self._born: float | None = None  # time of the visible frame, perf_counter
        self._age: float | None = None  # age of that frame when it was painted, s
        self._took = 0.0  # time that the page took for the last round, s
        self._heard = 0.0  # when the last acknowledgement arrived, perf_counter
        self._sent = 0.0  # when the last drawing was sent, perf_counter
        self._waits_since = 0.0  # when a drawing began to wait for its acknowledgement, perf_counter
        self.on_msg(self._on_message)

    @property
    def visible(self) -> bool:
        """Whether somebody can see the panel."""
        return any(self._views.values()) and not self._lost

    @property
    def in_pages(self) -> bool:
        """Whether a page shows the panel, even if it is scrolled out of sight."""
        return bool(self._views)

    def allows(self, now: float) -> tuple[bool, bool]:
        """Return (whether a drawing may be sent now, whether it must be small)."""
        if not self.visible:
            return False, False
        if self.drawn - self.painted < MAX_IN_FLIGHT and now >= self.next_time:
            return True, False
        blind = now - self._sent >= BLIND_SECONDS and BLIND_SECONDS <= self.silence(now) < LOST_SECONDS
        return blind, blind

    @property
    def next_time(self) -> float:
        """When the next drawing may be sent (perf_counter); any sooner, it would wait behind the last one."""
        return self._sent + (SPACING * self._took if self.drawn > self.painted else 0.0)

    def count_drawing(self, now: float, frame: Frame | None) -> int:
        """Count a drawing of this frame that is being sent; return its number."""
        if self.drawn == self.painted:
            self._waits_since = now
        self.drawn += 1
        age = None if frame is None else self._age_of(frame)
        self._in_flight.append((self.drawn, None if age is None else now - age))
        self._sent = now
        return self.drawn

    @property
    def age(self) -> float | None:
        """Age of the picture when it was painted, or its current age if it has stopped (s)."""
        now = time.perf_counter()
        return self._age if self._born is None or now - self._heard < STALE_SECONDS else now - self._born

    @property
    def rate(self) -> float:
        """Drawings painted per second, over the last few seconds that the panel was visible."""
        return self._rate.per_second()

    def read_rate(self, now: float) -> None:
        """Take a reading for `rate`; once a second."""
        self._rate.add(now, self.painted)

    def silence(self, now: float) -> float:
        """Return s since the last acknowledgement or, if shorter, since a drawing began to wait."""
        return now - max(self._heard, self._waits_since)

    def is_lost(self, now: float) -> bool:
        """Whether a drawing has waited so long that its page must be gone."""
        return self.drawn > self.painted and self.silence(now) > LOST_SECONDS

    def needs_probe(self, now: float) -> bool:
        """Whether a drawing should be sent to check whether the page still answers."""
        return self.silence(now) > LOST_SECONDS / 2

    def give_up(self) -> None:
        """Consider its page gone; if it answers after all, it gets the panel back."""
        self._lost, self.removed = True, False
        self._in_page(False)

    def hear(self, context: contextvars.Context) -> None:
        """Record that the page is there, and the context in which it answers."""
        self._heard = time.perf_counter()
        self.context = context
        if self._lost:
            self._lost = False
            self._in_page(bool(self._views))

    def acknowledge(self, number: int, took: float) -> None:
        """Record that all drawings up to this number are painted, the last one in `took` seconds."""
        self.painted = max(self.painted, number)
        self._took = min(took, BLIND_SECONDS)  # a page that was hidden meanwhile can report minutes
        while self._in_flight and self._in_flight[0][0] <= number:
            _, born = self._in_flight.popleft()
            if born is not None:
                self._born, self._age = born, max(0.0, self._heard - born)

    def _on_message(self, _: Any, message: dict[str, Any], __: Any) -> None:
        # ipykernel delivers an answer depending on which shell sent last: drawings sent from within
        # this context are answered even while a cell runs.
        context = contextvars.copy_context()
        self.hear(context)
        if "visible" in message or "gone" in message:
            self._update_view(message)
        if "painted" in message:
            self.rounds_carried, self.hears = 0, True
        for name, number in message.get("painted", {}).items():
            if fence := _fences.get(name):
                fence.hear(context)
                fence.acknowledge(int(number), float(message.get("took", 0.0)))
        self.on_answer()

    def _update_view(self, message: dict[str, Any]) -> None:
        """Record that a view has appeared, was shown or hidden, or is gone."""
        was_visible, was_there = self.visible, bool(self._views)
        if message.get("fresh"):  # other pages may have gone without a message; those that still exist answer
            self._views.clear()
            self.hears = False
            self.send({"who": True})
            self.on_view()
        self.removed = "removed" in message
        if "gone" in message:
            self._views.pop(str(message["view"]), None)
        else:
            self._views[str(message["view"])] = bool(message["visible"])
        if self.visible and not was_visible:
            self.appearances += 1
            self._rate.clear()
        if bool(self._views) != was_there:
            self._in_page(not was_there)
