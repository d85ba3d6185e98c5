"""Pool: a kernel's worker processes; it keeps a spare one warm and kills those that take too long."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.engine import preload, process_group
from dmlink.engine.messages import Load, Outcome, Prepare, Reply, Task, answered, send, unpack
from dmlink.ring import Ring

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dmlink.frame import Frame
    from dmlink.program.program import Program

TICK_SECONDS = 0.1  # between checks for time-outs
THREADS_OF_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ENDING_SECONDS = 2.0  # for a process to exit after it has stopped answering
LOAD_SECONDS = 60.0  # for a cell's imports, if the time-out of a frame is shorter


class WorkerDied(RuntimeError):  # noqa: N818 - reads as what happened
    """The worker process has ended: the cell crashed it, or it was killed for taking too long."""


class Worker:
    """The kernel's handle on one worker process, which is idle until it loads a Program."""

    def __init__(self) -> None:
        self._complaint = tempfile.TemporaryFile()  # noqa: SIM115 - its errors while starting
        executable, environment = process_group.python()
        self._process = subprocess.Popen(  # noqa: S603
            [executable, *preload.arguments(f"from dmlink.engine.worker import main; main({os.getpid()})")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaint,
            env={**os.environ, **environment, **dict.fromkeys(THREADS_OF_LIBRARIES, "1")},
            # interrupts are for the kernel only
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._group = process_group.ProcessGroup(self._process)
        self.timeout = 10.0  # s per frame
        self.memory: int | None = None  # bytes for the cell
        self._started = False  # it has answered
        self._ring = Ring()
        self._reply_size = 0
        self._leases: dict[str, Frame] = {}  # frames that the process still uses, by block
        self._why = ""  # why it was killed
        self._deadline: tuple[float, str] | None = None  # (monotonic, error message); None when idle

    def load(self, program: Program) -> str:
        """Load the program to run; return why that failed, or an empty text.

        Raises
        ------
        WorkerDied
            If the process has ended, or its imports take too long.
        """
        seconds = max(self.timeout, LOAD_SECONDS)
        request = Load(program, self.memory, tuple(sys.path), _folder(), preload.standard())
        return str(self._ask(request, seconds, f"Its imports took longer than {seconds:g} s."))

    def prepare(self, modules: set[str]) -> None:
        """Have it import these modules while it is idle."""
        assert self._process.stdin  # noqa: S101 - it is a pipe
        with contextlib.suppress(OSError):  # the process has died; the next request raises an error
            send(self._process.stdin, Prepare(tuple(sorted(modules))))

    def process(
        self, frame: Frame, values: dict[str, Any], *, reset: bool = False, again: bool = False
    ) -> Outcome:
        """Run the program on a frame; `values` are the parameters that have changed, by name.

        `again` says that it has just processed this frame, with other parameters.

        Raises
        ------
        WorkerDied
            If the process has ended, or takes longer than `timeout`.
        """
        memory, block = self._ring.take(self._reply_size) if self._reply_size else (np.empty(0, np.uint8), "")
        room = memory.size if block else 0
        data, info = frame.data, frame.info
        info.again = again
        task = Task(
            frame.block,
            data.shape,
            data.dtype.str,
            info,
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
            self._reply_size = size + size // 4  # room for results that grow
            memory, _ = self._ring.take(self._reply_size)
            self._read_into(memory[:size], late)
        try:
            return unpack(reply, memory)
        except Exception as error:  # noqa: BLE001 - the cell corrupted its result or our pipe
            return Outcome(error=f"The result cannot be read: {error!r}. Return a kind that dmlink supports.")

    def kill(self, why: str = "") -> None:
        """Kill the process and all that it started; a call waiting for its answer raises WorkerDied(why)."""
        self._why = why
        self._group.kill()

    def close(self) -> None:
        """Kill the process and wait until it is gone."""
        self.kill(self._why)
        self._process.wait()
        self._group.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._ring.close()
        self._complaint.close()

    def kill_if_late(self) -> None:
        """Kill the process if it is past its time-out."""
        deadline = self._deadline
        if deadline and time.monotonic() > deadline[0]:
            self.kill(deadline[1])
        elif deadline and self._group.ended:
            self.kill(self._why)  # what the cell started may keep our pipe open

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return not self._group.ended

    @property
    def pid(self) -> int:
        """Process ID."""
        return self._process.pid

    def _ask(self, request: Load | Task, seconds: float, late: str) -> Any:
        assert self._process.stdin  # noqa: S101 - both are pipes
        assert self._process.stdout  # noqa: S101
        with self._deadline_in(seconds, late):
            send(self._process.stdin, request)
            answer = answered(self._process.stdout)
        self._started = True
        return answer

    def _ending(self) -> str:
        """Return how the process has ended, and kill what it has left running."""
        end = time.monotonic() + ENDING_SECONDS
        while not self._group.ended:
            if time.monotonic() > end:
                return "The cell's process has stopped responding."
            time.sleep(0.001)
        self._group.kill()
        return process_group.ending(self._process.wait())

    def _complained(self) -> str:
        """Return the last line it printed while starting, if it never started."""
        if self._started:
            return ""
        with contextlib.suppress(OSError, ValueError):
            self._complaint.seek(0)
            lines = self._complaint.read().decode(errors="replace").split("\n")
            printed = [line.strip() for line in lines if line.strip()]
            return f" It did not start: {printed[-1]}" if printed else ""
        return ""

    def _read_into(self, memory: np.ndarray, late: str) -> None:
        assert isinstance(self._process.stdout, io.BufferedReader)  # noqa: S101 - it is a pipe
        with self._deadline_in(self.timeout, late):
            if self._process.stdout.readinto(memory.data) < memory.size:
                raise EOFError

    @contextlib.contextmanager
    def _deadline_in(self, seconds: float, late: str) -> Iterator[None]:
        self._deadline = time.monotonic() + seconds, late
        try:
            yield
        except (OSError, EOFError, TypeError, ValueError) as error:
            raise WorkerDied(self._why or f"{self._ending()}{self._complained()}") from error
        finally:
            self._deadline = None


class Engine:
    """Hands out workers, keeps a warm spare, and kills workers that exceed their time-out. One per kernel."""

    def __init__(self) -> None:
        self._spare: Worker | None = None
        self._workers: set[Worker] = set()
        self._modules: set[str] = set()  # modules of installed packages that cells have imported
        self._lock = threading.Lock()
        self._keeper: threading.Thread | None = None
        self._closing = threading.Event()
        self._exiting = False
        atexit.register(self._exit)

    def worker(self, timeout: float, memory: int | None = None) -> Worker:
        """Return a worker with a time-out for each frame (s) and a memory limit (bytes)."""
        with self._lock:
            if self._exiting:
                raise ConnectionError("The kernel is shutting down.")
            worker, self._spare = self._take_spare() or Worker(), self._new_spare()
            worker.timeout, worker.memory = timeout, memory
            self._workers.add(worker)
            if self._keeper is None:
                self._closing.clear()
                self._keeper = threading.Thread(target=self._keep_time, name="dmlink-timeouts", daemon=True)
                self._keeper.start()
        return worker

    def warm(self) -> None:
        """Start the spare worker ahead of the first cell."""
        with self._lock:
            if self._spare is None and not self._exiting:
                self._spare = self._new_spare()

    def prepare(self, program: Program) -> None:
        """Have spare workers import the packages that this program imports."""
        modules = preload.installed(program.modules)
        with self._lock:
            new = modules - self._modules
            self._modules |= new
            if new and self._spare:
                self._spare.prepare(new)

    def end(self, worker: Worker) -> None:
        """Kill a worker and wait until it is gone."""
        with self._lock:
            self._workers.discard(worker)
        worker.close()

    def close(self) -> None:
        """Kill all workers; the next call of `worker` starts the engine again."""
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
        if self._spare and not self._spare.alive:  # an import crashed it, or somebody killed it
            self._spare.close()
            self._spare = None
        return self._spare

    def _new_spare(self) -> Worker:
        spare = Worker()
        if self._modules:
            spare.prepare(self._modules)
        return spare

    def _exit(self) -> None:
        self._exiting = True  # or running cells would start new workers at once
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
        return ""  # the folder was removed
