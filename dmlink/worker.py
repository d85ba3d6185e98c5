"""The process that runs one Program: what it is asked, what it answers, and its main loop.

It speaks with the kernel over its standard input and output. Pixels do not pass there: a frame, and a result
that is large, are in shared memory; the first result of a size comes through the pipe, behind its reply.
"""

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
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dmlink import ahead, leash, limit
from dmlink.attachments import Attachments
from dmlink.frame import Axis, Info, Roi
from dmlink.program import Instance, Program

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

SMALL = 64 * 1024  # results up to this size go through the pipe
MAX_LOG = 10_000  # characters that a cell can print per frame
MAX_RESULT = 256 << 20  # bytes of a result
RESERVE = 64 << 20  # bytes for what is ours: replies on their way, threads
MAX_STATE = 64 << 20  # bytes of a failed cell's state that are worth sending
STATE_SECONDS = 1.0  # how often at most they are sent
WARM_BYTES = 24 << 20  # allocated and freed once, so that temporaries do not fault in page by page (MEASURED)


class Load(NamedTuple):
    """A program to run, and the bytes that it may use beyond its imports (None: as many as there are).

    Modules and files are found from where the kernel finds them: its `sys.path` and its working folder.
    """

    program: Program
    memory: int | None
    path: tuple[str, ...]
    folder: str


class Prepare(NamedTuple):
    """Modules to import while there is nothing else to do; there is no answer."""

    modules: tuple[str, ...]


class Task(NamedTuple):
    """One frame to process. `block` names its shared memory; empty: the pixels are in `pixels`."""

    block: str
    shape: tuple[int, ...]
    dtype: str
    info: Info
    values: dict[str, Any]  # of the parameters that have changed
    reset: bool
    reply_block: str
    reply_size: int
    pixels: bytes = b""

    def __reduce__(self) -> tuple[Any, ...]:
        """Go through the pipe as plain tuples: pickle takes a third of the time for them."""
        info = self.info
        x, y, roi = tuple(info.x), tuple(info.y), info.roi and tuple(info.roi)
        told = info.index, info.time, x, y, roi, info.source, info.tags, info.line
        return _task, (told, *self[:3], *self[4:])


def _task(told: tuple[Any, ...], block: str, shape: tuple[int, ...], dtype: str, *rest: Any) -> Task:
    index, time, x, y, roi, *more = told
    info = Info(index, time, Axis(*x), Axis(*y), roi and Roi(*roi), *more)
    return Task(block, shape, dtype, info, *rest)


class Outcome(NamedTuple):
    """What became of one frame.

    `seconds` is the time that the cell took; `log` what it printed; `error` why there is no result, in the
    cell's own lines; empty otherwise. `state` is what the cell kept when it failed, each item pickled; None
    if that was not asked again so soon.
    """

    result: Any = None
    error: str = ""
    log: str = ""
    seconds: float = 0.0
    state: dict[Any, bytes] | None = None


class Reply(NamedTuple):
    """An outcome on its way: pickled, its arrays apart if they are large. Both travel as plain tuples."""

    outcome: bytes
    sizes: tuple[int, ...]  # of the arrays apart, one behind the other
    held: Collection[str]  # blocks of frames that the cell still looks at, in its state


def main(kernel: int) -> None:
    """Run a program in this process, until the kernel, a process number, closes the pipe or dies."""
    # The pipe is ours alone: what the cell's libraries write to the standard output must not get into it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # interrupting the kernel is not meant for us
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    np.ones(WARM_BYTES, np.uint8)
    leash.hold(requests.fileno(), kernel)
    loaded: Loaded | None = None
    while True:
        try:
            request: Load | Prepare | Task = pickle.load(requests)  # noqa: S301 - from our kernel
        except (EOFError, OSError):
            leash.end()
        answer: Any
        behind: Collection[np.ndarray] = ()
        if isinstance(request, Prepare):
            ahead.import_all(request.modules)
            continue
        if isinstance(request, Load):
            loaded, answer = _load(request)
        elif loaded:
            answer, behind = loaded.run(request)
        pickle.dump(answer, replies, protocol=5)
        replies.writelines(array.data for array in behind)
        replies.flush()


