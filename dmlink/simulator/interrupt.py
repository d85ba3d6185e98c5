"""Interrupt: raises KeyboardInterrupt in another thread, as Ctrl+Shift+Q does in a script."""

from __future__ import annotations

import contextlib
import ctypes
import threading


def interrupt(thread: threading.Thread, kind: type[BaseException] = KeyboardInterrupt) -> None:
    """Raise KeyboardInterrupt (or another `kind`) in `thread` at its next Python instruction.

    A thread that is waiting in C code (`time.sleep`, `socket.accept`, `lock.acquire`) gets it only when that
    returns.
    """
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(kind))


def discard_interrupt() -> None:
    """Discard an interrupt that was sent to the calling thread and has not been raised yet.

    It is replaced with a new one, which is caught. Cancelling it (with a null exception) would leave CPython
    looking for it: permanently slower, and in 3.11 a traced thread then hangs.
    """
    with contextlib.suppress(KeyboardInterrupt):
        interrupt(threading.current_thread())
        while True:
            pass
