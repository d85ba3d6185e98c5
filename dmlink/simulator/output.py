"""Output: what scripts print, apart from what the host process prints."""

from __future__ import annotations

import sys
import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

speaking: ContextVar[Output | None] = ContextVar("speaking", default=None)
"""The output of the script whose code runs in this thread, if any."""


class Output:
    """Lines of text, growing; every complete line goes to `beyond` as well."""

    def __init__(self, beyond: Output | None = None) -> None:
        self._beyond = beyond
        self._lines: list[str] = []
        self._tail = ""
        self._changed = threading.Condition()

    @property
    def lines(self) -> list[str]:
        """Everything so far; the last line may be unfinished."""
        with self._changed:
            return [*self._lines, self._tail] if self._tail else list(self._lines)

    def write(self, text: str) -> None:
        """Add `text`."""
        with self._changed:
            *complete, self._tail = (self._tail + text).split("\n")
            self._lines += complete
            self._changed.notify_all()
        if self._beyond and complete:
            self._beyond.write("".join(line + "\n" for line in complete))

    def clear(self) -> None:
        """Forget everything."""
        with self._changed:
            self._lines.clear()
            self._tail = ""

    def wake(self) -> None:
        """Let everyone who waits in `wait_for` look at `given_up` again."""
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, text: str, timeout: float, given_up: Callable[[], bool]) -> str | None:
        """Return the first line with `text` in it, or None at the timeout or once `given_up()`."""
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                for line in self.lines:
                    if text in line:
                        return line
                left = end - time.monotonic()
                if left <= 0 or given_up():
                    return None
                self._changed.wait(left)


class Router:
    """Stands in for `sys.stdout` or `sys.stderr`: scripts' text to their output, all else to the host."""

    def __init__(self, stream: str, by_filename: dict[str, Output]) -> None:
        self._stream = stream
        self._host = getattr(sys, stream)
        self._by_filename = by_filename

    def install(self) -> None:
        """Take the host's stream's place, again if the host (pytest does) changed it meanwhile."""
        stream = getattr(sys, self._stream)
        if stream is not self:
            self._host = stream
            setattr(sys, self._stream, self)

    def remove(self) -> None:
        """Give the host's stream its place back, unless somebody else took it meanwhile."""
        if getattr(sys, self._stream) is self:
            setattr(sys, self._stream, self._host)

    def write(self, text: str) -> int:
        """Write `text` where it belongs."""
        output = speaking.get() or self._by_stack()
        if output is None:
            self._host.write(text)
        else:
            output.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the host's stream."""
        if not getattr(self._host, "closed", False):
            self._host.flush()

    def _by_stack(self) -> Output | None:
        """Find the script whose code is running: a thread that a script started has no `speaking`."""
        frame = sys._getframe(1)  # noqa: SLF001 - the documented way to look at one's callers
        while frame is not None:
            if output := self._by_filename.get(frame.f_code.co_filename):
                return output
            frame = frame.f_back  # type: ignore[assignment]
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)


class Streams:
    """`sys.stdout` and `sys.stderr` of a process in which scripts and a host print."""

    def __init__(self) -> None:
        self._by_filename: dict[str, Output] = {}
        self._out = Router("stdout", self._by_filename)
        self._err = Router("stderr", self._by_filename)

    def add(self, filename: str, output: Output) -> None:
        """Let code that was compiled under `filename` speak to `output`."""
        self._by_filename[filename] = output

    def install(self) -> None:
        """Begin, or go on, to tell scripts' text from the host's."""
        self._out.install()
        self._err.install()

    def remove(self) -> None:
        """End that."""
        self._by_filename.clear()
        self._out.remove()
        self._err.remove()

    def print(self, *values: Any, file: Any = None, **options: Any) -> None:
        """Print as a script does, whatever the host made of `sys.stdout`."""
        print(*values, file=self._out if file is None else file, **options)
