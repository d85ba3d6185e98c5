"""Worker process: runs one Program on frame after frame until the kernel closes its pipe or dies."""

from __future__ import annotations

import contextlib
import io
import math
import os
import pickle
import signal
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.engine import memory_limit, parent_watch, preload
from dmlink.engine.messages import Load, Outcome, Prepare, Reply, Task, answer, pack, put, receive, size_of
from dmlink.program.instance import Instance
from dmlink.ring import Attachments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_LOG = 10_000  # characters that a cell can print per frame
RESERVE = 64 << 20  # bytes for our own needs: replies, threads
MAX_STATE = 64 << 20  # bytes of a failed cell's state to send
STATE_SECONDS = 1.0  # between two of them, at least
WARM_BYTES = 24 << 20  # allocated and freed once, so that temporaries do not fault in page by page (measured)


def main(kernel: int) -> None:
    """Answer the requests of the kernel, whose process ID is `kernel`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # interrupts are for the kernel only
    # The cell's libraries may write to standard output, and that must not go into our pipe.
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    np.ones(WARM_BYTES, np.uint8)
    parent_watch.start(requests.fileno(), kernel)
    loaded: Loaded | None = None
    while True:
        try:
            request: Load | Prepare | Task = receive(requests)
        except (EOFError, OSError):
            parent_watch.end_process()
        if isinstance(request, Prepare):
            preload.import_all(request.modules)
        elif isinstance(request, Load):
            loaded, error = _load(request)
            answer(replies, error)
        elif loaded:
            answer(replies, *loaded.run(request))


def _load(request: Load) -> tuple[Loaded | None, str]:
    preload.find_as_kernel(request.path, request.standard)
    with contextlib.suppress(OSError):  # the folder was removed
        os.chdir(request.folder)
    try:
        return Loaded(request), ""
    except BaseException as error:  # noqa: BLE001 - whatever the cell's imports raise is shown in its panel
        return None, request.program.explain(error)


class Loaded:
    """A program with its state, in the worker."""

    def __init__(self, request: Load) -> None:
        self._program = request.program
        self._instance = Instance(request.program)
        self._attached = Attachments()
        self._state_sent = float("-inf")  # monotonic
        self._warned: set[tuple[str, int, str]] = set()
        warnings.showwarning = self._warn
        self._memory = request.memory
        self._imported = memory_limit.mapped() if self._memory else 0  # bytes mapped after the imports
        self._blocks = -1  # bytes of attached blocks when the limit was last set

    def run(self, task: Task) -> tuple[Reply, Sequence[np.ndarray]]:
        """Process one frame; return the reply, and the arrays to send after it."""
        outcome = self._process(task)
        try:
            plain, arrays = pack(outcome)
            sizes = tuple(map(size_of, arrays))
            if arrays and sum(sizes) <= task.reply_size:
                with self._unlimited(task.reply_block):
                    memory = self._attached.array(task.reply_block, sum(sizes))
                put(arrays, memory)
                arrays = []
        except Exception as fault:  # noqa: BLE001 - a result that cannot be sent is the cell's mistake
            error = self._instance.explain(fault)
            (plain, arrays), sizes = pack(outcome._replace(result=None, error=error)), ()
        # A frame that the cell keeps in its state, or a view of one, must not be overwritten.
        return Reply(plain, sizes, tuple(self._attached.shown())), arrays

    def _process(self, task: Task) -> Outcome:
        """Run the program on a frame, and capture its output and errors."""
        sys.stdout = sys.stderr = log = _Log()
        result, error = None, ""
        began = time.perf_counter()
        try:
            frame = self._frame(task)
        except Exception as fault:  # noqa: BLE001 - such as too little memory to map it
            return Outcome(error=f"The frame, {task.shape} {np.dtype(task.dtype)}, cannot be read: {fault}")
        try:
            self._instance.set(task.values)
            if task.reset:
                self._instance.reset()
            result = self._instance.process(frame, task.info)
        except BaseException as fault:  # noqa: BLE001 - SystemExit and the like are the cell's mistakes too
            if self._memory and isinstance(fault, MemoryError):
                fault.add_note(f"The cell may use {self._memory / 1e6:g} MB (memory=).")
            error = self._instance.explain(fault)
        seconds = time.perf_counter() - began
        return Outcome(result, error, log.getvalue(), seconds, self._state() if error else None)

    def _state(self) -> tuple[bytes, ...] | None:
        """Return the picklable items of the cell's state, for debugging; None if just sent."""
        if time.monotonic() - self._state_sent < STATE_SECONDS:
            return None
        self._state_sent = time.monotonic()
        kept: list[bytes] = []
        for item in list(self._instance.state.items()):
            with contextlib.suppress(Exception):
                data = pickle.dumps(item, protocol=5)
                if len(data) + sum(map(len, kept)) < MAX_STATE:
                    kept.append(data)
        return tuple(kept)

    def _warn(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,  # noqa: ARG002 - Python's signature
        line: str | None = None,  # noqa: ARG002
    ) -> None:
        """Print a warning once, even if a library resets Python's own record of warnings."""
        key = filename, lineno, str(message)
        if key not in self._warned:
            self._warned.add(key)
            print(self._program.warned(message, category, filename, lineno))  # noqa: T201 - into the log

    def _frame(self, task: Task) -> np.ndarray:
        dtype = np.dtype(task.dtype)
        if not task.block:
            return np.frombuffer(task.pixels, dtype).reshape(task.shape)
        with self._unlimited(task.block):
            pixels = self._attached.array(task.block, math.prod(task.shape) * dtype.itemsize)
        return pixels.view(dtype).reshape(task.shape)

    @contextlib.contextmanager
    def _unlimited(self, block: str) -> Iterator[None]:
        """Attach a block outside the cell's memory limit, which leaves out frames and results in blocks."""
        if not self._memory:
            yield
            return
        lifted = not self._attached.has(block)
        if lifted:
            memory_limit.set_limit(None)
        try:
            yield
        finally:
            if lifted or self._attached.size != self._blocks:
                self._blocks = self._attached.size
                memory_limit.set_limit(self._imported + self._blocks + RESERVE + self._memory)


class _Log(io.StringIO):
    """A cell's output for one frame, cut off at MAX_LOG."""

    def write(self, text: str) -> int:
        if self.tell() < MAX_LOG:
            super().write(text[: MAX_LOG - self.tell()])
        return len(text)
