"""Session: numbers, events, gaps and programs of all cells of a link since it was made."""

from __future__ import annotations

import collections
import itertools
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from dmlink.indm.results import Several, free_name
from dmlink.session.pictures import Pictures
from dmlink.session.track import Moment, Track

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dmlink.frame import Frame

MEMORY = 180_000_000  # bytes of all numbers; the oldest are reduced to their extremes first
MOST_TRACKS = 200  # a cell that invents a name for each frame must not fill the memory
MOST_MARKS = 20_000
LONG = 10  # multiples of the usual interval without a frame
LONG_SECONDS = 2.0  # minimum
USUAL = 0.1  # weight of the newest frame in the usual interval
CHECK = 1000  # numbers after which the memory is checked
NO_FRAMES, NO_LINK = "no frames", "no link"
EVENT, CELL, PARAMETER, CLIP = "event", "cell", "parameter", "clip"


class Mark(NamedTuple):
    """A mark on the timeline: kind (as above), start and end (s), frame, cell, description."""

    kind: str
    begin: float
    end: float
    frame: int
    cell: str
    text: str


class Program(NamedTuple):
    """A cell from some time on (s): its program's source, its parameters, the program itself."""

    time: float
    source: str
    parameters: dict[str, Any]
    program: Any


class SavedClip(NamedTuple):
    """A clip that is finished: its path, and when its first and its last frame were taken (s)."""

    path: Path
    begin: float
    end: float


