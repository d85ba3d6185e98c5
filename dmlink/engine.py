"""Engine: the worker processes of a kernel. Keeps one warm, and ends those that take too long."""

from __future__ import annotations

import atexit
import contextlib
import io
import itertools
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink import ahead
from dmlink.ring import Ring
from dmlink.worker import Load, Outcome, Prepare, Reply, Task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dmlink.frame import Frame
    from dmlink.program import Program

TICK_SECONDS = 0.1  # how exactly time-outs are kept
LOAD_SECONDS = 60.0  # that a cell's imports may take, whatever the time-out of a frame


class WorkerDied(RuntimeError):  # noqa: N818 - it says what happened
    """The worker process has ended: the cell crashed it, or it was killed for taking too long."""


class Worker:
    """The kernel's handle on one process: at first warm and idle, then running one Program."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", f"from dmlink.worker import main; main({os.getpid()})"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
            # an interrupt is for the kernel, not for all that it has started
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self.timeout = 10.0  # s for a frame
        self.memory: int | None = None  # bytes for the cell
        self._ring = Ring()
        self._reply_size = 0
        self._leases: dict[str, Frame] = {}  # frames that the process looks at, by block
        self._why = ""
        self._deadline: tuple[float, str] | None = None  # (monotonic, what to say then); None when idle

    def load(self, program: Program) -> str:
        """Give it the program to run; return why it cannot, or an empty text."""
        seconds = max(self.timeout, LOAD_SECONDS)
        request = Load(program, self.memory, tuple(sys.path), _folder())
        return str(self._ask(request, seconds, f"Its imports took longer than {seconds:g} s."))

    def prepare(self, modules: set[str]) -> None:
        """Have it import these while nobody needs it."""
        assert self._process.stdin  # noqa: S101 - we asked for it
        with contextlib.suppress(OSError):  # it has died; who asks it for something else will be told
            pickle.dump(Prepare(tuple(sorted(modules))), self._process.stdin, protocol=5)
            self._process.stdin.flush()

    def process(self, frame: Frame, values: dict[str, Any], *, reset: bool = False) -> Outcome:
        """Run the program on a frame, with `values` for the parameters named in it.

        Raises
        ------
        WorkerDied
            If the process ended over it.
        """
        memory, block = self._ring.take(self._reply_size) if self._reply_size else (np.empty(0, np.uint8), "")
        room = memory.size if block else 0
        data = frame.data
        task = Task(
            frame.block,
            data.shape,
            data.dtype.str,
            frame.info,
            values,
            reset,
            block,
            room,
            b"" if frame.block else data.tobytes(),
        )
        self._leases[frame.block] = frame
        late = f"It took longer than {self.timeout:g} s (--timeout)."
        reply = Reply(*self._ask(task, self.timeout, late))
        self._leases = {block: lease for block, lease in self._leases.items() if block in reply.held}
        size = sum(reply.sizes)
        if size > room:
            self._reply_size = size + size // 4  # one that grows should fit for a while
            memory, _ = self._ring.take(self._reply_size)
            self._read_into(memory[:size], late)
        ends = itertools.accumulate(reply.sizes, initial=0)
        buffers = [memory[a:b] for a, b in itertools.pairwise(ends)]
        try:
            return Outcome(*pickle.loads(reply.outcome, buffers=buffers))  # noqa: S301 - our own process
        except Exception as error:  # noqa: BLE001 - the class of a result may be known there only
            said = "The result cannot be taken out of the cell's process; give one of dmlink's own kinds"
            return Outcome(error=f"{said}: {error!r}")

    def kill(self, why: str = "") -> None:
        """End the process and what it has started; who waits for its answer gets a WorkerDied saying why."""
        self._why = why
        if os.name != "posix":
            self._process.kill()
        elif self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended just now
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process and wait until it is gone."""
        self.kill(self._why)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._ring.close()

    def kill_if_late(self) -> None:
        """End the process if it works on something for longer than it may."""
        deadline = self._deadline
        if deadline and time.monotonic() > deadline[0]:
            self.kill(deadline[1])

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process number."""
        return self._process.pid

    def _ask(self, request: Load | Task, seconds: float, late: str) -> Any:
        assert self._process.stdin  # noqa: S101 - we asked for it
        assert self._process.stdout  # noqa: S101
        with self._answering(seconds, late):
            pickle.dump(request, self._process.stdin, protocol=5)
            self._process.stdin.flush()
            return pickle.load(self._process.stdout)  # noqa: S301 - our own process

    def _read_into(self, memory: np.ndarray, late: str) -> None:
        assert isinstance(self._process.stdout, io.BufferedReader)  # noqa: S101 - we asked for it
        with self._answering(self.timeout, late):
            if self._process.stdout.readinto(memory.data) < memory.size:
                raise EOFError

    @contextlib.contextmanager
    def _answering(self, seconds: float, late: str) -> Iterator[None]:
        self._deadline = time.monotonic() + seconds, late
        try:
            yield
        except (OSError, EOFError, pickle.UnpicklingError, ValueError) as error:
            raise WorkerDied(self._why or _ending(self._process)) from error
        finally:
            self._deadline = None


class Engine:
    """One per kernel: hands out workers, of which one is always warm, and keeps the time-outs."""

    def __init__(self) -> None:
        self._spare: Worker | None = None
        self._workers: set[Worker] = set()
        self._modules: set[str] = set()  # of packages, that cells have imported
        self._lock = threading.Lock()
        self._keeper: threading.Thread | None = None
        self._closing = threading.Event()
        self._exiting = False
        atexit.register(self._exit)

    def worker(self, timeout: float, memory: int | None = None) -> Worker:
        """Return a worker that may take `timeout` seconds for each frame, and use so many bytes."""
        with self._lock:
            if self._exiting:
                raise ConnectionError("The kernel is ending.")
            worker, self._spare = self._take_spare() or Worker(), self._new_spare()
            worker.timeout, worker.memory = timeout, memory
            self._workers.add(worker)
            if self._keeper is None:
                self._closing.clear()
                self._keeper = threading.Thread(target=self._keep_time, name="dmlink-timeouts", daemon=True)
                self._keeper.start()
        return worker

    def warm(self) -> None:
        """Start the spare worker, so that the first cell finds one."""
        with self._lock:
            if self._spare is None and not self._exiting:
                self._spare = self._new_spare()

    def prepare(self, program: Program) -> None:
        """Let spare workers import the packages that this program does."""
        modules = ahead.installed(program.modules)
        with self._lock:
            new = modules - self._modules
            self._modules |= new
            if new and self._spare:
                self._spare.prepare(new)

    def end(self, worker: Worker) -> None:
        """End a worker."""
        with self._lock:
            self._workers.discard(worker)
        worker.close()

    def close(self) -> None:
        """End all workers; one asked for later starts the engine again."""
        with self._lock:
            workers, self._workers = self._workers, set()
            spare, self._spare = self._spare, None
            keeper, self._keeper = self._keeper, None
            self._closing.set()
        if keeper:
            keeper.join()
        for worker in [*workers, spare] if spare else workers:
            worker.close()

    def _take_spare(self) -> Worker | None:
        if self._spare and not self._spare.alive:  # an import has killed it, or somebody has
            self._spare.close()
            self._spare = None
        return self._spare

    def _new_spare(self) -> Worker:
        spare = Worker()
        if self._modules:
            spare.prepare(self._modules)
        return spare

    def _exit(self) -> None:
        self._exiting = True  # cells that still run ask for another worker at once
        self.close()

    def _keep_time(self) -> None:
        while not self._closing.wait(TICK_SECONDS):
            for worker in list(self._workers):
                worker.kill_if_late()


engine = Engine()


def _folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return ""  # somebody has removed it


def _ending(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(2.0)
    except subprocess.TimeoutExpired:
        return "The cell's process does not answer any more."
    if code < 0:
        return f"The cell's process was ended by {signal.Signals(-code).name}."
    return f"The cell ended its process with code {code}."
