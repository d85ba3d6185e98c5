"""LiveCell: a program bound to a link, its worker and its results."""

from __future__ import annotations

import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dmlink.engine import WorkerDied, engine
from dmlink.export import export
from dmlink.frame import Frame
from dmlink.program import Instance, Parameter, Program
from dmlink.worker import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from dmlink.engine import Worker
    from dmlink.indm.info import Info
    from dmlink.indm.results import Result
    from dmlink.link import Link, Reader

MAX_LOG_LINES = 200
MAX_BACKOFF = 5.0  # s between new starts of a cell that crashes on every frame
SMOOTHING = 0.1  # weight of the newest frame in the time per frame

_started: weakref.WeakSet[LiveCell] = weakref.WeakSet()


def live_cells() -> list[LiveCell]:
    """Return the cells of this kernel that run now, by name."""
    return sorted((cell for cell in list(_started) if cell.running), key=lambda cell: cell.name)


class CellStats(NamedTuple):
    """What a live cell has done since it was started.

    Frames: `received`, `processed` (with a result or without), `dropped` (of the source, in between),
    `errors`. `ms_per_frame` is what the cell itself takes, `age` how old its newest result is (s, or None).
    A frame that is processed again, with another parameter, counts once.
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
        self._received = self._processed = self._dropped = self._errors = 0
        self._seen: Frame | None = None  # the frame received last
        self._ms = 0.0
        self._crashes = 0  # of the worker, one after another
        self._link: Link | None = None
        self._reader: Reader | None = None
        self._worker: Worker | None = None
        self._thread: threading.Thread | None = None
        self._here: Instance | None = None  # for `run`
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
    def link(self) -> Link | None:
        """The link, or the part of one, that the cell was last started on."""
        return self._link

    @property
    def running(self) -> bool:
        """Whether the cell is started and not stopped."""
        return self._thread is not None

    @property
    def paused(self) -> bool:
        """Whether frames are let pass; set it to pause and go on.

        A parameter set meanwhile processes the frame that was processed last once more.
        """
        return self._paused

    @paused.setter
    def paused(self, value: bool) -> None:
        with self._changed:
            self._paused = bool(value)
            self._changed.notify_all()

    @property
    def stats(self) -> CellStats:
        """What has been done until now."""
        with self._changed:
            age = self._link.age(self.frame) if self._link and self.frame else None
            return CellStats(self._received, self._processed, self._dropped, self._errors, self._ms, age)

    def set(self, **values: Any) -> None:
        """Set parameters by name; the newest frame is processed again with them.

        Raises
        ------
        ValueError
            If there is no such parameter, or it cannot have this value.
        """
        with self._changed:
            self.program = self.program.with_values(**values)
            self._values |= {name: self.parameters[name].value for name in values}
            again = not self._paused
            self._changed.notify_all()
        if again and self._reader:
            self._reader.again()

    def reset(self) -> None:
        """Empty `state` before the next frame."""
        with self._changed:
            self._reset = True
        if self._here:
            self._here.reset()

    def run(self, frame: Frame | np.ndarray, info: Info | None = None) -> Result | None:
        """Process one frame (h, w) here and now, in this process; `state` is kept for the next call.

        Raises whatever the cell raises.
        """
        if not isinstance(frame, Frame):
            frame = Frame(np.asarray(frame))
        if self._here is None:
            self._here = Instance(self.program)
        self._here.set({name: parameter.value for name, parameter in self.parameters.items()})
        return self._here.process(frame.data, info or frame.info)

    def start(self, link: Link, roi: str | None = None) -> LiveCell:
        """Run on every frame of the link, or of its rectangle `roi`, until `stop`. Returns itself.

        Raises
        ------
        ValueError
            If there is no such rectangle.
        ConnectionError
            If the link is closed.
        """
        self.stop()
        if link.closed:
            raise ConnectionError(f"The link to {link.endpoint.address} is closed: connect anew.")
        link = link.part(roi) if roi else link
        reader = link.reader()
        with self._changed:
            self._link, self._reader = link, reader
            self._received = self._processed = self._dropped = self._errors = self._crashes = 0
            self._ms, self._seen, self.latest, self.frame, self.error = 0.0, None, None, None, ""
            self._thread = threading.Thread(
                target=self._run, args=(reader,), name=f"dmlink-cell-{self.name}", daemon=True
            )
            self._thread.start()
        _started.add(self)
        return self

    def stop(self) -> None:
        """Stop; the newest result stays."""
        with self._changed:
            thread, self._thread = self._thread, None
        if thread is None or self._reader is None:
            return
        self._reader.close()
        with self._changed:
            self._paused = False
            if self._worker:
                self._worker.kill()  # it may be in the middle of a long frame
            self._changed.notify_all()
        if thread is not threading.current_thread():
            thread.join(5.0)
        self._tell()

    def results(self) -> Iterator[tuple[int, Result]]:
        """Yield (frame index, result), each time the newest, until the cell is stopped.

        Raises
        ------
        RuntimeError
            If the cell does not run and has no result.
        """
        if self.latest is None and not self.running:
            why = f":\n{self.error}" if self.error else ": start(link) it first."
            raise RuntimeError(f"The cell {self.name!r} does not run{why}")
        return self._results()

    def _results(self) -> Iterator[tuple[int, Result]]:
        last = None
        while True:
            with self._changed:
                while self.running and self.latest is last:
                    self._changed.wait(0.5)  # so that a notebook can be interrupted, on Windows too
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
        """Process frames until the reader or its link is closed; a worker that dies is replaced."""
        try:
            while not reader.closed and self._serve(reader):
                # at once after the first crash, then less and less often
                self._wait(lambda: reader.closed, min(self._crashes - 1, MAX_BACKOFF))
        except ConnectionError:  # closed
            pass
        finally:
            with self._changed:
                self._worker = None
                if self._thread is threading.current_thread():  # it was not `stop` that ended this
                    self._thread = None
                    if self._link and self._link.closed:
                        self.error = f"The link to {self._link.endpoint.address} was closed."
                self._changed.notify_all()
            self._tell()

    def _serve(self, reader: Reader) -> bool:
        """Process frames until the worker dies; False if it cannot run the program at all."""
        worker = engine.worker(self.timeout)
        frame: Frame | None = None
        try:
            with self._changed:
                self._worker = worker
                self._values.clear()
                program = self.program
            if reader.closed:  # since `stop` could not yet kill this worker
                return False
            if error := worker.load(program):
                self._take(None, Outcome(error=error))
                return False
            while True:
                frame = self._next(reader)
                with self._changed:
                    values, self._values = self._values, {}
                    reset, self._reset = self._reset, False
                self._take(frame, worker.process(frame, values, reset=reset))
                self._crashes = 0
        except WorkerDied as death:
            self._crashes += 1
            if not reader.closed:
                where = f"Frame {frame.index}: " if frame else ""
                self._take(frame, Outcome(error=f"{where}{death} It has been started anew."))
            return True
        finally:
            engine.end(worker)

    def _next(self, reader: Reader) -> Frame:
        """Wait for a new frame; while paused, for a parameter with which to look at the last one again."""
        while True:
            self._wait(lambda: not self._paused or reader.closed or bool(self._values and self._seen))
            with self._changed:
                if self._paused and self._values and self._seen and not reader.closed:
                    return self._seen
            frame = reader.next()
            with self._changed:
                if self._paused:
                    continue  # after the pause there will be a newer one
                if frame is not self._seen:
                    self._received += 1
                    if self._seen:
                        self._dropped += max(0, frame.index - self._seen.index - 1)
                    self._seen = frame
            return frame

    def _take(self, frame: Frame | None, outcome: Outcome) -> None:
        with self._changed:
            self.error = outcome.error
            self.log = [*self.log, *outcome.log.splitlines()][-MAX_LOG_LINES:]
            if outcome.error:
                self._errors += 1
            if frame:
                self._processed = self._received  # one looked at again counts once
            if outcome.seconds:
                ms = outcome.seconds * 1e3
                self._ms = self._ms + SMOOTHING * (ms - self._ms) if self._ms else ms
            if frame and outcome.result is not None:
                self.frame = frame
                self.latest = frame.index, outcome.result
            self._changed.notify_all()
        self._tell()

    def _wait(self, until: Callable[[], bool], timeout: float | None = None) -> None:
        with self._changed:
            self._changed.wait_for(until, timeout)

    def _tell(self) -> None:
        for callback in list(self._watchers):
            try:
                callback()
            except Exception:  # a panel that cannot draw must not end the cell
                logging.getLogger(__name__).exception("A watcher of the live cell %r failed", self.name)
