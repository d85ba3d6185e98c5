"""Outcomes: a live cell's results, errors and frame counts since its start."""

from __future__ import annotations

import collections
import itertools
import re
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dmlink.cell.happening import Happening
from dmlink.indm.results import events_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.engine.messages import Outcome
    from dmlink.frame import Frame
    from dmlink.indm.results import Result

    Take = Callable[[Frame, Result | None, str, list[str]], None]

MAX_LOG_LINES = 200
MAX_EVENTS = 10_000
KEPT_RESULTS = 10_000  # of a lossless cell, for `LiveCell.results`
KEPT_BYTES = 256 << 20  # limit of their arrays
OBJECT_BYTES = 64  # of a result without its values, or of a list
SMOOTHING = 0.1  # weight of the newest frame in the mean time per frame


class CellStats(NamedTuple):
    """A live cell's frame counts since its start.

    `received` counts the source's frames. Each of them was `processed` (with or without a result), `skipped`
    because of the cell's options or a pause, or `dropped` because the cell was too slow; one may be in
    progress. A frame processed again, with another parameter, counts once. `errors` counts frames that
    failed, `ms_per_frame` is the time that the cell itself takes, and `age` is its newest result's (s, or
    None).
    """

    received: int
    processed: int
    skipped: int
    dropped: int
    errors: int
    ms_per_frame: float
    age: float | None


