"""Events: how changes in DigitalMicrograph reach the listeners, on the thread that DM has for them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from dmlink.simulator.dm.images import Image
    from dmlink.simulator.dm.registration import Registration
    from dmlink.simulator.main_thread import MainThread
    from dmlink.simulator.switches import Switches

    class Source(Protocol):
        """An object that can have listeners: an image, a display or a window."""

        listeners: list[Registration]


class Events:
    """Calls the handlers of listeners."""

    def __init__(self, thread: MainThread, switches: Switches) -> None:
        self._thread = thread
        self._switches = switches
        self._lock = threading.RLock()  # guards the lists of listeners; no handler is called under it

    def register(self, source: Source, registration: Registration) -> None:
        """From now on, call the handler of `registration` for events of `source`."""
        with self._lock:
            source.listeners.append(registration)

    def post_data_changed(self, image: Image, after: Callable[[], None] | None = None) -> None:
        """Call the listeners of `image` on their thread, then `after`."""
        times = 1
        if image.live:
            times = 0 if self._switches.events == "none" else 2 if self._switches.twice_per_frame else 1

        def deliver() -> None:
            for _ in range(times):
                self._fire(image, "HandleDataChangedEvent", 1, image)
            if after:
                after()

        coalesce = self._switches.events == "coalesce"
        self._thread.post(deliver, ("data", image.id) if coalesce else None)

    def post(self, source: Source, handler: str, *arguments: Any) -> None:
        """Call the listeners' `handler`: at once on their thread, else queued for it."""
        if self._thread.is_current:
            self._fire(source, handler, *arguments)
        elif source.listeners:
            self._thread.post(lambda: self._fire(source, handler, *arguments))

    def _fire(self, source: Source, handler: str, *arguments: Any) -> None:
        """Call `handler` of all listeners, one after another, on this thread."""
        with self._lock:
            source.listeners[:] = [r for r in source.listeners if r.active]
            registrations = [r for r in source.listeners if r.handler == handler]
        for registration in registrations:
            registration.call(*arguments)
