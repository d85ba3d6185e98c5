"""Workspace: everything that is open in DM, and the way by which events reach the listeners."""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from dmlink.simulator.handles import wrap
from dmlink.simulator.output import Output, Streams, speaking

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.simulator.desktop import Desktop
    from dmlink.simulator.displays import Display, Roi
    from dmlink.simulator.documents import Document
    from dmlink.simulator.images import Image
    from dmlink.simulator.listeners import Registration
    from dmlink.simulator.switches import Switches


class Workspace:
    """Documents (front one first), images, ROIs and tags.

    `lock` guards these; nothing that could wait or run a script's code is done under it, `changed` neither.
    """

    def __init__(self, desktop: Desktop, switches: Switches, results: Output, streams: Streams) -> None:
        self.desktop = desktop
        self.switches = switches
        self.results = results
        self._streams = streams
        self.lock = threading.RLock()
        self.documents: list[Document] = []
        self.images: weakref.WeakValueDictionary[int, Image] = weakref.WeakValueDictionary()
        self.rois: weakref.WeakValueDictionary[int, Roi] = weakref.WeakValueDictionary()
        self.persistent: dict[str, Any] = {}
        self.dialogs: list[str] = []
        self._changed = threading.Condition()
        self._ids = itertools.count(1)
        self._image_numbers = itertools.count()

    def new_id(self) -> int:
        """Return a number that nothing else has."""
        return next(self._ids)

    def new_label(self) -> str:
        """Return the letters by which DM-script knows the next image: A ... Z, AA, AB ..."""
        number, label = next(self._image_numbers), ""
        while number >= 0:
            label = chr(ord("A") + number % 26) + label
            number = number // 26 - 1
        return label

    def living_images(self) -> list[Image]:
        """Return all images that still exist."""
        with self.lock:
            return list(self.images.values())

    def front_document(self) -> Document | None:
        """Return the front document that is shown."""
        with self.lock:
            return next((d for d in self.documents if d.window and d.window.visible), None)

    def front_image(self) -> Image | None:
        """Return the image of the front document."""
        document = self.front_document()
        return document.display.image if document and document.display else None

    def changed(self) -> None:
        """Let everyone in `wait_until` look again."""
        with self._changed:
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[], Any], timeout: float, what: str) -> Any:
        """Wait until `condition()` is true and return its value; it is looked at after each change."""
        end = time.monotonic() + timeout
        with self._changed:
            while not (value := condition()):
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"No {what} within {timeout} s.")
                self._changed.wait(left)
            return value

    def post_data_changed(self, image: Image, after: Callable[[], None] | None = None) -> None:
        """Have the listeners of `image` called on the main thread, and `after` after them."""
        times = 1
        if image.live:
            times = 0 if self.switches.events == "none" else 2 if self.switches.twice_per_frame else 1

        def deliver() -> None:
            for _ in range(times):
                self.fire(image, "HandleDataChangedEvent", 1, image)
            if after:
                after()

        coalesce = self.switches.events == "coalesce"
        self.desktop.post(deliver, ("data", image.id) if coalesce else None)

    def post_event(self, target: Any, handler: str, *arguments: Any) -> None:
        """Tell the listeners of `target`: at once if this is the main thread, else as soon as it can."""
        if self.desktop.on_main_thread:
            self.fire(target, handler, *arguments)
        elif target.listeners:
            self.desktop.post(lambda: self.fire(target, handler, *arguments))

    def fire(self, target: Image | Display | Any, handler: str, *arguments: Any) -> None:
        """Call `handler` of all listeners of `target`, one after another, on this thread."""
        with self.lock:
            target.listeners[:] = [r for r in target.listeners if r.active]
            registrations: list[Registration] = [r for r in target.listeners if r.handler == handler]
        for registration in registrations:
            listener = registration.listener()
            if listener is None:
                continue
            self._streams.install()
            token = speaking.set(registration.output)
            try:
                getattr(listener, handler)(*map(wrap, arguments))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - DM goes on whatever a script does
                self.desktop.escape(error, registration.output)
            finally:
                del listener  # or this frame would keep it alive, and its images
                speaking.reset(token)
