"""LiveCell: a program bound to a link, its worker and its results."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dmlink.engine import WorkerDied, engine
from dmlink.export import export
from dmlink.frame import Frame
from dmlink.indm.results import Result, as_result
from dmlink.program import Parameter, Program
from dmlink.worker import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from types import ModuleType

    from dmlink.engine import Worker
    from dmlink.indm.info import Info
    from dmlink.link import Link, Reader

MAX_LOG_LINES = 200
MAX_BACKOFF = 5.0  # s between new starts of a cell that crashes on every frame
SMOOTHING = 0.1  # weight of the newest frame in the time per frame


class CellStats(NamedTuple):
    """What a live cell has done.

    Frames: `received`, `processed` (with a result or without), `dropped` (of the source, in between),
    `errors`. `ms_per_frame` is what the cell itself takes, `age` how old its newest result is (s, or None).
    """

    received: int
    processed: int
    dropped: int
    errors: int
    ms_per_frame: float
    age: float | None


class LiveCell:
    """A cell that runs on every frame of a link, in a process of its own.

    Parameters
    ----------
    text : str
        The cell: uses `frame`, `info` and `state`; its last expression is the result.
    name : str
        What it is called in panels, files and DigitalMicrograph.
    namespace : mapping
        The variables that it may use, such as those of the notebook.
    timeout : float
        Seconds that it may take for a frame before its process is replaced.

    Raises
    ------
    SyntaxError, ValueError
        If the text cannot become a program; with the cell's line.
    """

    def __init__(
        self,
        text: str,
        name: str = "cell",
        namespace: Mapping[str, Any] | None = None,
        *,
        timeout: float = 10.0,
    ) -> None:
        self.program = Program.from_cell(text, name, namespace)
        self.timeout = timeout
        self.error = ""  # of the newest frame
        self.log: list[str] = []
        self.latest: tuple[int, Result] | None = None
        self.frame: Frame | None = None  # that `latest` belongs to
        self._values: dict[str, Any] = {}  # parameters that the worker does not know of yet
        self._reset = False
        self._paused = False
        self._processed = self._errors = 0
        self._seen: Frame | None = None  # the frame processed last
        self._ms = 0.0
        self._link: Link | None = None
        self._reader: Reader | None = None
        self._worker: Worker | None = None
        self._thread: threading.Thread | None = None
        self._here: tuple[ModuleType, dict[str, Any]] | None = None  # for `run`
        self._watchers: list[Callable[[], None]] = []
        self._changed = threading.Condition()

    @property
    def name(self) -> str:
        """The cell's name."""
        return self.program.name

    @property
    def source(self) -> str:
        """The program that runs, as Python text."""
        return self.program.source

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters by name, with their present values."""
        return self.program.parameters

    @property
    def running(self) -> bool:
        """Whether the cell is started and not stopped."""
        return self._thread is not None

    @property
    def paused(self) -> bool:
        """Whether frames are let pass; set it to pause and go on."""
        return self._paused

    @paused.setter
    def paused(self, value: bool) -> None:
        with self._changed:
            self._paused = bool(value)
            self._changed.notify_all()

    @property
    def stats(self) -> CellStats:
        """What has been done until now."""
        reader, link = self._reader, self._link
        age = link.age(self.frame) if link and self.frame else None
        received, dropped = (reader.received, reader.dropped) if reader else (0, 0)
        return CellStats(received, self._processed, dropped, self._errors, self._ms, age)

    def set(self, **values: Any) -> None:
        """Set parameters by name; the newest frame is processed again with them.

        Raises
        ------
        ValueError
            If there is no such parameter, or it cannot have this value.
        """
        with self._changed:
            self.program = self.program.with_values(**values)
            now = {name: self.parameters[name].value for name in values}
            self._values |= now
        if self._here:
            vars(self._here[0]).update(now)
        if self._reader:
            self._reader.again()

    def reset(self) -> None:
        """Empty `state` before the next frame."""
        self._reset = True
        self._here = None

    def run(self, frame: Frame | np.ndarray, info: Info | None = None) -> Result | None:
        """Process one frame (h, w) here and now, in this process; `state` is kept for the next call.

        Raises whatever the cell raises.
        """
        if not isinstance(frame, Frame):
            frame = Frame(np.asarray(frame))
        if self._here is None:
            self._here = self.program.load(), {}
        module, state = self._here
        data = frame.data.view()
        data.flags.writeable = False
        result: Result | None = as_result(module.process(data, info or frame.info, state), self.name)
        return result

    def start(self, link: Link, roi: str | None = None) -> LiveCell:
        """Run on every frame of the link, or of its rectangle `roi`, until `stop`. Returns itself.

        Raises
        ------
        ValueError
            If there is no such rectangle.
        """
        self.stop()
        self._link = link.part(roi) if roi else link
        self._reader = self._link.reader()
        self._thread = threading.Thread(
            target=self._run, args=(self._reader,), name=f"dmlink-cell-{self.name}", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop; the newest result stays."""
        thread, self._thread = self._thread, None
        if thread is None or self._reader is None:
            return
        self._reader.close()
        self.paused = False  # wakes the thread if it waits
        if self._worker:
            self._worker.kill()  # it may be in the middle of a long frame
        thread.join(5.0)
        self._tell()

    def results(self) -> Iterator[tuple[int, Result]]:
        """Yield (frame index, result), each time the newest, until the cell is stopped."""
        last = None
        while True:
            with self._changed:
                while self.running and (self.latest is None or self.latest is last):
                    self._changed.wait(0.5)
                if self.latest is None or self.latest is last:
                    return
                last = self.latest
            yield last

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after every frame, from the cell's thread; return how to end that."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def export(self, path: str | Path, target: str = "live", *, overwrite: bool = False) -> Path:
        """Write the cell as a stand-alone script for DigitalMicrograph; see `dmlink.export`."""
        return export(self, path, target, overwrite=overwrite)

    def __repr__(self) -> str:
        state = "paused" if self.paused else "running" if self.running else "stopped"
        return f"<LiveCell {self.name!r}, {state}, {self._processed} frames, {self._ms:.1f} ms per frame>"

    # The cell's thread

    def _run(self, reader: Reader) -> None:
        """Process frames until the reader is closed; a worker that dies is replaced."""
        deaths = 0
        with contextlib.suppress(ConnectionError):  # the reader or its link was closed
            while True:
                self._worker = engine.worker(self.timeout)
                before = self._processed
                try:
                    if not self._serve(self._worker, reader):
                        return
                finally:
                    engine.end(self._worker)
                deaths = 1 if self._processed > before else deaths + 1
                self._wait(lambda: reader.closed, min(deaths - 1, MAX_BACKOFF))

    def _serve(self, worker: Worker, reader: Reader) -> bool:
        """Process frames until the worker dies; False if it cannot run the program at all."""
        frame: Frame | None = None
        try:
            with self._changed:
                self._values.clear()
                program = self.program
            error = worker.load(program)
            if error:
                self._take(None, Outcome(error=error))
                return False
            while True:
                frame = reader.next()
                self._wait(lambda: not self._paused or reader.closed)
                with self._changed:
                    values, self._values = self._values, {}
                    reset, self._reset = self._reset, False
                self._take(frame, worker.process(frame, values, reset=reset))
        except WorkerDied as death:
            if reader.closed:
                return False
            where = f"Frame {frame.index}: " if frame else ""
            self._take(frame, Outcome(error=f"{where}{death} It has been started anew."))
            return True

    def _take(self, frame: Frame | None, outcome: Outcome) -> None:
        with self._changed:
            self.error = outcome.error
            self.log = [*self.log, *outcome.log.splitlines()][-MAX_LOG_LINES:]
            if outcome.error:
                self._errors += 1
            if frame:
                self._processed += frame is not self._seen  # one looked at again counts once
                self._seen = frame
                ms = outcome.seconds * 1e3
                self._ms = ms if self._processed == 1 else self._ms + SMOOTHING * (ms - self._ms)
                if outcome.result is not None:
                    self.frame = frame
                    self.latest = frame.index, outcome.result
            self._changed.notify_all()
        self._tell()

    def _wait(self, until: Callable[[], bool], timeout: float | None = None) -> None:
        with self._changed:
            self._changed.wait_for(until, timeout)

    def _tell(self) -> None:
        for callback in list(self._watchers):
            callback()
