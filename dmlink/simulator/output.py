"""Output: the text that scripts print, separate from that of the host process."""

from __future__ import annotations

import sys
import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

current_output: ContextVar[Output | None] = ContextVar("current_output", default=None)
"""The output of the script whose code runs in this thread, if there is one."""


class Output:
    """Growing lines of text; every complete line is also written to `copy_to`."""

    def __init__(self, copy_to: Output | None = None) -> None:
        self._copy_to = copy_to
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
        if self._copy_to and complete:
            self._copy_to.write("".join(line + "\n" for line in complete))

    def clear(self) -> None:
        """Forget everything."""
        with self._changed:
            self._lines.clear()
            self._tail = ""

    def wake(self) -> None:
        """Make everyone in `wait_for` evaluate `given_up` again."""
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, text: str, timeout: float, given_up: Callable[[], bool]) -> str | None:
        """Return the first line with `text` in it, or None at the timeout or once `given_up()`.

        An unfinished line counts only then: `print` writes its arguments one by one.
        """
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                for line in self._lines:
                    if text in line:
                        return line
                left = end - time.monotonic()
                if left <= 0 or given_up():
                    return self._tail if text in self._tail else None
                self._changed.wait(left)


class Router:
    """Replaces `sys.stdout` or `sys.stderr`: sends scripts' text to their output, the rest to the host."""

    def __init__(self, stream: str, by_filename: dict[str, Output]) -> None:
        self._stream = stream
        self._host = getattr(sys, stream)
        self._by_filename = by_filename

    def install(self) -> None:
        """Replace the host's stream; again if the host has changed it since, as pytest does."""
        stream = getattr(sys, self._stream)
        if stream is not self:
            self._host = stream
            setattr(sys, self._stream, self)

    def remove(self) -> None:
        """Restore the host's stream, unless something else has replaced it since."""
        if getattr(sys, self._stream) is self:
            setattr(sys, self._stream, self._host)

    def write(self, text: str) -> int:
        """Write `text` where it belongs."""
        output = current_output.get() or self._by_stack()
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
        """Find the script whose code is running: a thread that a script started has no `current_output`."""
        frame = sys._getframe(1)  # noqa: SLF001 - the documented way to inspect callers
        while frame is not None:
            output = self._by_filename.get(frame.f_code.co_filename)
            if output:
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
        """Send the text of code that was compiled under `filename` to `output`."""
        self._by_filename[filename] = output

    def install(self) -> None:
        """Start separating scripts' text from the host's; call again after the host changed its streams."""
        self._out.install()
        self._err.install()

    def remove(self) -> None:
        """Restore the host's streams."""
        self._by_filename.clear()
        self._out.remove()
        self._err.remove()

    def print(self, *values: Any, file: Any = None, **options: Any) -> None:
        """Print like a script, whatever the host has replaced `sys.stdout` with."""
        print(*values, file=self._out if file is None else file, **options)
