"""Interrupt: raise KeyboardInterrupt in another thread, as Ctrl+Shift+Q does to a script."""

from __future__ import annotations

import contextlib
import ctypes
import threading


def interrupt(thread: threading.Thread, kind: type[BaseException] = KeyboardInterrupt) -> None:
    """Raise KeyboardInterrupt (or another `kind`) in `thread` at its next Python instruction.

    A thread that waits inside C code (`time.sleep`, `socket.accept`, `lock.acquire`) sees it only when that
    returns.
    """
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(kind))


def spare() -> None:
    """Take away an interrupt that the calling thread has not seen yet, if there is one.

    A new one takes its place and is caught. To call it off would leave CPython looking for it: slower ever
    after, and with 3.11 a thread that is traced then hangs.
    """
    with contextlib.suppress(KeyboardInterrupt):
        interrupt(threading.current_thread())
        while True:
            pass