class Session:
    """What has happened; written to by the link and its cells, from their own threads.

    Attributes
    ----------
    began : float or None
        Time of the first frame (s); None before it.
    newest : float or None
        Time of the newest frame.
    pictures : Pictures
        Thumbnails of frames with events, and the cells' newest images.

    Parameters
    ----------
    memory : int
        Bytes for the numbers.
    in_order : bool
        Whether frames come in the order in which they were taken. Otherwise, gaps are unknown, and only the
        numbers of frames that were the newest are kept.
    """

    def __init__(self, memory: int = MEMORY, *, in_order: bool = True) -> None:
        self.began: float | None = None
        self.newest: float | None = None
        self.pictures = Pictures()
        self._memory = memory
        self._in_order = in_order
        self._tracks: dict[tuple[str, str], Track] = {}
        self._marks: collections.deque[Mark] = collections.deque(maxlen=MOST_MARKS)
        self._programs: dict[str, list[Program]] = {}
        self._clips: dict[int, Sequence[SavedClip]] = {}  # by cell
        self._recordings: list[Any] = []
        self._names: dict[int, str] = {}  # cells, by the number returned by `enter`
        self._running: set[int] = set()
        self._numbers = itertools.count()
        self._clocks: dict[str, float] = {}  # time of each cell's newest number
        self._usual: float | None = None  # s from frame to frame
        self._lost: tuple[float, str] | None = None  # since when there has been no link, and why
        self._added = 0
        self._lock = threading.RLock()

    # For the link

    def see(self, frame: Frame) -> None:
        """Record a frame that has arrived; an older one than the newest comes from a reader that lags."""
        with self._lock:
            time, last = frame.time, self.newest
            self.began = time if self.began is None else min(self.began, time)
            if last is not None and time < last and self._lost is None:
                return
            self.newest = time
            if self._lost:
                began, why = self._lost
                self._lost = None
                self._marks.append(Mark(NO_LINK, min(began, time), time, frame.index, "", why))
            elif last is not None:
                step = time - last
                long = max(LONG_SECONDS, LONG * (self._usual or 0.0))
                if step > long and self._in_order:
                    text = f"no frames for {step:.3g} s"
                    self._marks.append(Mark(NO_FRAMES, last, time, frame.index, "", text))
                elif step > 0:
                    usual = self._usual
                    self._usual = step if usual is None else usual + USUAL * (step - usual)

    def lose(self, why: str) -> None:
        """Record that the link was lost."""
        with self._lock:
            if self._lost is None and self.newest is not None:
                self._lost = self.newest, why

    # For the cells

    def enter(self, name: str) -> int:
        """Return a number for a new cell; if one with its name is running, it gets a different name here."""
        with self._lock:
            number = next(self._numbers)
            self._names[number] = free_name(name, {self._names[cell] for cell in self._running}.__contains__)
            self._running.add(number)
            return number

    def leave(self, cell: int) -> None:
        """Record that a cell has ended; the next cell with its name continues its numbers."""
        with self._lock:
            self._running.discard(cell)

    def describe(self, cell: int, program: Any, *, moved: str = "") -> None:
        """Record a cell's program; `moved` names the changed parameters, if nothing else has changed."""
        with self._lock:
            name, time = self._names[cell], self.newest or 0.0
            values = {key: parameter.value for key, parameter in program.parameters.items()}
            programs = self._programs.setdefault(name, [])
            if programs and (moved or programs[-1].source != program.source):
                kind, text = (PARAMETER, moved) if moved else (CELL, "the cell was changed")
                self._marks.append(Mark(kind, time, time, -1, name, text))
            if programs and moved:
                programs[-1] = Program(programs[-1].time, program.source, values, program)
            else:
                programs.append(Program(time, program.source, values, program))

    def add(self, cell: int, frame: Frame, result: Any, events: Sequence[str]) -> None:
        """Add a cell's result for a frame, and its events."""
        with self._lock:
            name = self._names[cell]
            time = max(frame.time, self._clocks.get(name, frame.time))  # if a clock goes back, time stops
            late = time > frame.time and not self._in_order
            images = []
            self._clocks[name] = time
            results = result.results.values() if isinstance(result, Several) else [result]
            for one in [] if late else results:
                if one is not None and one.kind == "scalar":
                    self._add_numbers(name, time, frame.index, one)
                elif one is not None and one.kind == "image":
                    images.append(one)
            for text in events:
                self._marks.append(Mark(EVENT, frame.time, frame.time, frame.index, name, text))
        for image in images:  # without the lock, which the link's thread needs
            self.pictures.keep_image(name, image.name, time, frame.index, image.values)
        if events:
            self.pictures.keep_frame(frame)

    def keep_clips(self, cell: int, clips: Sequence[SavedClip]) -> None:
        """Record the clips that a cell has saved since its start."""
        with self._lock:
            self._clips[cell] = clips

    def note_recording(self, path: Any) -> None:
        """Record that a recording of the link's frames was made."""
        with self._lock:
            if path not in self._recordings:
                self._recordings.append(path)

    def _add_numbers(self, cell: str, time: float, frame: int, result: Any) -> None:
        for key, value in result.series.items():
            own = result.name if key == "value" and result.name != "value" else key
            place = cell, own or "value"
            track = self._tracks.get(place)
            if track is None:
                if len(self._tracks) >= MOST_TRACKS:
                    continue
                shown = cell if place[1] in {"value", cell} else f"{cell} {place[1]}"
                track = self._tracks[place] = Track(shown, result.unit)
            track.add(time, frame, value)
            self._added += 1
        if self._added >= CHECK:
            self._added = 0
            self._save_memory()

    def _save_memory(self) -> None:
        """Reduce the oldest numbers to their extremes until all fit."""
        while sum(track.bytes for track in self._tracks.values()) > self._memory:
            whole = [track for track in self._tracks.values() if track.oldest_whole is not None]
            if not whole:
                return
            min(whole, key=lambda track: track.oldest_whole or 0.0).thin()

    # For the timeline and the report

    @property
    def bytes(self) -> int:
        """Memory used by the numbers."""
        with self._lock:
            return sum(track.bytes for track in self._tracks.values())

    @property
    def tracks(self) -> list[Track]:
        """The numbers of all cells."""
        with self._lock:
            return list(self._tracks.values())

    @property
    def marks(self) -> list[Mark]:
        """What has happened, in the order in which it was noticed; then an ongoing gap, and all clips."""
        with self._lock:
            found = list(self._marks)
            if self._lost and self.newest is not None:
                began, why = self._lost
                found.append(Mark(NO_LINK, began, max(began, self.newest), -1, "", why))
            for cell, clips in self._clips.items():
                found += [
                    Mark(CLIP, clip.begin, clip.end, -1, self._names[cell], clip.path.name) for clip in clips
                ]
            return found

    @property
    def programs(self) -> dict[str, list[Program]]:
        """The programs of each cell, in order of time."""
        with self._lock:
            return {name: list(programs) for name, programs in self._programs.items()}

    @property
    def clips(self) -> list[Path]:
        """The paths of all clips."""
        with self._lock:
            return [clip.path for clips in self._clips.values() for clip in clips]

    @property
    def recordings(self) -> list[Any]:
        """The paths of the recordings, newest last."""
        with self._lock:
            return list(self._recordings)

    def at(self, time: float) -> dict[str, Moment]:
        """Return each cell's newest number at that time, by the track's name."""
        found = {track.name: track.at(time) for track in self.tracks}
        return {name: moment for name, moment in found.items() if moment is not None}
