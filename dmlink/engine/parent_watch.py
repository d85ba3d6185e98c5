"""Parent watch: ends a worker and every process its cell started as soon as the kernel is gone."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import NoReturn

if sys.platform == "win32":
    import _winapi
else:
    import select


def start(requests: int, kernel: int) -> None:
    """Watch the kernel from a thread.

    The main thread reads the pipe itself, because handing requests from one thread to another would take
    longer than many cells.

    Parameters
    ----------
    requests : int
        Descriptor of the pipe from the kernel.
    kernel : int
        The kernel's process ID.
    """
    threading.Thread(target=_watch, args=(requests, kernel), name="dmlink-parent", daemon=True).start()


def end_process() -> NoReturn:
    """End this process and all that it started, at once."""
    if sys.platform != "win32":
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _watch(requests: int, kernel: int) -> None:
    if sys.platform == "win32":  # the parent may be the venv's launcher, which stays alive with us
        with contextlib.suppress(OSError):  # the kernel has ended already
            process = _winapi.OpenProcess(_winapi.SYNCHRONIZE, False, kernel)
            _winapi.WaitForSingleObject(process, _winapi.INFINITE)
    else:
        pipe = select.poll()
        pipe.register(requests, 0)  # report only that the other end was closed
        pipe.poll()
    end_process()
