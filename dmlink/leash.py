"""Leash: a worker's process ends, with all that its cell has started, as soon as its kernel is gone."""

from __future__ import annotations

import os
import signal
import sys
import threading

if sys.platform == "win32":
    import _winapi
else:
    import select


def hold(requests: int) -> None:
    """Watch from a thread of its own; `requests` is the descriptor of the pipe from the kernel.

    So the main thread can read the pipe itself: to pass each frame's request from one thread to another
    would take longer than many a cell.
    """
    threading.Thread(target=_watch, args=(requests,), name="dmlink-leash", daemon=True).start()


def end() -> None:
    """End this process and what it has started, at once."""
    if sys.platform != "win32":
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _watch(requests: int) -> None:
    if sys.platform == "win32":
        kernel = _winapi.OpenProcess(_winapi.SYNCHRONIZE, False, os.getppid())
        _winapi.WaitForSingleObject(kernel, _winapi.INFINITE)
    else:
        pipe = select.poll()
        pipe.register(requests, 0)  # nothing is asked of it but whether its other end is closed
        pipe.poll()
    end()
