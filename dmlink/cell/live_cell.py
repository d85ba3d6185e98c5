"""LiveCell: the user's interface to a notebook cell that runs on every frame of a link."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import pickle
import threading
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.cell.clips import Clips, seconds
from dmlink.cell.options import Options
from dmlink.cell.outcomes import Outcomes
from dmlink.cell.runner import Runner
from dmlink.frame import Frame
from dmlink.link.link import Link, Part
from dmlink.program.instance import Instance
from dmlink.program.memory import keeps
from dmlink.program.notebook_cell import NotebookCell
from dmlink.recordings.writing.recorder import recorder_of
from dmlink.script.exporter import export
from dmlink.script.readback import read_program, roi_of
from dmlink.summary import summary
from dmlink.watchers import Watchers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from os import PathLike

    from dmlink.cell.clip_budget import ClipBudget
    from dmlink.cell.happening import Happening
    from dmlink.cell.outcomes import CellStats
    from dmlink.frame import Info, Outline
    from dmlink.growing.link import FollowedLink
    from dmlink.indm.results import Result
    from dmlink.program.parameter import Parameter
    from dmlink.program.program import Program
    from dmlink.session import Session

MAX_ERROR = 500  # characters of an error in a summary

_started: weakref.WeakSet[LiveCell] = weakref.WeakSet()
_starting = threading.Lock()  # guards `_started`, which must not grow while it is copied


def live_cells() -> list[LiveCell]:
    """Return the running cells of this kernel, sorted by name."""
    with _starting:
        started = list(_started)
    return sorted((cell for cell in started if cell.running), key=lambda cell: cell.name)


def unlist(cell: LiveCell) -> None:
    """Leave a started cell out of `live_cells`: it is a part of another one."""
    with _starting:
        _started.discard(cell)


class LiveCell:
    """A notebook cell that runs on every frame of a link, in its own process.

    Parameters
    ----------
    text : str or Program
        The cell's text, which uses `frame`, `info` and `state` and whose last expression is the result; or a
        program, which has its own name and needs no variables.
    name : str
        Its name in panels, files and DigitalMicrograph.
    namespace : mapping
        The variables that it may use, such as the notebook's.
    every : int
        Process every n-th frame of the source; the others are skipped.
    max_rate : float, optional
        Process at most this many frames per second.
    mode : {"latest", "lossless"}
        With "latest", frames that arrive while the cell is busy are dropped and counted. With "lossless", it
        gets every frame once and in order; up to 512 MB of frames wait, and any that do not fit are dropped
        and counted.
    timeout : float
        Seconds that it may take per frame; after that, its process is replaced.
    keep : float, optional
        Save a clip of each Event in the cell's result, starting this many seconds before it.
    keep_after : float
        Seconds after the event that a clip includes.
    clips : str or PathLike
        Folder of the clips.
    memory : int, optional
        Bytes that it may use in addition to its imports; beyond that, it gets a MemoryError. Linux enforces
        this; it has no effect on Windows, and may have none on macOS.

    Attributes
    ----------
    options : Options
        The options above.
    program : Program
        The program that runs, with the current values of its parameters.
    link : Link or None
        The link (or part of one) that the cell was last started on.

    Raises
    ------
    SyntaxError, ValueError
        If the text cannot become a program (the message has the cell's line), or an option is invalid.
    """

    def __init__(
        self,
        text: str | Program,
        name: str = "cell",
        namespace: Mapping[str, Any] | None = None,
        *,
        every: int = 1,
        max_rate: float | None = None,
        mode: str = "latest",
        timeout: float = 10.0,
        memory: int | None = None,
        keep: float | None = None,
        keep_after: float = 5.0,
        clips: str | PathLike[str] = "clips",
    ) -> None:
        folder = Path(clips).expanduser()
        self.options = Options(every, max_rate, mode, timeout, memory, keep, keep_after, folder)
        self._notebook = NotebookCell(text, name, {} if namespace is None else namespace)
        self.program = self._notebook.program
        self.link: Link | FollowedLink | None = None
        self._lock = threading.Lock()  # guards `program`, which several threads replace
        self._outcomes = Outcomes()
        self._clips: Clips | None = None  # of the last start
        self._runner: Runner | None = None  # of the last start
        self._entry: tuple[Session, int] | None = None  # of the last start: where to log its numbers
        self._watchers = Watchers(self)
        self._here: Instance | None = None  # for `run`
        self._drawn: tuple[Outline | None, tuple[int, ...] | None] = None, None  # where its script looked
        self._edited = self._notebook.edited()
        if self._edited:
            self._note(_reload(self._edited, "the cell uses the new version, the notebook the old one"))

    @property
    def name(self) -> str:
        """The cell's name."""
        return self.program.name

    @property
    def source(self) -> str:
        """The program that runs, as Python source."""
        return self.program.source

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters by name, with their current values."""
        return self.program.parameters

    @property
    def latest(self) -> tuple[int, Result] | None:
        """The newest result, with the index of its frame: (index, result)."""
        return self._outcomes.latest

    @property
    def newest(self) -> tuple[Frame, Result] | None:
        """The newest result, with its frame: (frame, result)."""
        return self._outcomes.newest

    @property
    def computed(self) -> tuple[Frame, Result, str] | None:
        """The newest result, with its frame and the source of the program that computed it."""
        return self._outcomes.computed

    @property
    def frame(self) -> Frame | None:
        """The frame of the newest result."""
        newest = self.newest
        return newest[0] if newest else None

    @property
    def error(self) -> str:
        """The error on the newest frame; empty if there was none."""
        return self._outcomes.error

    @property
    def repeats(self) -> int:
        """Number of frames with the last error, whether or not other frames succeeded in between."""
        return self._outcomes.repeats

    @property
    def history(self) -> list[tuple[float, Result]]:
        """The results that `results` can still yield, each with the time of its frame in s."""
        return self._outcomes.history

    @property
    def events(self) -> tuple[Happening, ...]:
        """The last 10,000 Events since the start, each as (index of the frame, time in s, text)."""
        return self._outcomes.events

    @property
    def event_count(self) -> int:
        """Number of Events since the start."""
        return self._outcomes.happened

    @property
    def clips(self) -> tuple[Path, ...]:
        """The clips finished since the start."""
        return self._clips.finished if self._clips else ()

    @property
    def clips_reason(self) -> str:
        """Why clips have less than was asked for; empty if nothing is missing."""
        return self._clips.reason if self._clips else ""

    @property
    def clips_budget(self) -> ClipBudget | None:
        """Disk space that the clips' folder may use; None if the cell keeps no clips."""
        return self._clips.budget if self._clips else None

    @property
    def clip_writing(self) -> tuple[Path, int] | None:
        """The clip that is being saved, and its number of frames so far; None if there is none."""
        return self._clips.writing if self._clips else None

    @property
    def log(self) -> list[str]:
        """The last lines that the cell printed; a line repeated on consecutive frames appears once."""
        return self._outcomes.log

    @property
    def stats(self) -> CellStats:
        """Counts of frames since the start, time per frame, and age of the newest result."""
        frame = self.frame
        age = self.link.age(frame) if self.link and frame else None
        passed = self._runner.passed() if self.running and self._runner else (0, 0)
        return self._outcomes.stats(age, *passed)

    @property
    def running(self) -> bool:
        """Whether the cell has been started and not stopped."""
        return self._runner is not None and self._runner.running

    @property
    def paused(self) -> bool:
        """Whether a running cell ignores new frames; can be set.

        While it is paused, setting a parameter processes the last frame again.
        """
        return self._runner is not None and self._runner.paused

    @paused.setter
    def paused(self, value: bool) -> None:
        if self._runner:
            self._runner.paused = value

    @property
    def outline(self) -> Outline | None:
        """The ellipse, ring or polygon in the ROI that it runs on; None for a rectangle or no ROI."""
        return self._drawn_at[0]

    @property
    def rectangle(self) -> tuple[int, ...] | None:
        """The ROI that it runs on, (top, left, bottom, right) in pixels; None for the whole image."""
        return self._drawn_at[1]

    @property
    def _drawn_at(self) -> tuple[Outline | None, tuple[int, ...] | None]:
        """Outline and rectangle of the ROI that it runs on; if it was never started, of its script's."""
        if self.link is None:
            return self._drawn
        roi = self.link.rois().get(self.link.roi) if self.link.roi else None
        return (roi.outline, tuple(roi)) if roi else (None, None)

    def set(self, **values: Any) -> None:
        """Set parameters by name; the newest frame is processed again with them.

        Raises
        ------
        ValueError
            If there is no such parameter, or it cannot have this value.
        """
        with self._lock:
            self.program = self.program.with_values(**values)
            if self._runner:
                self._runner.use(self.program, values)
        moved = ", ".join(f"{name} = {self.parameters[name].value!r}" for name in values)
        self._describe(moved=moved)

    def replace(self, program: Program) -> None:
        """Switch to another program with the next frame, with an empty `state`."""
        with self._lock:
            self.program = program
            if self._runner:
                self._runner.use(program)
        self._here = None
        self._describe()

    def recapture(self) -> None:
        """Adopt the notebook's changes to variables that the cell uses.

        A plain number, text or switch is set like a parameter. Anything else empties `state`, including a
        reloaded module of the user's own. If the cell can no longer be built, it keeps running unchanged. The
        program's notes report each of these, and modules that were edited but not reloaded.
        """
        try:
            change = self._notebook.change(self.program)
        except (SyntaxError, ValueError) as error:
            self._note(f"The cell keeps running unchanged. {error}")
            return
        if change is None:
            edited = self._notebook.edited()
            if edited != self._edited:
                self._edited = edited
                self._note(_reload(edited, "the cell keeps using the old version"))
            return
        self._edited = self._notebook.edited()
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
            self._note(f"Updated from the notebook: {', '.join(change.names)}.")

    def _note(self, note: str) -> None:
        with self._lock:
            notes = (*self._notebook.program.notes, *filter(None, [note]))
            self.program = dataclasses.replace(self.program, notes=notes)
        self._watchers.tell()

    def failure(self) -> dict[str, Any]:
        """Return `frame`, `info`, `state` and the parameters from when the cell last failed.

        Use them to step through the cell's text in the notebook.

        Raises
        ------
        RuntimeError
            If the cell has not failed since it was started.
        """
        if self._outcomes.failed is None:
            raise RuntimeError(f"The cell {self.name!r} has not failed since it was started.")
        frame, kept = self._outcomes.failed
        with contextlib.suppress(Exception):
            self.program.load()  # defines the classes of the objects in its state
        state = {}
        for item in kept:
            with contextlib.suppress(Exception):
                key, value = pickle.loads(item)  # noqa: S301 - from our own process
                state[key] = value
        values = {name: parameter.value for name, parameter in self.parameters.items()}
        return {"frame": frame.data.copy(), "info": frame.info, "state": state, **values}

    def reset(self) -> None:
        """Before the next frame, empty `state` and undo the cell's changes to the notebook's variables."""
        if self._runner:
            self._runner.reset()
        if self._here:
            self._here.reset()

    def run(self, frame: Frame | np.ndarray, info: Info | None = None) -> Result | None:
        """Process one frame, shape (h, w), in this process; `state` is kept for the next call.

        Raises whatever the cell raises.
        """
        if not isinstance(frame, Frame):
            frame = Frame(np.asarray(frame))
        if self._here is None:
            self._here = Instance(self.program)
        self._here.set({name: parameter.value for name, parameter in self.parameters.items()})
        result: Result | None = self._here.process(frame.data, info or frame.info)
        return copy.deepcopy(result)  # the cell may keep its arrays, and change them with the next frame

    def start(self, link: Link | FollowedLink, roi: str | None = None) -> LiveCell:
        """Run on every frame of the link, or of its ROI named `roi`, until `stop`. Returns the cell itself.

        Raises
        ------
        ValueError
            If there is no such ROI.
        ConnectionError
            If the link is closed.
        """
        self.stop()
        if isinstance(link, Part) and link.whole:  # a part closes with its last lossless reader
            link, roi = link.whole, roi or link.roi
        if link.closed:
            raise ConnectionError(f"The link to {link.endpoint.address} is closed; connect again.")
        if link.newest_first and keeps(self.program.source):
            raise ValueError(
                f"The cell {self.name!r} uses state, which needs the frames in order; follow the recording "
                "without newest_first."
            )
        if roi or self.options.mode == "lossless":
            link = link.part(roi, self.options.mode)
        self._clips = self._new_clips(link)
        self._entry = link.session, link.session.enter(self.name)
        self._describe()
        outcomes = Outcomes(keep=self.options.mode == "lossless", take=self._take)
        with self._lock:
            runner = Runner(self.program, self.options, link, outcomes, self._tell)
            self.link, self._outcomes, self._runner = link, outcomes, runner
        runner.start()
        with _starting:
            _started.add(self)
        return self

    def stop(self, why: str = "") -> None:
        """Stop; the newest result stays. If the user did not ask for it, `why` becomes the error."""
        if self._runner:
            self._runner.stop(why)

    def give_way(self) -> None:
        """Let the next cell with this name continue this one's numbers in the timeline."""
        if self._entry:
            self._entry[0].leave(self._entry[1])

    def _tell(self) -> None:
        """Call the watchers, after every frame and at the end."""
        self._watchers.tell()
        if not self.running:
            if self._clips:
                self._clips.close()
            if self._entry:
                self._note_clips()
                self._entry[0].leave(self._entry[1])

    def _describe(self, moved: str = "") -> None:
        """Report the program that runs now to the session."""
        if self._entry:
            self._entry[0].describe(self._entry[1], self.program, moved=moved)

    def _note_clips(self) -> None:
        """Report the clips that are finished to the session."""
        if self._entry and self._clips:
            session, number = self._entry
            session.keep_clips(number, self._clips.saved)

    def _new_clips(self, link: Link | FollowedLink) -> Clips | None:
        before, after = self.options.keep, self.options.keep_after
        if before is None:
            return None
        if not isinstance(link, Link):
            raise ValueError(  # noqa: TRY004
                "The recording is already on disk, so it needs no clips: leave keep out and use cell.events."
            )
        lookback = link.lookback(seconds(before, after))
        recorder = partial(recorder_of, link)
        return Clips(lookback, self.options.clips, self.name, before, after, recorder)

    def _take(self, frame: Frame, result: Result | None, program: str, events: list[str]) -> None:
        if self._entry:
            session, number = self._entry
            session.add(number, frame, result, events)
            self._note_clips()
        if self._clips:
            self._clips.add(frame, result, program, events)

    def results(self) -> Iterator[tuple[int, Result]]:
        """Yield each new (frame index, result) until the cell is stopped, skipping older ones.

        A lossless cell yields every result since its start, in order. The last 10,000 results are kept for
        this, in at most 256 MB; missing ones show as gaps between the indices.

        Raises
        ------
        RuntimeError
            If the cell is not running and has no result.
        """
        if self.latest is None and not self.running:
            why = f":\n{self.error}" if self.error else ": call start(link) first."
            raise RuntimeError(f"The cell {self.name!r} is not running{why}")
        return self._results()

    def _results(self) -> Iterator[tuple[int, Result]]:
        runner, outcomes, number = self._runner, self._outcomes, 0
        while True:
            with outcomes.changed:
                while runner and runner.running and number >= outcomes.numbered:
                    outcomes.changed.wait(0.5)  # on Windows, a notebook can be interrupted only between waits
                number, result = outcomes.result(number)
            if result is None:
                return
            number += 1
            yield result

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after every frame, from the cell's thread; return a function to stop it."""
        return self._watchers.add(callback)

    def export(
        self, path: str | Path, target: str = "live", *, gms: str | None = None, overwrite: bool = False
    ) -> Path:
        """Write the cell as a stand-alone script for DigitalMicrograph; see `dmlink.export`."""
        return export(self, path, target, gms=gms, overwrite=overwrite)

    def __repr__(self) -> str:
        done, ms = self.stats.processed, self.stats.ms_per_frame
        return f"<LiveCell {self.name!r}, {self._condition()}, {done} frames, {ms:.1f} ms per frame>"

    def _repr_html_(self) -> str:
        stats = self.stats
        facts = {
            "state": self._condition(),
            "parameters": "; ".join(f"{name} = {p.value!r}" for name, p in self.parameters.items()),
            "frames": f"{stats.received} in, {stats.processed} processed, {stats.dropped} dropped",
            "speed": f"{stats.ms_per_frame:.1f} ms per frame" if stats.processed else "",
            "error": self.error[-MAX_ERROR:],
        }
        return summary(f"Live cell {self.name}", facts)

    def _condition(self) -> str:
        return "paused" if self.paused else "running" if self.running else "stopped"


def _reload(modules: tuple[str, ...], until: str) -> str:
    """Return what to do about modules that were edited after the notebook imported them."""
    if not modules:
        return ""
    reload = "; ".join(f"importlib.reload({name})" for name in modules)
    return f"{', '.join(modules)} was edited: {until}, until you reload it: {reload}."


def read_script(path: str | Path) -> LiveCell:
    """Return the live cell of an exported script, including edits made to the script since.

    It consists of everything above the script's dividing line: parameters, definitions, process(). Nothing is
    executed until the cell runs. The cell of an unchanged script has the same program as the original cell,
    and knows which ROI the script has, so exporting it gives the same script again.

    Raises
    ------
    ValueError
        If it is not an exported script, or an edit is not possible in a live cell; the message has the line.
    SyntaxError
        If the edited script is not valid Python.
    """
    cell = LiveCell(read_program(path))
    cell._drawn = roi_of(path)  # noqa: SLF001 - a cell has no ROI before it is started
    return cell
