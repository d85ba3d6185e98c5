"""Runner: the thread that feeds a live cell's frames to a worker process, from start to stop."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from dmlink.engine.messages import Outcome
from dmlink.engine.pool import WorkerDied, engine
from dmlink.program.import_path import is_own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dmlink.cell.options import Options
    from dmlink.cell.outcomes import Outcomes
    from dmlink.engine.pool import Worker
    from dmlink.frame import Frame
    from dmlink.growing.link import FollowedLink
    from dmlink.link.link import Link
    from dmlink.program.program import Program

PAUSE_SECONDS = 0.5  # until a paused cell notices that its link was closed
MOST_CRASHES = 5  # in a row, before a cell is stopped: one with `while True` would be restarted forever
MAX_BACKOFF = 5.0  # s, before restarting a cell that crashes on every frame


class Runner:
    """One run of a live cell.

    Parameters
    ----------
    program : Program
    options : Options
    link : Link
        Where the frames come from.
    outcomes : Outcomes
        Where the results and counts go.
    tell : callable
        Called from the runner's thread after every frame and at the end.
    """

    def __init__(
        self,
        program: Program,
        options: Options,
        link: Link | FollowedLink,
        outcomes: Outcomes,
        tell: Callable[[], None],
    ) -> None:
        self._program = program
        self._options = options
        self._link = link
        self._outcomes = outcomes
        self._tell = tell
        self._changed = outcomes.changed  # also guards the attributes below
        self._reader = link.reader(every=options.mode == "lossless")
        self._thread: threading.Thread | None = None
        self._worker: Worker | None = None
        self._reload = True  # the worker does not have the program yet
        self._values: dict[str, Any] = {}  # parameters that the worker does not have yet
        self._reset = False
        self._paused = False
        self._seen: Frame | None = None  # the last frame taken
        self._again: Frame | None = None  # the frame that a new worker starts with
        self._before_first: int | None = None  # the source's frames before the worker was ready
        self._due = 0.0  # when the next frame may be taken, perf_counter
        self._crashes = 0  # of the worker, in a row
        self._why = ""  # why it was stopped, if not by the user

    def start(self) -> None:
        """Start the thread; once only."""
        name = f"dmlink-cell-{self._program.name}"
        with self._changed:
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()

    def stop(self, why: str = "") -> None:
        """Kill the worker, which may be busy with a long frame, and wait for the thread to end.

        `why` becomes the error if the user did not ask for it.
        """
        with self._changed:
            thread, self._thread = self._thread, None
            self._why = why
        if thread is None:
            return
        self._reader.close()
        with self._changed:
            self._paused = False
            if self._worker:
                self._worker.kill()
            self._changed.notify_all()
        if thread is not threading.current_thread():
            thread.join(5.0)
        self._tell()

    @property
    def running(self) -> bool:
        """Whether the run has been started and not ended."""
        return self._thread is not None

    @property
    def paused(self) -> bool:
        """Whether new frames are ignored; False again once the run has ended."""
        return self._paused

    @paused.setter
    def paused(self, value: bool) -> None:
        with self._changed:
            self._paused = bool(value) and self.running
            self._changed.notify_all()

    def passed(self) -> tuple[int, int]:
        """Return the frames since the last one counted, as (skipped, dropped)."""
        if self._before_first is None:
            return 0, 0
        passed = max(0, self._reader.accounted() - self._before_first - self._outcomes.received)
        with self._changed:
            resting = self._paused or time.perf_counter() < self._due
        skipped = passed if resting else min(passed, self._options.every - 1)
        return skipped, passed - skipped

    def use(self, program: Program, parameters: Iterable[str] | None = None) -> None:
        """Switch to another program, and process the newest frame again.

        If only some `parameters` have changed, their values are sent to the worker and the cell's state is
        kept. Otherwise the worker loads the program with an empty state.
        """
        with self._changed:
            self._program = program
            if parameters is None:
                self._reload, self._values = True, {}
            else:
                self._values |= {name: program.parameters[name].value for name in parameters}
            self._changed.notify_all()
            paused = self._paused  # if so, the thread wakes up and takes the last frame
        if not paused:
            self._reader.again()

    def reset(self) -> None:
        """Restart the cell with the next frame: an empty state, and the notebook's values."""
        with self._changed:
            self._reset = True

    # The thread

    def _run(self) -> None:
        """Process frames until the reader or its link is closed; replace a worker that dies."""
        try:
            while not self._reader.closed and self._serve():
                # Restart at once after the first crash, then after longer and longer pauses.
                with self._changed:
                    self._changed.wait_for(lambda: self._reader.closed, min(self._crashes - 1, MAX_BACKOFF))
        except ConnectionError:  # the reader was closed
            pass
        except Exception as error:  # noqa: BLE001 - the panel shows whatever stops a cell
            self._add(Outcome(error=f"The cell stopped because of an internal error: {error!r}"))
        finally:
            skipped, dropped = self.passed()
            with self._changed:
                self._worker, self._paused = None, False
                stopped = self._thread is not threading.current_thread()  # by the user
                if not stopped:
                    self._thread = None
                closed = self._link.closed and not stopped
                why = f"The link to {self._link.endpoint.address} was closed." if closed else self._why
                self._outcomes.end(why, skipped=skipped, dropped=dropped)
            self._reader.close()
            self._tell()

    def _serve(self) -> bool:
        """Process frames until the worker dies; return False if it cannot run the program at all."""
        worker = engine.worker(self._options.timeout, self._options.memory)
        (frame, self._again), loaded = (self._again, None), False
        before: Frame | None = None  # what the cell's state has seen last
        try:
            with self._changed:
                self._worker, self._reload = worker, True
            if self._reader.closed:  # `stop` may have been too early to kill this worker
                return False
            while True:
                with self._changed:
                    program, self._reload = self._program if self._reload else None, False
                    source = self._program.source  # with the values that the worker has for this frame
                    values, self._values = self._values, {}
                    reset, self._reset = self._reset, False
                if program and loaded and any(map(is_own, program.modules)):
                    self._again = frame
                    return True  # only a new process imports the current version of the user's modules
                if program and (error := worker.load(program)):
                    self._add(Outcome(error=error))
                    return False
                if program:
                    loaded, before = True, None
                    engine.prepare(program)
                if frame:
                    again = frame is before and not reset
                    self._add(worker.process(frame, values, reset=reset, again=again), frame, source)
                    self._crashes, before = 0, frame
                frame = self._next()
        except WorkerDied as death:
            self._crashes += 1
            given_up = self._crashes >= MOST_CRASHES
            if not self._reader.closed:
                where = f"Frame {frame.index}: " if frame else ""
                many = f"This happened {self._crashes} times in a row, so the cell was stopped."
                then = many if given_up else "It was restarted."
                self._add(Outcome(error=f"{where}{death} {then}", state=()), frame)
            return not given_up
        finally:
            engine.end(worker)

    def _add(self, outcome: Outcome, frame: Frame | None = None, source: str = "") -> None:
        self._outcomes.add(outcome, frame, source)
        self._tell()

    def _next(self) -> Frame:
        """Wait for the next frame to process; this is the last one again if a parameter has changed."""
        rested = False
        while True:
            with self._changed:
                while not self._reader.closed and (self._paused or time.perf_counter() < self._due):
                    if self._seen and (self._values or self._reload):
                        return self._seen
                    rested = True
                    self._changed.wait(PAUSE_SECONDS if self._paused else self._due - time.perf_counter())
            received = self._reader.received
            frame = self._reader.next()
            if self._before_first is None:
                self._before_first = self._reader.accounted(before=frame)
            with self._changed:
                if frame is self._seen:
                    return frame
                if self._paused or self._too_soon(frame):
                    if self._seen and (self._values or self._reload):
                        return self._seen  # a slider must not wait for the next frame
                    continue  # after a pause, there will be a newer one
                if self._reader.received > received:  # else a still image that was sent again
                    self._count(frame, rested=rested)
                if self._options.max_rate:
                    self._due = time.perf_counter() + 1 / self._options.max_rate
                self._seen = frame
                return frame

    def _too_soon(self, frame: Frame) -> bool:
        """Return whether `every` skips this frame; counting restarts when the source does."""
        return bool(self._seen and 0 <= frame.index - self._seen.index < self._options.every)

    def _count(self, frame: Frame, *, rested: bool) -> None:
        """Count a frame, and those since the last one as skipped on purpose or dropped for lack of time."""
        between = max(0, frame.index - self._seen.index - 1) if self._seen else 0
        between = 0 if self._link.newest_first else between
        skipped = between if rested else min(between, self._options.every - 1)
        self._outcomes.count(skipped=skipped, dropped=between - skipped)