def _load(request: Load) -> tuple[Loaded | None, str]:
    sys.path[:] = request.path
    with contextlib.suppress(OSError):  # it has been removed
        os.chdir(request.folder)
    try:
        return Loaded(request), ""
    except BaseException as error:  # noqa: BLE001 - whatever the cell's imports raise is for its panel
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
        self._imported = limit.mapped() if self._memory else 0  # bytes that the process has mapped by now
        self._frames = -1  # bytes of frames at the last look

    def run(self, task: Task) -> tuple[tuple[Any, ...], Collection[np.ndarray]]:
        """Process one frame; return the items of a Reply, and the arrays that have to follow it."""
        if task.reset:
            self._instance.reset()
        self._instance.set(task.values)
        outcome = self._process(task)
        try:
            data, arrays = self._pack(outcome)
            sizes = tuple(array.size for array in arrays)
            if arrays and sum(sizes) <= task.reply_size:
                np.concatenate(arrays, out=self._attached.array(task.reply_block, sum(sizes)))
                arrays = []
        except Exception as fault:  # noqa: BLE001 - a result that cannot be sent is the cell's mistake
            error = self._instance.explain(fault)
            data, sizes, arrays = _pickled(outcome._replace(result=None, error=error)), (), []
        # a frame, or a part of it, that stays in the cell's state must not be written over
        return (data, sizes, self._attached.shown()), arrays

    def _process(self, task: Task) -> Outcome:
        """Run the program on a frame, and catch what it prints and raises."""
        sys.stdout = sys.stderr = log = _Log()
        result, error = None, ""
        began = time.perf_counter()
        try:
            result = self._instance.process(self._frame(task), task.info)
        except BaseException as fault:  # noqa: BLE001 - SystemExit and the like are the cell's mistakes too
            if self._memory and isinstance(fault, MemoryError):
                fault.add_note(f"The cell may use {self._memory / 1e6:g} MB (memory=).")
            error = self._instance.explain(fault)
        seconds = time.perf_counter() - began
        return Outcome(result, error, log.getvalue(), seconds, self._state() if error else None)

    def _state(self) -> dict[Any, bytes] | None:
        """Return what the cell keeps, as far as it can be sent, to be looked at in the notebook."""
        if time.monotonic() - self._state_sent < STATE_SECONDS:
            return None
        self._state_sent = time.monotonic()
        kept: dict[Any, bytes] = {}
        for key, value in list(self._instance.state.items()):
            with contextlib.suppress(Exception):
                data = pickle.dumps(value, protocol=5)
                if len(data) + sum(map(len, kept.values())) < MAX_STATE:
                    kept[key] = data
        return kept

    def _warn(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,  # noqa: ARG002 - as Python calls it
        line: str | None = None,  # noqa: ARG002
    ) -> None:
        """Print a warning, once: some libraries make Python forget that it has warned already."""
        key = filename, lineno, str(message)
        if key not in self._warned:
            self._warned.add(key)
            print(self._program.warned(message, category, filename, lineno))  # noqa: T201 - into the log

    def _frame(self, task: Task) -> np.ndarray:
        dtype = np.dtype(task.dtype)
        if not task.block:
            return np.frombuffer(task.pixels, dtype).reshape(task.shape)
        pixels = self._attached.array(task.block, math.prod(task.shape) * dtype.itemsize)
        self._limit_memory()
        return pixels.view(dtype).reshape(task.shape)

    def _limit_memory(self) -> None:
        """Keep the cell to its memory; frames, which come and go in blocks, are not its own."""
        if self._memory and self._attached.size != self._frames:
            self._frames = self._attached.size
            limit.set_limit(self._imported + self._frames + RESERVE + self._memory)

    def _pack(self, outcome: Outcome) -> tuple[bytes, list[np.ndarray]]:
        """Return the outcome pickled, and the bytes of its arrays apart if they are large."""
        buffers: list[pickle.PickleBuffer] = []
        data = _pickled(outcome, buffers.append)
        arrays = [np.frombuffer(buffer.raw(), np.uint8) for buffer in buffers]
        total = sum(array.size for array in arrays)
        if total + len(data) > MAX_RESULT:
            size, most = (total + len(data)) / 1e6, MAX_RESULT / 1e6
            raise ValueError(f"The result takes {size:.0f} MB; {most:.0f} MB are possible.")
        if not arrays or total > SMALL:
            return data, arrays
        return _pickled(outcome), []


def _pickled(outcome: Outcome, apart: Callable[[pickle.PickleBuffer], Any] | None = None) -> bytes:
    return pickle.dumps(tuple(outcome), protocol=5, buffer_callback=apart)


class _Log(io.StringIO):
    """What a cell prints for one frame, up to a bound."""

    def write(self, text: str) -> int:
        if self.tell() < MAX_LOG:
            super().write(text[: MAX_LOG - self.tell()])
        return len(text)
