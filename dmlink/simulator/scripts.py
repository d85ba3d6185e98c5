"""Scripts: runs Python text like DM's script windows."""

from __future__ import annotations

import ast
import contextlib
import functools
import itertools
import linecache
import sys
import threading
import traceback
import warnings
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from dmlink.simulator.interrupt import discard_interrupt, interrupt
from dmlink.simulator.output import Output, Streams, current_output
from dmlink.simulator.script_environment import ScriptEnvironment

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from dmlink.simulator.main_thread import MainThread
    from dmlink.simulator.switches import Switches


class Script:
    """A script that was started.

    Attributes
    ----------
    done : threading.Event
        Set when the text has run to its end; its listeners may still be called.
    error : BaseException or None
        The exception that ended it, other than by `exit()` or `stop()`; its traceback is in the output.
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

    def wait_for(self, text: str, timeout: float = 120.0) -> str:
        """Wait for a line of output that contains `text`, and return the first one.

        Raises
        ------
        TimeoutError
            If there is none in time; the message contains the output so far.
        RuntimeError
            If the script fails first.
        """
        line = self.text.wait_for(text, timeout, lambda: self.error is not None)
        if line is not None:
            return line
        printed = "\n".join(self.output) or "(nothing)"
        if self.error is not None:
            raise RuntimeError(f"The script {self.name!r} failed before {text!r}. Printed:\n{printed}")
        raise TimeoutError(f"The script {self.name!r}: no {text!r} within {timeout} s. Printed:\n{printed}")

    def join(self, timeout: float = 60.0) -> None:
        """Wait for the end of the script, and raise its exception if it failed."""
        if not self.done.wait(timeout):
            printed = "\n".join(self.output) or "(nothing)"
            raise TimeoutError(
                f"The script {self.name!r} is still running after {timeout} s. Printed:\n{printed}"
            )
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """Press Ctrl+Shift+Q: raise KeyboardInterrupt in a background script.

        A script that is waiting in C code (`time.sleep`, a socket without time-out) ends when that returns.
        """
        if not self.background:
            raise RuntimeError(f"Ctrl+Shift+Q stops only background scripts; {self.name!r} is not one.")
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
        token = current_output.set(self.text)
        try:
            self._run(namespace)
        except KeyboardInterrupt:
            pass  # the interrupt came between two of our own steps
        except BaseException as error:  # noqa: BLE001 - a failing script is a result here
            printed = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            self.text.write(printed)
            if sys.version_info >= (3, 11):
                error.add_note(printed)
            self.error = error.with_traceback(None)  # frames would keep the script's images alive
        finally:
            current_output.reset(token)
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
                    discard_interrupt()


@functools.lru_cache(maxsize=32)  # the same few scripts run again and again
def _check_syntax(text: str, version: tuple[int, int]) -> None:
    """Raise SyntaxError if this version of Python would."""
    ast.parse(text, feature_version=version)  # novm: only in a later Python than GMS has


class Scripts:
    """The script windows of a DigitalMicrograph: all texts run in one namespace that persists."""

    def __init__(
        self,
        main_thread: MainThread,
        switches: Switches,
        results: Output,
        streams: Streams,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._main_thread = main_thread
        self._streams = streams
        self._switches = switches
        self._results = results
        self._environment = ScriptEnvironment(main_thread, switches, clock)
        self._numbers = itertools.count(1)
        self._scripts: list[Script] = []
        self._threads: list[threading.Thread] = []
        self._namespace: dict[str, Any] = {}
        self._of_strings: dict[str, Any] = {}  # where DM-script's Python runs, if it has names of its own

    def open(self, module: ModuleType) -> None:
        """Make `module` available to scripts as DM, and start separating their output from the host's."""
        names = {**self._environment.builtins(), "print": self._streams.print}
        self._environment.open()
        for namespace in (self._namespace, self._of_strings):
            namespace.update(__name__="__main__", __builtins__=names, DM=module)
        self._streams.install()

    def run_string(self, text: str, background: bool) -> Script:
        """Start Python text from DM-script."""
        own = self._switches.python_strings == "own"
        return self._start(text, "string", self._of_strings if own else self._namespace, background)

    def run(self, text: str, name: str = "script", *, background: bool) -> Script:
        """Start `text`; raises SyntaxError if GMS's version of Python would."""
        return self._start(text, name, self._namespace, background)

    def _start(self, text: str, name: str, namespace: dict[str, Any], background: bool) -> Script:
        filename = f"<{name} {next(self._numbers)}>"
        if sys.version_info[:2] > self._switches.python:
            try:
                _check_syntax(text, self._switches.python)
            except SyntaxError as error:
                error.filename = filename
                raise
        code = compile(text, filename, "exec", dont_inherit=True)
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        script = Script(name, code, self._results, self._environment.end, background=background)
        self._streams.add(filename, script.text)
        self._streams.install()
        self._scripts.append(script)
        if background:
            thread = threading.Thread(
                target=script.run, args=(namespace,), name=f"dm-script-{name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        else:
            self._main_thread.post(lambda: script.run(namespace))
        return script

    def value(self, name: str) -> Any:
        """Return the global variable `name` of the scripts; None if there is none."""
        return self._namespace.get(name)

    def close(self, timeout: float = 30.0) -> None:
        """Stop all scripts and drop their namespace, and with it their listeners."""
        self._environment.close()
        for script in self._scripts:
            script.kill()
        for thread in self._threads:
            thread.join(timeout)
            if thread.is_alive():
                warnings.warn(
                    f"The thread {thread.name} is still running: its script waits without a time-out.",
                    RuntimeWarning,
                    stacklevel=3,
                )
        with contextlib.suppress(RuntimeError, TimeoutError):
            self._main_thread.call(self._drop_objects, timeout=5)

    def _drop_objects(self) -> None:
        """Drop the scripts' objects first, because their `__del__` still needs the modules and functions."""
        for namespace in (self._namespace, self._of_strings):
            for name, value in list(namespace.items()):
                if not name.startswith("__") and not isinstance(value, (ModuleType, FunctionType, type)):
                    del namespace[name]

    def silence(self) -> None:
        """Restore the host's streams."""
        for script in self._scripts:
            linecache.cache.pop(script.filename, None)
        self._streams.remove()
