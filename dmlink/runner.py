"""Runner: the thread that serves a live cell, from its start on a link to its stop."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from dmlink.engine import WorkerDied, engine
from dmlink.worker import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.engine import Worker
    from dmlink.frame import Frame
    from dmlink.indm.results import Result
    from dmlink.link import Link
    from dmlink.program import Program
    from dmlink.reader import Reader

MAX_LOG_LINES = 200
PAUSE_SECONDS = 0.5  # how soon a paused cell sees that its link was closed
MAX_BACKOFF = 5.0  # s between new starts of a cell that crashes on every frame
SMOOTHING = 0.1  # weight of the newest frame in the time per frame


class CellStats(NamedTuple):
    """What a live cell has done since it was started.

    `received` counts the source's frames from the first one on. Each was `processed` (with a result or
    without), `skipped` because the cell's options or a pause say so, or `dropped` because the cell was too
    slow; one may be in the works. `errors` counts frames that failed, `ms_per_frame` is what the cell itself
    takes, `age` how old its newest result is (s, or None). A frame that is processed again, with another
    parameter, counts once.
    """

    received: int
    processed: int
    skipped: int
    dropped: int
    errors: int
    ms_per_frame: float
    age: float | None


@dataclass(frozen=True)
class Options:
    """Which frames a cell takes, and what it may use; see `LiveCell`.

    Raises
    ------
    ValueError
        If one of them makes no sense.
    """

    every: int = 1
    max_rate: float | None = None
    mode: str = "latest"
    timeout: float = 10.0
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.every != int(self.every) or self.every < 1:
            raise ValueError(f"every={self.every!r}: it must be 1, 2, 3 ...: each that many-th frame.")
        if self.mode not in ("latest", "lossless"):
            raise ValueError(f'mode={self.mode!r}: it must be "latest" or "lossless".')
        for name in ("max_rate", "timeout", "memory"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}={value!r}: it must be greater than 0.")
        if self.max_rate and self.mode == "lossless":
            raise ValueError("max_rate lets frames pass, a lossless cell takes every one: choose one.")


class Runner:
    """Asks for frames, has a worker process them, and keeps the newest result.

    Parameters
    ----------
    program : Program
    options : Options
    tell : callable
        Called after every frame and at the end, from the runner's thread.

    Attributes
    ----------
    changed : threading.Condition
        Guards all of this; notified after every frame.
    error : str
        Of the newest frame; empty if there was none. `repeats` is on how many frames the last error came.
    latest : (int, Result) or None
        The newest result and the index of its `frame`.
    link : Link or None
        Where the frames come from.
    """

    def __init__(self, program: Program, options: Options, tell: Callable[[], None]) -> None:
        self.program = program
        self.options = options
        self.changed = threading.Condition()
        self.error = ""
        self.repeats = 0
        self.log: list[str] = []
        self.latest: tuple[int, Result] | None = None
        self.frame: Frame | None = None
        self.failed: tuple[Frame, dict[Any, bytes]] | None = None  # the frame, and what the cell kept then
        self._told = tell
        self._last_error = ""
        self._reload = True  # the worker does not have the program yet
        self._values: dict[str, Any] = {}  # parameters that the worker does not know of yet
        self._reset = False
        self._paused = False
        self._received = self._processed = self._skipped = self._dropped = self._errors = 0
        self._seen: Frame | None = None  # the frame taken last
        self._due = 0.0  # when the next frame may be taken, monotonic
        self._ms = 0.0
        self._crashes = 0  # of the worker, one after another
        self.link: Link | None = None
        self._reader: Reader | None = None
        self._worker: Worker | None = None
        self._thread: threading.Thread | None = None

    def start(self, link: Link, roi: str | None) -> None:
        """Begin, once."""
        if roi or self.options.mode == "lossless":
            link = link.part(roi, self.options.mode)
        reader = link.reader(every=self.options.mode == "lossless")
        with self.changed:
            self.link, self._reader = link, reader
            name = f"dmlink-cell-{self.program.name}"
            self._thread = threading.Thread(target=self._run, args=(reader,), name=name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End; the newest result stays."""
        with self.changed:
            thread, self._thread = self._thread, None
        if thread is None or self._reader is None:
            return
        self._reader.close()
        with self.changed:
            self._paused = False
            if self._worker:
                self._worker.kill()  # it may be in the middle of a long frame
            self.changed.notify_all()
        if thread is not threading.current_thread():
            thread.join(5.0)
        self._told()

    @property
    def running(self) -> bool:
        """Whether it is started and not stopped."""
        return self._thread is not None

    @property
    def paused(self) -> bool:
        """Whether frames are let pass."""
        return self._paused

    @paused.setter
    def paused(self, value: bool) -> None:
        with self.changed:
            self._paused = bool(value)
            self.changed.notify_all()

    def set(self, values: dict[str, Any]) -> None:
        """Give parameters other values; the newest frame is processed again with them."""
        with self.changed:
            self.program = self.program.with_values(**values)
            self._values |= {name: self.program.parameters[name].value for name in values}
        self._again()

    def replace(self, program: Program) -> None:
        """Run another program from now on, with an empty state, in the same process."""
        with self.changed:
            self.program, self._reload = program, True
        self._again()

    def note(self, *notes: str) -> None:
        """Change what the user should know."""
        with self.changed:
            self.program = replace(self.program, notes=notes)
        self._told()

    def reset(self) -> None:
        """Empty the program's state before the next frame."""
        with self.changed:
            self._reset = True

    @property
    def stats(self) -> CellStats:
        """What has been done until now."""
        with self.changed:
            age = self.link.age(self.frame) if self.link and self.frame else None
            frames = self._received, self._processed, self._skipped, self._dropped
            return CellStats(*frames, self._errors, self._ms, age)

    def _again(self) -> None:
        with self.changed:
            again = not self._paused
            self.changed.notify_all()
        if again and self._reader:
            self._reader.again()

    # The thread

    def _run(self, reader: Reader) -> None:
        """Process frames until the reader or its link is closed; a worker that dies is replaced."""
        try:
            while not reader.closed and self._serve(reader):
                # at once after the first crash, then less and less often
                with self.changed:
                    self.changed.wait_for(lambda: reader.closed, min(self._crashes - 1, MAX_BACKOFF))
        except ConnectionError:  # closed
            pass
        except Exception as error:  # noqa: BLE001 - whatever ends a cell is told in its panel
            self._take(None, Outcome(error=f"The cell has stopped over this: {error!r}"))
        finally:
            with self.changed:
                self._worker = None
                self._dropped = self._received - self._processed - self._skipped  # the one that it was at
                if self._thread is threading.current_thread():  # it was not `stop` that ended this
                    self._thread = None
                    if self.link and self.link.closed:
                        self.error = f"The link to {self.link.endpoint.address} was closed."
                self.changed.notify_all()
            reader.close()
            self._told()

    def _serve(self, reader: Reader) -> bool:
        """Process frames until the worker dies; False if it cannot run the program at all."""
        worker = engine.worker(self.options.timeout, self.options.memory)
        frame: Frame | None = None
        try:
            with self.changed:
                self._worker, self._reload = worker, True
            if reader.closed:  # since `stop` could not yet kill this worker
                return False
            while True:
                with self.changed:
                    program, self._reload = self.program if self._reload else None, False
                    values, self._values = self._values, {}
                    reset, self._reset = self._reset, False
                if program and (error := worker.load(program)):
                    self._take(None, Outcome(error=error))
                    return False
                if program:
                    engine.prepare(program)
                if frame:
                    self._take(frame, worker.process(frame, values, reset=reset))
                    self._crashes = 0
                frame = self._next(reader)
        except WorkerDied as death:
            self._crashes += 1
            if not reader.closed:
                where = f"Frame {frame.index}: " if frame else ""
                self._take(frame, Outcome(error=f"{where}{death} It has been started anew.", state={}))
            return True
        finally:
            engine.end(worker)

    def _next(self, reader: Reader) -> Frame:
        """Wait for the next frame that is wanted, or for a reason to look at the last one again."""
        rested = False
        while True:
            with self.changed:
                while not reader.closed and (self._paused or time.monotonic() < self._due):
                    if self._seen and (self._values or self._reload):
                        return self._seen
                    rested = True
                    self.changed.wait(PAUSE_SECONDS if self._paused else self._due - time.monotonic())
            frame = reader.next()
            with self.changed:
                if frame is self._seen:
                    return frame
                if self._paused or self._too_soon(frame):
                    if self._seen and (self._values or self._reload):
                        return self._seen  # nobody waits for the next one to see what a slider does
                    continue  # after a pause there will be a newer one
                self._count(frame, rested)
                if self.options.max_rate:
                    self._due = time.monotonic() + 1 / self.options.max_rate
                self._seen = frame
                return frame

    def _too_soon(self, frame: Frame) -> bool:
        """Tell whether `every` lets this frame pass; where the source begins anew, so does the count."""
        return bool(self._seen and 0 <= frame.index - self._seen.index < self.options.every)

    def _count(self, frame: Frame, rested: bool) -> None:
        """Count a frame, and those that have passed since the last one, by wish or for lack of time."""
        between = max(0, frame.index - self._seen.index - 1) if self._seen else 0
        skipped = between if rested else min(between, self.options.every - 1)
        self._received += between + 1
        self._skipped += skipped
        self._dropped += between - skipped

    def _take(self, frame: Frame | None, outcome: Outcome) -> None:
        with self.changed:
            self._take_error(outcome.error)
            if frame and outcome.state is not None:
                self.failed = frame, outcome.state
            self.log = [*self.log, *outcome.log.splitlines()][-MAX_LOG_LINES:]
            if frame:  # one looked at again counts once
                self._processed = self._received - self._skipped - self._dropped
            if outcome.seconds:
                ms = outcome.seconds * 1e3
                self._ms = self._ms + SMOOTHING * (ms - self._ms) if self._ms else ms
            if frame and outcome.result is not None:
                self.frame = frame
                self.latest = frame.index, outcome.result
            self.changed.notify_all()
        self._told()

    def _take_error(self, error: str) -> None:
        self.error = error
        if error:
            self._errors += 1
            # the same one may name another value, or another frame
            kind = re.sub(r"[\d.]+", "#", error)
            self.repeats = self.repeats + 1 if kind == self._last_error else 1
            self._last_error = kind
