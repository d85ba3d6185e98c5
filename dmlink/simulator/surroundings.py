"""Surroundings: what a script finds in DM's Python that is other than elsewhere.

"Frozen" threads: a DM that keeps the interpreter lock once a script has ended would freeze every thread of
ours as well. So only threads of scripts stand still, each before its next line (a trace function
waits there), with whatever locks it holds; a call into C that has begun, such as `time.sleep`, comes to its
end.
"""

from __future__ import annotations

import builtins
import contextlib
import sys
import threading
from pathlib import PurePath
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

from dmlink.simulator.output import Output, speaking

if TYPE_CHECKING:
    from dmlink.simulator.desktop import Desktop
    from dmlink.simulator.switches import Switches

HEAVY = {"scipy", "matplotlib", "numba"}
"""Packages whose first import on the background thread failed or hung up to about GMS 3.5."""

_FOLDER = r"C:\Windows\system32"  # DM's working directory


class Surroundings:
    """The built-in functions of scripts, and `sys.argv`; all as `switches` say."""

    def __init__(self, desktop: Desktop, switches: Switches) -> None:
        self._desktop = desktop
        self._switches = switches
        self._imported: set[str] = set()  # heavy packages that the main thread has imported
        self._over: set[Output | None] = set()  # what scripts that have ended printed to
        self._argv: list[str] | None = None
        self._closed = threading.Event()
        self._threading = self._frozen_threading() if switches.threads == "frozen" else threading

    def open(self) -> None:
        """Begin."""
        if self._switches.argv == "host":
            return
        self._argv = sys.argv
        if self._switches.argv == "empty":
            sys.argv = []
        else:
            del sys.argv

    def close(self) -> None:
        """Give everything back."""
        self._closed.set()
        if self._argv is not None:
            sys.argv, self._argv = self._argv, None

    def end(self, output: Output) -> None:
        """Let the threads of the script that prints to `output` come no further."""
        self._over.add(output)

    def _stand_still(self, owner: Output | None) -> None:
        """Keep a thread of a script that has ended here until DM ends."""
        if owner in self._over:
            self._closed.wait()
            raise SystemExit

    def builtins(self) -> dict[str, Any]:
        """Return what scripts have as built-in functions."""
        names = dict(vars(builtins))
        names.update(exit=sys.exit, quit=sys.exit)  # the host's own would close its stdin
        names.update(__import__=self._import, open=self._open)
        return names

    def _import(self, name: str, *arguments: Any, **options: Any) -> Any:
        top = name.partition(".")[0]
        if top in HEAVY and not self._switches.scipy_in_background:
            if self._desktop.on_main_thread:
                self._imported.add(top)
            elif top not in self._imported:
                raise ImportError(
                    f"{top} cannot be imported first on the background thread in this version of GMS."
                )
        if name == "threading":
            return self._threading
        return builtins.__import__(name, *arguments, **options)

    def _open(self, file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        relative = not isinstance(file, int) and not PurePath(str(file)).is_absolute()
        if relative and not self._switches.writable_cwd:
            kind = PermissionError if set(mode) & set("wax+") else FileNotFoundError
            raise kind(f"The working directory of scripts in DM is {_FOLDER}: {file!r}, {mode!r}.")
        return open(file, mode, *arguments, **options)  # noqa: PTH123 - this is `open`

    def _frozen_threading(self) -> ModuleType:
        """Return the module `threading` with threads that come no further once their script has ended."""
        surroundings = self

        class Thread(threading.Thread):
            """A thread that DM lets run only while a script does."""

            _owner: Output | None = None

            def start(self) -> None:
                self._owner = speaking.get()
                super().start()

            def run(self) -> None:
                with contextlib.suppress(SystemExit):
                    sys.settrace(self._trace)
                    super().run()

            def _trace(self, frame: FrameType, *_: Any) -> Any:
                if not frame.f_code.co_filename.startswith("<"):
                    return None  # it may be inside of a library; its own next line is not far
                surroundings._stand_still(self._owner)
                return self._trace

        module = ModuleType("threading", threading.__doc__)
        module.__dict__.update(vars(threading), Thread=Thread)
        return module
