"""Questions about events: their thread, rate and order, and how listeners behave."""

from __future__ import annotations

import threading
import time
import traceback
import zlib
from typing import Any

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.gms import unregister
from dmlink.indm.selftest.answers import Answers, on_main_thread, wait_for

LISTEN_SECONDS = 4.0
EVENT_SECONDS = 2.0  # how long to wait for an event of our own image
SLOW_SECONDS = 0.3  # how long a slow handler takes
UPDATES = 5  # changes of our own image while a handler is busy
ROWS = 64  # frames of the live view that are compared


BASE: Any = getattr(DM, "Py_ScriptObject", object)  # if it is missing, other questions are still asked


class Witness(BASE):  # type: ignore[misc]
    """Records when its handler is called, and on which thread."""

    def __init__(self) -> None:
        DM.Py_ScriptObject.__init__(self)
        self.stop = False

    def __del__(self) -> None:
        """Call DM's own __del__, as published scripts do."""
        if BASE is not object:
            DM.Py_ScriptObject.__del__(self)

    def HandleDataChangedEvent(self, flags: Any, image: Any) -> None:  # noqa: ARG002, N802 - DM's names
        """Record the call."""
        if self.stop:
            return
        try:
            self.take(image)
        except Exception:  # noqa: BLE001 - nothing may escape into DM
            traceback.print_exc()

    def take(self, image: Any) -> None:
        """React to the event, as each subclass needs."""

    def end(self) -> None:
        """Stop recording."""
        self.stop = True
        unregister(self)


class Counter(Witness):
    """Counts its calls; the first `slow` of them take a long time."""

    def __init__(self, slow: int = 0) -> None:
        Witness.__init__(self)
        self.slow = slow
        self.calls = 0
        self.threads: set[tuple[int, bool]] = set()

    def take(self, image: Any) -> None:  # noqa: ARG002
        """Count."""
        self.calls += 1
        self.threads.add((threading.get_ident(), on_main_thread()))
        if self.calls <= self.slow:
            time.sleep(SLOW_SECONDS)