class Outcomes:
    """Results, errors and frame counts of one run of a cell.

    Attributes
    ----------
    changed : threading.Condition
        Guards all of this; notified after every change.
    newest : (Frame, Result) or None
        The newest result, with its frame.
    computed : (Frame, Result, str) or None
        The same, with the source of the program that computed it.
    latest : (int, Result) or None
        The same, with the index of the frame.
    error : str
        The error on the newest frame; empty if there was none.
    repeats : int
        Number of frames with the last error.
    log : list of str
        The last lines that the cell printed; a line repeated on consecutive frames appears once.
    failed : (Frame, tuple of bytes) or None
        The last frame that failed, and the cell's state then, each (key, value) pickled.
    numbered : int
        Number of results so far.
    happened : int
        Number of events so far.

    Parameters
    ----------
    keep : bool
        Whether to keep every result for a while, not only the newest.
    take : callable, optional
        Called with each frame, its result or None, the source of its program, and its events.
    """

    def __init__(self, *, keep: bool = False, take: Take | None = None) -> None:
        self.changed = threading.Condition()
        self.newest: tuple[Frame, Result] | None = None
        self.computed: tuple[Frame, Result, str] | None = None
        self.latest: tuple[int, Result] | None = None
        self.error = ""
        self.repeats = 0
        self.log: list[str] = []
        self._printed: frozenset[str] = frozenset()  # on the previous frame
        self.failed: tuple[Frame, tuple[bytes, ...]] | None = None
        self.numbered = self.happened = 0
        self._events: collections.deque[Happening] = collections.deque(maxlen=MAX_EVENTS)
        self._take = take
        self._keep = keep
        # with the frame's index and time, and the result's size in bytes
        self._kept: collections.deque[tuple[Result, int, float, int]] = collections.deque()
        self._kept_bytes = 0
        self._last_error = ""
        self._received = self._processed = self._skipped = self._dropped = self._errors = 0
        self._ms = 0.0

    def count(self, *, skipped: int, dropped: int) -> None:
        """Count the next frame, and those skipped and dropped before it."""
        with self.changed:
            self._received += skipped + dropped + 1
            self._skipped += skipped
            self._dropped += dropped

    def add(self, outcome: Outcome, frame: Frame | None = None, source: str = "") -> None:
        """Add the outcome of the last frame counted, by this program; or an error without a frame."""
        with self.changed:
            self._add_error(outcome.error)
            printed = outcome.log.splitlines()
            if new := [line for line in printed if line not in self._printed]:
                self.log = [*self.log, *new][-MAX_LOG_LINES:]
            self._printed = frozenset(printed)
            if outcome.seconds:
                ms = outcome.seconds * 1e3
                self._ms = self._ms + SMOOTHING * (ms - self._ms) if self._ms else ms
            if frame:
                self._processed = self._received - self._skipped - self._dropped
                if outcome.state is not None:
                    self.failed = frame, outcome.state
                texts = self._new(events_in(outcome.result), frame)
                self._events.extend(Happening(frame.index, frame.time, text) for text in texts)
                self.happened += len(texts)
                if self._take:
                    self._take(frame, outcome.result, source, texts)
                if outcome.result is not None:
                    self.newest = frame, outcome.result
                    self.computed = frame, outcome.result, source
                    self.latest = frame.index, outcome.result
                    self._keep_result(outcome.result, frame)
            self.changed.notify_all()

    @property
    def events(self) -> tuple[Happening, ...]:
        """The last MAX_EVENTS events."""
        with self.changed:
            return tuple(self._events)

    def result(self, number: int) -> tuple[int, tuple[int, Result] | None]:
        """Return (number, result) for this number, or for the next one still kept.

        The result is None if there is none yet.
        """
        with self.changed:
            first = self.numbered - len(self._kept)
            number = max(number, first)
            if number >= self.numbered:
                return number, None
            result, index, *_ = self._kept[number - first]
            return number, (index, result)

    @property
    def history(self) -> list[tuple[float, Result]]:
        """The results that are still kept, each with the time of its frame in s."""
        with self.changed:
            return [(time, result) for result, _, time, _ in self._kept]

    @property
    def received(self) -> int:
        """Frames of the source counted so far."""
        return self._received

    def end(self, error: str = "", *, skipped: int = 0, dropped: int = 0) -> None:
        """Count the frames since the last one, and one still in progress as dropped; set `error`, if any."""
        with self.changed:
            self._received += skipped + dropped
            self._skipped += skipped
            self._dropped = self._received - self._processed - self._skipped
            self.error = error or self.error
            self.changed.notify_all()

    def stats(self, age: float | None, skipped: int = 0, dropped: int = 0) -> CellStats:
        """Return the counts, including the frames since the last one; `age` is the newest result's (s)."""
        with self.changed:
            received = self._received + skipped + dropped
            frames = received, self._processed, self._skipped + skipped, self._dropped + dropped
            return CellStats(*frames, self._errors, self._ms, age)

    def _new(self, texts: list[str], frame: Frame) -> list[str]:
        """Return the events that this frame has not had: it may be processed again, with other parameters."""
        this = frame.index, frame.time
        had = itertools.takewhile(lambda event: event[:2] == this, reversed(self._events))
        before = collections.Counter(event.text for event in had)
        new = []
        for text in texts:
            before[text] -= 1
            new += [text] if before[text] < 0 else []
        return new

    def _keep_result(self, result: Result, frame: Frame) -> None:
        self.numbered += 1
        size = memory_of(result) if self._keep else 0
        self._kept.append((result, frame.index, frame.time, size))
        self._kept_bytes += size
        limit = KEPT_RESULTS if self._keep else 1
        while len(self._kept) > limit or (self._kept_bytes > KEPT_BYTES and len(self._kept) > 1):
            self._kept_bytes -= self._kept.popleft()[-1]

    def _add_error(self, error: str) -> None:
        self.error = error
        if error:
            self._errors += 1
            kind = re.sub(r"[\d.]+", "#", error)  # the same error may contain other numbers
            self.repeats = self.repeats + 1 if kind == self._last_error else 1
            self._last_error = kind


def memory_of(value: Any) -> int:
    """Return the approximate size of a result, or of a part of one, in bytes."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict | list | tuple):
        return OBJECT_BYTES + sum(map(memory_of, value.values() if isinstance(value, dict) else value))
    if isinstance(value, str):
        return len(value)
    return OBJECT_BYTES + sum(map(memory_of, vars(value).values())) if hasattr(value, "__dict__") else 8
