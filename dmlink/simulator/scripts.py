"""Scripts: run Python text as DM's script window does."""

from __future__ import annotations

import ast
import contextlib
import itertools
import linecache
import threading
import traceback
import warnings
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from dmlink.simulator.interrupt import interrupt, spare
from dmlink.simulator.output import Output, Streams, speaking
from dmlink.simulator.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from dmlink.simulator.desktop import Desktop
    from dmlink.simulator.switches import Switches


class Script:
    """A script that was started.

    Attributes
    ----------
    done : threading.Event
        Set when the text has run to its end; listeners that it made may still be called.
    error : BaseException or None
        What ended it, unless that was its end, `exit()` or `stop()`; the traceback is in the output.
    stopped : bool
        Whether `stop()` ended it.
    """

    def __init__(
        self,
        name: str,
        code: CodeType,
        results: Output,
        at_end: Callable[[Output], None],
        *,
        background: bool,
    ) -> None:
        self.name = name
        self.background = background
        self.done = threading.Event()
        self.error: BaseException | None = None
        self.stopped = False
        self.text = Output(results)
        self.filename = code.co_filename
        self._code = code
        self._at_end = at_end
        self._thread: threading.Thread | None = None
        self._running = False
        self._guard = threading.Lock()

    @property
    def output(self) -> list[str]:
        """The lines printed so far by the script, by its handlers and by its threads."""
        return self.text.lines

    def wait_for(self, text: str, timeout: float = 5.0) -> str:
        """Return the first line of the output that has `text` in it, waiting for it if need be.

        Raises
        ------
        TimeoutError
            If it does not come; the message has the output so far.
        RuntimeError
            If the script fails before.
        """
        line = self.text.wait_for(text, timeout, lambda: self.error is not None)
        if line is not None:
            return line
        printed = "\n".join(self.output) or "(nothing)"
        if self.error is not None:
            raise RuntimeError(f"The script {self.name!r} failed before {text!r}. Printed:\n{printed}")
        raise TimeoutError(f"The script {self.name!r}: no {text!r} within {timeout} s. Printed:\n{printed}")

    def join(self, timeout: float = 5.0) -> None:
        """Wait for the end of the script, and raise what it raised."""
        if not self.done.wait(timeout):
            printed = "\n".join(self.output) or "(nothing)"
            raise TimeoutError(f"The script {self.name!r} still runs after {timeout} s. Printed:\n{printed}")
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """Press Ctrl+Shift+Q: raise KeyboardInterrupt in a background script.

        A script that waits inside C code (`time.sleep`, a socket without time-out) ends when that returns.
        """
        if not self.background:
            raise RuntimeError(f"Ctrl+Shift+Q ends background scripts only; {self.name!r} is none.")
        self.kill()

    def kill(self) -> None:
        """Interrupt the script wherever it runs."""
        with self._guard:
            if not self.done.is_set():
                self.stopped = True
                if self._running and self._thread:
                    interrupt(self._thread)

    def run(self, namespace: dict[str, Any]) -> None:
        """Run the text to its end on this thread."""
        token = speaking.set(self.text)
        try:
            self._run(namespace)
        except KeyboardInterrupt:
            pass  # it came between two steps of ours
        except BaseException as error:  # noqa: BLE001 - a failing script is a result here
            printed = "".join(traceback.format_exception(error))
            self.text.write(printed)
            error.add_note(printed)
            self.error = error.with_traceback(None)  # frames would keep the script's images alive
        finally:
            speaking.reset(token)
            self._at_end(self.text)
            self.done.set()
            self.text.wake()

    def _run(self, namespace: dict[str, Any]) -> None:
        with self._guard:
            if self.stopped:
                return
            self._thread, self._running = threading.current_thread(), True
        try:
            exec(self._code, namespace)  # noqa: S102 - this is what a script runner is for
        except SystemExit as end:
            if isinstance(end.code, str):
                self.text.write(end.code + "\n")
        except KeyboardInterrupt:
            if not self.stopped:
                raise
        finally:
            with self._guard:
                self._running = False
                if self.stopped and self._thread:
                    spare()


class Scripts:
    """The script windows of a DigitalMicrograph: all texts run in one namespace that persists."""

    def __init__(self, desktop: Desktop, switches: Switches, results: Output, streams: Streams) -> None:
        self._desktop = desktop
        self._streams = streams
        self._switches = switches
        self._results = results
        self._surroundings = Surroundings(desktop, switches)
        self._numbers = itertools.count(1)
        self._scripts: list[Script] = []
        self._threads: list[threading.Thread] = []
        self._namespace: dict[str, Any] = {}

    def open(self, module: ModuleType) -> None:
        """Make `module` known as DM, and begin to tell scripts' output from the host's."""
        names = {**self._surroundings.builtins(), "print": self._streams.print}
        self._surroundings.open()
        self._namespace.update(__name__="__main__", __builtins__=names, DM=module)
        self._streams.install()

    def run(self, text: str, name: str, *, background: bool) -> Script:
        """Start `text`; a SyntaxError of the Python version that GMS has is raised here."""
        filename = f"<{name} {next(self._numbers)}>"
        ast.parse(text, filename, feature_version=self._switches.python)
        code = compile(text, filename, "exec", dont_inherit=True)
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        script = Script(name, code, self._results, self._surroundings.end, background=background)
        self._streams.add(filename, script.text)
        self._streams.install()
        self._scripts.append(script)
        if background:
            thread = threading.Thread(
                target=script.run, args=(self._namespace,), name=f"dm-script-{name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        else:
            self._desktop.post(lambda: script.run(self._namespace))
        return script

    def value(self, name: str) -> Any:
        """Return the global variable `name` of the scripts; None if there is none."""
        return self._namespace.get(name)

    def close(self, timeout: float = 5.0) -> None:
        """Stop all scripts and drop their namespace, and with it their listeners."""
        self._surroundings.close()
        for script in self._scripts:
            script.kill()
        for thread in self._threads:
            thread.join(timeout)
            if thread.is_alive():
                warnings.warn(
                    f"The thread {thread.name} still runs: its script waits in a call without time-out.",
                    RuntimeWarning,
                    stacklevel=3,
                )
        with contextlib.suppress(RuntimeError, TimeoutError):
            self._desktop.call(self._drop_objects, timeout=1)

    def _drop_objects(self) -> None:
        """Drop what scripts made; a `__del__` that this calls still needs the modules and functions."""
        for name, value in list(self._namespace.items()):
            if not name.startswith("__") and not isinstance(value, (ModuleType, FunctionType, type)):
                del self._namespace[name]

    def silence(self) -> None:
        """Give the host its streams back."""
        for script in self._scripts:
            linecache.cache.pop(script.filename, None)
        self._streams.remove()
