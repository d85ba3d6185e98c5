"""Script environment: how DM's Python differs from an ordinary one for scripts.

"Frozen" threads: a DM that keeps the interpreter lock after a script has ended would also freeze the threads
of this process. So only the scripts' threads are stopped, each before its next line (by a trace function that
waits), with whatever locks it holds; a call into C that has started, such as `time.sleep`, still returns.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import importlib.util
import math
import os
import socket
import sys
import threading
import time
from pathlib import Path, PurePath
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

from dmlink.simulator.output import Output, current_output

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.simulator.main_thread import MainThread
    from dmlink.simulator.switches import Switches

HEAVY = {"scipy", "matplotlib", "numba"}
"""Packages whose first import on the background thread failed or hung up to about GMS 3.5."""

_FOLDER = r"C:\Windows\system32"  # DM's working directory


class ScriptEnvironment:
    """The built-in functions, clock and `sys.argv` of scripts, as chosen by `switches`."""

    def __init__(
        self, main_thread: MainThread, switches: Switches, clock: Callable[[], float] | None = None
    ) -> None:
        self._main_thread = main_thread
        self._switches = switches
        self._imported: set[str] = set()  # heavy packages that the main thread has imported
        self._over: set[Output | None] = set()  # the outputs of scripts that have ended
        self._argv: list[str] | None = None
        self._chdir = os.chdir
        self._folder: Path | None = None  # of this process, once a script has left it for one of its own
        self._closed = threading.Event()
        self._modules: dict[str, ModuleType] = {}  # that scripts import instead of the real ones
        if switches.threads == "frozen":
            self._modules["threading"] = self._frozen_threading()
        if not switches.loopback:
            self._modules["socket"] = _changed(socket, socket=_NoIPv4, socketpair=_no_socketpair)
        if switches.timer:
            self._modules["time"] = _coarse_time(switches.timer)
        if clock:
            self._modules["time"] = _changed(time, time=clock, monotonic=clock, perf_counter=clock)
        if switches.absent:
            self._modules["importlib.util"] = _changed(importlib.util, find_spec=self._find_spec)

    def open(self) -> None:
        """Replace `sys.argv`, and `os.chdir` with one that remembers the original folder."""
        self._chdir, os.chdir = os.chdir, self._change_folder
        if self._switches.argv == "host":
            return
        self._argv = sys.argv
        if self._switches.argv == "empty":
            sys.argv = []
        else:
            del sys.argv

    def close(self) -> None:
        """Restore `sys.argv` and the working directory, and end the frozen threads."""
        self._closed.set()
        if os.chdir == self._change_folder:
            os.chdir = self._chdir
        if self._folder is not None:
            os.chdir(self._folder)
            self._folder = None
        if self._argv is not None:
            sys.argv, self._argv = self._argv, None

    def end(self, output: Output) -> None:
        """Freeze the threads of the script that prints to `output`."""
        self._over.add(output)

    def wait_if_frozen(self, owner: Output | None) -> None:
        """Block the calling thread until DM ends, if the script that prints to `owner` has ended."""
        if owner in self._over:
            self._closed.wait()
            raise SystemExit

    def builtins(self) -> dict[str, Any]:
        """Return the scripts' built-in functions."""
        names = dict(vars(builtins))
        names.update(exit=sys.exit, quit=sys.exit)  # the host's own would close its stdin
        names.update(__import__=self._import, open=self._open)
        self._modules["builtins"] = _changed(builtins, **names)
        return names

    def _import(self, name: str, *arguments: Any, **options: Any) -> Any:
        top = name.partition(".")[0]
        if top in HEAVY and not self._switches.scipy_in_background:
            if self._main_thread.is_current:
                self._imported.add(top)
            elif top not in self._imported:
                raise ImportError(
                    f"{top} cannot be imported first on the background thread in this version of GMS."
                )
        if top in self._switches.absent:
            raise ModuleNotFoundError(f"No module named {top!r}", name=top)
        if name in self._modules:
            return self._modules[name]
        return builtins.__import__(name, *arguments, **options)

    def _find_spec(self, name: str, package: str | None = None) -> Any:
        absent = name.partition(".")[0] in self._switches.absent
        return None if absent else importlib.util.find_spec(name, package)

    def _open(self, file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        relative = not isinstance(file, int) and not PurePath(str(file)).is_absolute()
        if relative and not self._switches.writable_cwd and self._folder is None:
            kind = PermissionError if set(mode) & set("wax+") else FileNotFoundError
            raise kind(f"The working directory of scripts in DM is {_FOLDER}: {file!r}, {mode!r}.")
        return open(file, mode, *arguments, **options)  # noqa: PTH123 - this is `open`

    def _change_folder(self, path: Any) -> None:
        if current_output.get() is not None and self._folder is None:  # a script does it
            self._folder = Path.cwd()
        self._chdir(path)

    def _frozen_threading(self) -> ModuleType:
        """Return the module `threading` with threads that freeze once their script has ended."""
        environment = self

        class Thread(threading.Thread):
            """A thread that DM lets run only while a script does."""

            _owner: Output | None = None

            def start(self) -> None:
                self._owner = current_output.get()
                super().start()

            def run(self) -> None:
                with contextlib.suppress(SystemExit):
                    sys.settrace(self._trace)
                    super().run()

            def _trace(self, frame: FrameType, *_: Any) -> Any:
                if not frame.f_code.co_filename.startswith("<"):
                    return None  # it may be inside a library; the next line of its own is not far
                environment.wait_if_frozen(self._owner)
                return self._trace

        return _changed(threading, Thread=Thread)


class _NoIPv4(socket.socket):
    """A socket on a computer without IPv4."""

    def bind(self, address: Any) -> None:
        if self.family == socket.AF_INET:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        super().bind(address)


def _no_socketpair(*_: Any) -> Any:
    """Fail as on Windows, where socketpair connects over 127.0.0.1."""
    raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")


def _coarse_time(step: float) -> ModuleType:
    """Return the module `time` as on Windows before Python 3.13: but for perf_counter it goes in steps."""

    def steps(clock: Callable[[], float]) -> Callable[[], float]:
        return lambda: math.floor(clock() / step) * step

    def sleep(seconds: float) -> None:
        time.sleep(math.ceil(seconds / step) * step)

    return _changed(time, time=steps(time.time), monotonic=steps(time.monotonic), sleep=sleep)


def _changed(module: ModuleType, **names: Any) -> ModuleType:
    """Return a copy of a module with these names replaced."""
    copy = ModuleType(module.__name__, module.__doc__)
    vars(copy).update(vars(module), **names)
    return copy
