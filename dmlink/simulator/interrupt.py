"""Interrupt: raise KeyboardInterrupt in another thread, as Ctrl+Shift+Q does to a script."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading


def interrupt(thread: threading.Thread, kind: type[BaseException] = KeyboardInterrupt) -> None:
    """Raise KeyboardInterrupt (or another `kind`) in `thread` at its next Python instruction.

    A thread that waits inside C code (`time.sleep`, `socket.accept`, `lock.acquire`) sees it only when that
    returns.
    """
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(kind))


def spare(thread: threading.Thread) -> None:
    """Take back an interrupt that `thread` has not seen yet."""
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), None)