class Watcher(Witness):
    """Stores some rows of each frame for which it is called."""

    def __init__(self) -> None:
        Witness.__init__(self)
        self.seen: list[list[int]] = []

    def take(self, image: Any) -> None:
        """Store the rows."""
        array = np.atleast_2d(image.GetNumArray())
        step = max(1, len(array) // ROWS)
        self.seen.append([zlib.crc32(np.ascontiguousarray(row).tobytes()) for row in array[::step]])


class Maker(Witness):
    """Creates a listener inside its handler, as needed for windows that a script opens on the main thread."""

    def __init__(self) -> None:
        Witness.__init__(self)
        self.answers: list[str] = []

    def take(self, image: Any) -> None:
        """Create one listener, once."""
        if self.answers:
            return
        self.answers.append("works")
        try:
            made = Counter()
            made.stop = True
            made.ImageHandleDataChangedEvent(image, "pythonplugin")
            unregister(made)
        except Exception:  # noqa: BLE001
            self.answers[0] = "fails"


class Thrower(Counter):
    """Lets an exception escape once, on purpose."""

    def HandleDataChangedEvent(self, flags: Any, image: Any) -> None:  # noqa: ARG002, N802 - DM's names
        """Count, and fail the first time."""
        self.calls += 1
        if self.calls == 1:
            raise RuntimeError("This error is part of the self-test; DigitalMicrograph may show it.")


def ask_about_own_events(answers: Answers, image: Any) -> None:
    """Ask using our own image, which changes when we want it to."""
    first = Counter(slow=1)
    first.ImageHandleDataChangedEvent(image, "pythonplugin")
    answers.ask("handler_thread", lambda: thread_of(first, image))
    answers.ask("events", lambda: waiting_events(first, image))
    answers.ask("unregister", lambda: unregistering(first, image))
    first.end()
    answers.ask("nested_listeners", lambda: nested(image))
    answers.ask("references", lambda: referenced(image))
    answers.ask("after_exception", lambda: thrown(image))


def thread_of(counter: Counter, image: Any) -> str:
    """Return the thread on which a handler is called."""
    image.UpdateImage()
    if not wait_for(lambda: counter.threads, EVENT_SECONDS):
        return "no event"
    ident, on_main = min(counter.threads)
    return "main" if on_main else "script" if ident == threading.get_ident() else "other"


def waiting_events(counter: Counter, image: Any) -> str:
    """Return what happens to events that arrive while a handler is busy."""
    wait_for(lambda: False, SLOW_SECONDS + 0.1)
    before = counter.calls
    counter.slow = before + 1
    image.UpdateImage()
    wait_for(lambda: counter.calls > before, EVENT_SECONDS)
    busy = counter.calls
    if busy == before:
        return "no event"
    for _ in range(UPDATES):
        image.UpdateImage()
    wait_for(lambda: counter.calls >= busy + UPDATES, SLOW_SECONDS + EVENT_SECONDS / 2)
    return "queue" if counter.calls >= busy + UPDATES else "coalesce"


def unregistering(counter: Counter, image: Any) -> str:
    """Return whether unregistering ends the events."""
    if not hasattr(counter, "UnregisterAllListeners"):
        return "missing"
    try:
        counter.UnregisterAllListeners()
    except Exception:  # noqa: BLE001
        return "fails"
    before = counter.calls
    image.UpdateImage()
    return "has no effect" if wait_for(lambda: counter.calls > before, EVENT_SECONDS / 4) else "works"


def nested(image: Any) -> str:
    """Return whether a handler can create a listener."""
    maker = Maker()
    maker.ImageHandleDataChangedEvent(image, "pythonplugin")
    image.UpdateImage()
    wait_for(lambda: maker.answers, EVENT_SECONDS)
    maker.end()
    return maker.answers[0] if maker.answers else "no event"


def referenced(image: Any) -> str:
    """Return whether a registration keeps a listener alive that nothing else refers to."""
    calls: list[int] = []

    class Forgotten(Witness):
        def take(self, image: Any) -> None:  # noqa: ARG002
            calls.append(1)

    forgotten = Forgotten()
    forgotten.ImageHandleDataChangedEvent(image, "pythonplugin")
    image.UpdateImage()
    if not wait_for(lambda: calls, EVENT_SECONDS):
        forgotten.end()
        return "no event"
    wait_for(lambda: False, 0.1)
    del forgotten
    calls.clear()
    image.UpdateImage()
    return "strong" if wait_for(lambda: calls, EVENT_SECONDS / 4) else "weak"


def thrown(image: Any) -> str:
    """Return whether a handler is called again after an exception has left it."""
    thrower = Thrower()
    thrower.ImageHandleDataChangedEvent(image, "pythonplugin")
    image.UpdateImage()
    if not wait_for(lambda: thrower.calls, EVENT_SECONDS):
        thrower.end()
        return "no event"
    wait_for(lambda: False, 0.1)
    image.UpdateImage()
    again = wait_for(lambda: thrower.calls > 1, EVENT_SECONDS / 2)
    thrower.end()
    return "goes on" if again else "ends"


def ask_about_live_events(answers: Answers, image: Any) -> None:
    """Ask using the live view: how often a handler is called per frame, and for how much of it."""
    watcher = Watcher()
    watcher.ImageHandleDataChangedEvent(image, "pythonplugin")
    wait_for(lambda: False, LISTEN_SECONDS)
    watcher.end()
    answers.ask("live_events", lambda: per_frame(watcher.seen))
    answers.ask("live_parts", lambda: parts(watcher.seen))


def per_frame(seen: list[list[int]]) -> Any:
    """Return 2 if most events are followed by one without new data, otherwise 1; "none" without events."""
    if len(seen) < 3:
        return "none"
    repeated = sum(a == b for a, b in zip(seen, seen[1:]))
    return 2 if repeated > (len(seen) - 1) / 3 else 1


def parts(seen: list[list[int]]) -> Any:
    """Return the number of bands of rows in which a frame arrives, from the fraction of new rows."""
    shares = sorted(sum(x != y for x, y in zip(a, b)) / len(a) for a, b in zip(seen, seen[1:]) if a != b)
    return max(1, round(1 / shares[len(shares) // 2])) if shares else "none"
