"""Leash: a worker's process ends, with all that its cell has started, as soon as its kernel is gone."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading

if sys.platform == "win32":
    import _winapi
else:
    import select


def hold(requests: int, kernel: int) -> None:
    """Watch from a thread of its own; `requests` is the descriptor of the pipe from the kernel, a process.

    So the main thread can read the pipe itself: to pass each frame's request from one thread to another
    would take longer than many a cell.
    """
    threading.Thread(target=_watch, args=(requests, kernel), name="dmlink-leash", daemon=True).start()


def end() -> None:
    """End this process and what it has started, at once."""
    if sys.platform != "win32":
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _watch(requests: int, kernel: int) -> None:
    if sys.platform == "win32":  # the parent may be a venv's launcher, which lives as long as we do
        with contextlib.suppress(OSError):  # it is gone already
            process = _winapi.OpenProcess(_winapi.SYNCHRONIZE, False, kernel)
            _winapi.WaitForSingleObject(process, _winapi.INFINITE)
    else:
        pipe = select.poll()
        pipe.register(requests, 0)  # nothing is asked of it but whether its other end is closed
        pipe.poll()
    end()
