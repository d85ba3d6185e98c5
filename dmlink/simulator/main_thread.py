"""Main thread: a thread of DigitalMicrograph's that handles events one after another."""

from __future__ import annotations

import threading
import traceback
import warnings
from collections import OrderedDict
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, TypeVar

from dmlink.simulator.interrupt import interrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from dmlink.simulator.output import Output

T = TypeVar("T")


class MainThread:
    """A thread and its queue of events; DM's main thread, if no other name is given."""

    def __init__(
        self, results: Output, name: str = "dm-main", escaped: list[BaseException] | None = None
    ) -> None:
        self.escaped: list[BaseException] = [] if escaped is None else escaped
        self._results = results
        self._events: OrderedDict[Hashable, Callable[[], None]] = OrderedDict()
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_current(self) -> bool:
        """Whether the caller runs on it."""
        return threading.current_thread() is self._thread

    def start(self) -> None:
        """Start handling events."""
        self._thread.start()

    def post(self, action: Callable[[], None], key: Hashable = None) -> None:
        """Queue `action`; it replaces a waiting one with the same `key`, at the same position."""
        with self._wake:
            if not self._closing:
                self._events[key if key is not None else object()] = action
                self._wake.notify()

    def call(self, action: Callable[[], T], timeout: float = 60.0) -> T:
        """Run `action` after the events already waiting, and return its result."""
        if self.is_current:
            return action()
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(action())
            except Exception as error:  # noqa: BLE001 - the caller gets it
                future.set_exception(error)

        if self._closing or not self._thread.is_alive():
            raise RuntimeError("DigitalMicrograph is not running: start the Microscope first.")
        self.post(run)
        try:
            return future.result(timeout)
        except FutureTimeoutError:
            if future.done():
                raise
            raise TimeoutError(
                f"DigitalMicrograph's main thread was busy for {timeout} s: a handler or a foreground script "
                "does not return."
            ) from None

    def do_events(self) -> None:
        """Handle the events waiting now, from within an action; this can re-enter a handler."""
        for _ in range(len(self._events)):
            action = self._take(wait=False)
            if action:
                action()

    def escape(self, error: BaseException, output: Output | None) -> None:
        """Record an exception that left a handler, and print it."""
        printed = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        (output or self._results).write(printed)
        self.escaped.append(error.with_traceback(None))

    def close(self) -> None:
        """End the main thread; events still waiting are dropped."""
        with self._wake:
            self._closing = True
            self._events.clear()
            self._wake.notify()
        if self._thread.ident is None:
            return
        self._thread.join(1)
        if self._thread.is_alive():
            interrupt(self._thread)
            self._thread.join(30)
        if self._thread.is_alive():
            warnings.warn(
                f"The thread {self._thread.name} is still running: a handler does not return.", stacklevel=3
            )

    def _run(self) -> None:
        while True:
            action = self._take(wait=True)
            if action is None:
                return
            try:
                action()
            except BaseException as error:  # noqa: BLE001 - nothing must end the main thread
                if not self._closing:
                    self.escape(error, None)
            del action  # it may hold the last reference to an image

    def _take(self, *, wait: bool) -> Callable[[], None] | None:
        with self._wake:
            if wait:
                self._wake.wait_for(lambda: self._events or self._closing)
            return self._events.popitem(last=False)[1] if self._events else None
