"""LiveCell: a notebook cell that runs on every frame of a link, as its user sees it."""

from __future__ import annotations

import contextlib
import pickle
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.export import export
from dmlink.frame import Frame
from dmlink.notebook_cell import NotebookCell
from dmlink.program import Instance, Parameter, Program
from dmlink.runner import CellStats, Options, Runner
from dmlink.summary import summary
from dmlink.watchers import Watchers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from dmlink.indm.info import Info
    from dmlink.indm.results import Result
    from dmlink.link import Link

__all__ = ["CellStats", "LiveCell", "live_cells"]

MAX_ERROR = 500  # letters of an error in a summary

_started: weakref.WeakSet[LiveCell] = weakref.WeakSet()
_starting = threading.Lock()  # guards it: nothing may be added while it is looked through


def live_cells() -> list[LiveCell]:
    """Return the cells of this kernel that run now, by name."""
    with _starting:
        started = list(_started)
    return sorted((cell for cell in started if cell.running), key=lambda cell: cell.name)


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
    every : int
        Process each that many-th frame of the source; the others are skipped.
    max_rate : float, optional
        Process at most so many frames a second.
    mode : {"latest", "lossless"}
        With "latest" frames that come while the cell is busy are dropped and counted. With "lossless" it gets
        every frame once and in order; up to 512 MB of them wait for it, those that do not fit are counted.
    timeout : float
        Seconds that it may take for a frame before its process is replaced.
    memory : int, optional
        Bytes that it may use beyond what its imports use; a cell that wants more gets a MemoryError. Kept by
        the operating system on Linux; it has no effect on Windows, and may have none on macOS.

    Attributes
    ----------
    options : Options
        The options above.

    Raises
    ------
    SyntaxError, ValueError
        If the text cannot become a program, with the cell's line; or if an option makes no sense.
    """

    def __init__(
        self,
        text: str,
        name: str = "cell",
        namespace: Mapping[str, Any] | None = None,
        *,
        every: int = 1,
        max_rate: float | None = None,
        mode: str = "latest",
        timeout: float = 10.0,
        memory: int | None = None,
    ) -> None:
        self.options = Options(every, max_rate, mode, timeout, memory)
        self._notebook = NotebookCell(text, name, {} if namespace is None else namespace)
        self._watchers = Watchers(self)
        self._runner = Runner(self._notebook.program, self.options, self._watchers.tell)
        self._here: Instance | None = None  # for `run`

    @property
    def program(self) -> Program:
        """The program that runs, with the present values of its parameters."""
        return self._runner.program

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
        return self._runner.link

    @property
    def running(self) -> bool:
        """Whether the cell is started and not stopped."""
        return self._runner.running

    @property
    def paused(self) -> bool:
        """Whether frames are let pass; set it to pause and go on.

        A parameter set meanwhile processes the frame that was processed last once more.
        """
        return self._runner.paused

    @paused.setter
    def paused(self, value: bool) -> None:
        self._runner.paused = value

    @property
    def latest(self) -> tuple[int, Result] | None:
        """The newest result, after the index of its frame."""
        return self._runner.latest

    @property
    def frame(self) -> Frame | None:
        """The frame that `latest` belongs to."""
        return self._runner.frame

    @property
    def error(self) -> str:
        """What went wrong on the newest frame; empty if nothing did."""
        return self._runner.error

    @property
    def repeats(self) -> int:
        """On how many frames the last error has come, whether or not others went well in between."""
        return self._runner.repeats

    @property
    def log(self) -> list[str]:
        """The newest lines that the cell has printed."""
        return self._runner.log

    @property
    def stats(self) -> CellStats:
        """What has been done until now."""
        return self._runner.stats

    def set(self, **values: Any) -> None:
        """Set parameters by name; the newest frame is processed again with them.

        Raises
        ------
        ValueError
            If there is no such parameter, or it cannot have this value.
        """
        self._runner.set(values)

    def replace(self, program: Program) -> None:
        """Run another program from the next frame on, with an empty `state`, in the same process."""
        self._runner.replace(program)
        self._here = None

    def recapture(self) -> None:
        """Take over what the notebook has changed of what the cell uses, from the next frame on.

        A plain number, text or switch is set like a parameter. What is defined anew empties `state`. What the
        cell can no longer use leaves it as it was. Either is told in the program's notes.
        """
        try:
            change = self._notebook.change(self.program)
        except (SyntaxError, ValueError) as error:
            self._note(f"The cell goes on as it was. {error}")
            return
        if change is None:
            return
        if not change.names:
            self._note("")
        elif change.values_only(self.program):
            now = {name: p.value for name, p in change.program.parameters.items()}
            self.set(**{n: value for n, value in now.items() if value != self.parameters[n].value})
            self._note(
                f"Set in the notebook: {', '.join(f'{n} = {now[n]!r}' for n in change.names if n in now)}."
            )
        else:
            self.replace(change.program)
            self._note(f"Taken over from the notebook: {', '.join(change.names)}.")

    def _note(self, said: str) -> None:
        self._runner.note(*self._notebook.program.notes, *filter(None, [said]))

    def failure(self) -> dict[str, Any]:
        """Return the names as they were when the cell last failed: `frame`, `info`, `state`, parameters.

        With them, the cell's text can be stepped through in the notebook.

        Raises
        ------
        RuntimeError
            If the cell has not failed since it was started.
        """
        if self._runner.failed is None:
            raise RuntimeError(f"The cell {self.name!r} has not failed since it was started.")
        frame, kept = self._runner.failed
        with contextlib.suppress(Exception):
            self.program.load()  # makes known the classes that it keeps objects of
        state = {}
        for key, data in kept.items():
            with contextlib.suppress(Exception):
                state[key] = pickle.loads(data)  # noqa: S301 - from our own process
        values = {name: parameter.value for name, parameter in self.parameters.items()}
        return {"frame": frame.data.copy(), "info": frame.info, "state": state, **values}

    def reset(self) -> None:
        """Empty `state` before the next frame."""
        self._runner.reset()
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
        self._runner = Runner(self.program, self.options, self._watchers.tell)
        self._runner.start(link, roi)
        with _starting:
            _started.add(self)
        return self

    def stop(self) -> None:
        """Stop; the newest result stays."""
        self._runner.stop()

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
        runner, last = self._runner, None
        while True:
            with runner.changed:
                while runner.running and runner.latest is last:
                    runner.changed.wait(0.5)  # so that a notebook can be interrupted, on Windows too
                if runner.latest is None or runner.latest is last:
                    return
                last = runner.latest
            yield last

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after every frame, from the cell's thread; return how to end that."""
        return self._watchers.add(callback)

    def export(
        self, path: str | Path, target: str = "live", *, gms: str | None = None, overwrite: bool = False
    ) -> Path:
        """Write the cell as a stand-alone script for DigitalMicrograph; see `dmlink.export`."""
        return export(self, path, target, gms=gms, overwrite=overwrite)

    def __repr__(self) -> str:
        state = "paused" if self.paused else "running" if self.running else "stopped"
        done, ms = self.stats.processed, self.stats.ms_per_frame
        return f"<LiveCell {self.name!r}, {state}, {done} frames, {ms:.1f} ms per frame>"

    def _repr_html_(self) -> str:
        stats = self.stats
        said = "; ".join(f"{name} = {parameter.value!r}" for name, parameter in self.parameters.items())
        facts = {
            "state": "paused" if self.paused else "running" if self.running else "stopped",
            "parameters": said,
            "frames": f"{stats.received} in, {stats.processed} processed, {stats.dropped} dropped",
            "takes": f"{stats.ms_per_frame:.1f} ms per frame" if stats.processed else "",
            "error": self.error[-MAX_ERROR:],
        }
        return summary(f"Live cell {self.name}", facts)
