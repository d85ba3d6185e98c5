"""The process that runs one Program: what it is asked, what it answers, and its main loop.

It speaks with the kernel over its standard input and output. Pixels do not pass there: a frame, and a result
that is large, are in shared memory.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import signal
import time
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.indm.results import as_result
from dmlink.program import Program
from dmlink.ring import Attachments

if TYPE_CHECKING:
    from types import ModuleType

    from dmlink.indm.info import Info

SMALL = 64 * 1024  # results up to this size go through the pipe
MAX_LOG = 10_000  # characters that a cell can print per frame
WARM_BYTES = 24 << 20  # allocated and freed once, so that temporaries do not fault in page by page (MEASURED)


@dataclass(frozen=True, slots=True)
class Task:
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one frame.

    `seconds` is the time that the cell took; `log` what it printed; `error` why there is no result, in the
    cell's own lines; empty otherwise.
    """

    result: Any = None
    error: str = ""
    log: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An outcome on its way: pickled, with the arrays apart if they are large."""

    outcome: bytes
    sizes: list[int] = field(default_factory=list)  # of the arrays in shared memory, one behind the other
    wanted: int = 0  # bytes of shared memory that would have been useful


def main() -> None:
    """Run a program in this process, until the kernel closes the pipe or dies."""
    # The pipe is ours alone: what the cell's libraries write to the standard output must not get into it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # interrupting the kernel is not meant for us
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    np.ones(WARM_BYTES, np.uint8)
    runner: Runner | None = None
    while True:
        try:
            request = pickle.load(requests)  # noqa: S301 - from the kernel that started us
        except (EOFError, OSError):
            return
        answer: Any
        if isinstance(request, Program):
            runner, answer = _load(request)
        elif runner:
            answer = runner.run(request)
        pickle.dump(answer, replies, protocol=5)
        replies.flush()


def _load(program: Program) -> tuple[Runner | None, str]:
    try:
        return Runner(program), ""
    except Exception as error:  # noqa: BLE001 - whatever the cell's imports raise is for its panel
        return None, program.explain(error)


class Runner:
    """A program with its state, in the worker."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._module = program.load()
        self._state: dict[str, Any] = {}
        self._shape: tuple[int, ...] = ()
        self._attached = Attachments()

    def run(self, task: Task) -> Reply:
        """Process one frame."""
        if task.reset or task.shape != self._shape:
            self._state.clear()
            self._shape = task.shape
        vars(self._module).update(task.values)
        dtype = np.dtype(task.dtype)
        size = int(np.prod(task.shape)) * dtype.itemsize
        pixels = (
            self._attached.array(task.block, size) if task.block else np.frombuffer(task.pixels, np.uint8)
        )
        frame = pixels.view(dtype).reshape(task.shape)
        frame.flags.writeable = False
        outcome = run(self._program, self._module, frame, task.info, self._state)
        return self._pack(outcome, task)

    def _pack(self, outcome: Outcome, task: Task) -> Reply:
        buffers: list[pickle.PickleBuffer] = []
        data = pickle.dumps(outcome, protocol=5, buffer_callback=buffers.append)
        arrays = [np.frombuffer(buffer.raw(), np.uint8) for buffer in buffers]
        total = sum(array.size for array in arrays)
        if not arrays:
            return Reply(data)
        if total <= SMALL or total > task.reply_size:
            return Reply(pickle.dumps(outcome, protocol=5), [], 0 if total <= SMALL else total)
        np.concatenate(arrays, out=self._attached.array(task.reply_block, total))
        return Reply(data, [array.size for array in arrays])


def run(program: Program, module: ModuleType, frame: Any, info: Info, state: dict[str, Any]) -> Outcome:
    """Run a program on one frame, and catch what it prints and raises."""
    log = _Log()
    began = time.perf_counter()
    try:
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log), warnings.catch_warnings():
            result, error = as_result(module.process(frame, info, state), program.name), ""
    except BaseException as fault:  # noqa: BLE001 - SystemExit and the like are the cell's mistakes too
        result, error = None, program.explain(fault)
    return Outcome(result, error, log.getvalue(), time.perf_counter() - began)


class _Log(io.StringIO):
    """What a cell prints for one frame, up to a bound."""

    def write(self, text: str) -> int:
        if self.tell() < MAX_LOG:
            super().write(text[: MAX_LOG - self.tell()])
        return len(text)
