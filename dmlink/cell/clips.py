"""Clips: the seconds around each event of a live cell, saved as recordings."""

from __future__ import annotations

import collections
import contextlib
import math
import threading
from typing import TYPE_CHECKING, Any, Protocol

from dmlink.cell.clip import Clip, FrameResult, bytes_of, view_of
from dmlink.cell.clip_budget import ClipBudget, budget_of
from dmlink.cell.happening import Happening
from dmlink.recordings.writing.ome_zarr_writer import why_not
from dmlink.session.session import SavedClip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dmlink.frame import Frame
    from dmlink.recordings.writing.reference_writer import RunningRecording

LOOK_SECONDS = 0.1  # how often new frames are written while a clip goes on
LATE_SECONDS = 10.0  # by which the disk may be behind without losing a frame
SMALL_RESULT = 65536  # bytes of a result that is kept until an event comes, perhaps


class Kept(Protocol):
    """The last frames of a link, as `dmlink.link.lookback.Lookback` keeps them."""

    @property
    def reason(self) -> str:
        """Why less is kept than was asked for."""

    @property
    def newest(self) -> Frame | None:
        """The newest frame that is kept."""

    def after(self, index: int | None, since: float) -> tuple[Frame, ...]:
        """Return the frames that are newer than number `index`, and not older than `since`."""

    def close(self) -> None:
        """Let go of the frames."""


class Clips:
    """Saves the frames from `before` seconds before an event of a cell until `after` seconds after it.

    A clip is a recording, with the cell's results, its program and the events (`events.jsonl`) beside the
    frames; each frame is whole on disk before the next one is written. Where a recorder has the frames
    already, the clip refers to that recording. Events whose clips would overlap have one together. It works
    in a thread of its own, from a look-back that is closed with it.

    Parameters
    ----------
    lookback : Lookback
        Of the cell's link; it goes back by `seconds(before, after)`.
    folder : Path
        Where the clips go; made with the first one.
    name : str
        Of the cell; a clip is called after it and the frame of its first event.
    before, after : float
        Seconds.
    recorder : callable, optional
        Returns a recorder of the same frames that is running, or None.

    Attributes
    ----------
    budget : ClipBudget
        What the folder may take in all; the clip that reaches it ends, and no other begins.
    saved : tuple of SavedClip
        The clips that are finished, in order.
    reason : str
        Why less is saved than was asked for; empty if all is well.
    """

    def __init__(
        self,
        lookback: Kept,
        folder: Path,
        name: str,
        before: float,
        after: float,
        recorder: Callable[[], RunningRecording | None] = lambda: None,
    ) -> None:
        self.budget: ClipBudget = budget_of(folder)
        self.saved: tuple[SavedClip, ...] = ()
        self._lookback = lookback
        self._folder = folder
        self._name = name
        self._before, self._after = before, after
        self._recorder = recorder
        self._why = ""
        self._clip: Clip | None = None
        self._results: collections.deque[FrameResult] = collections.deque()
        self._events: list[Happening] = []
        self._processed = -math.inf  # when the newest frame was taken of which the result has come
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="dmlink-clips", daemon=True)
        self._thread.start()

    @property
    def reason(self) -> str:  # noqa: D102 - among the attributes
        return self._why or self._lookback.reason

    @property
    def finished(self) -> tuple[Path, ...]:
        """The paths of the clips that are finished."""
        return tuple(clip.path for clip in self.saved)

    @property
    def writing(self) -> tuple[Path, int] | None:
        """The clip that goes on and its frames, or None."""
        clip = self._clip
        return (clip.path, clip.frames) if clip else None

    def add(self, frame: Frame, result: Any, program: str, events: Sequence[str] = ()) -> None:
        """Take a result of the cell, the source of its program, and what has happened in the frame.

        Called in the cell's thread; returns at once.
        """
        with self._changed:
            self._processed = max(self._processed, frame.time)
            idle = self._clip is None and not self._events and not events
            if result is not None and not (idle and bytes_of(result) > SMALL_RESULT):
                self._results.append(FrameResult(frame, result, program))
            while idle and self._results and frame.time - self._results[0].frame.time > self._before:
                self._results.popleft()
            self._events.extend(Happening(frame.index, frame.time, text) for text in events)
            if events:
                self._changed.notify_all()

    def close(self) -> None:
        """Finish the clip that goes on, with the frames that are there, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    # The thread

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            self._lookback.close()

    def _serve(self) -> None:
        """Write clips until the end."""
        closing = False
        while not closing:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closing or self._events, LOOK_SECONDS if self._clip else None
                )
                closing, processed = self._closing, self._processed
                events, self._events = self._events, []
                results, self._results = list(self._results), collections.deque()
            newest = -math.inf
            try:
                for event in events:
                    self._begin_or_extend(event, results)
                if self._clip:
                    newest = self._write(self._clip, results)
                if self._clip and (closing or self._is_over(self._clip, processed, newest)):
                    self._finish()
            except (OSError, ValueError) as error:
                self._fail(error)

    def _begin_or_extend(self, event: Happening, results: Sequence[FrameResult]) -> None:
        begin = event.time - self._before
        if self._clip and begin > self._clip.end:
            self._write(self._clip, results)
            self._finish()
        clip = self._clip
        if clip is None:
            clip = self._begin(event.frame, begin)
            self._why = ""
        self._take(clip.add(event, event.time + self._after))

    def _begin(self, index: int, begin: float) -> Clip:
        if self.budget.left <= 0:
            raise ValueError("The clips have used up their space on disk;")
        self._folder.mkdir(parents=True, exist_ok=True)
        self._clip = Clip(self._folder, f"{self._name} {index}", begin, self._recorder_from(begin))
        return self._clip

    def _recorder_from(self, begin: float) -> RunningRecording | None:
        """Return a recorder that has all frames from `begin` on that the look-back has."""
        recorder, frames = self._recorder(), self._lookback.after(None, begin)
        covers = recorder and recorder.times and recorder.times[0] <= (frames[0].time if frames else begin)
        return recorder if covers else None

    def _is_over(self, clip: Clip, processed: float, newest: float) -> bool:
        """Tell whether no event can belong to the clip any more, or no frame will come that does."""
        if newest < clip.newest:
            return True  # numbers and times have restarted
        last = clip.end + self._before
        return clip.reached >= clip.newest and (processed > last or newest > last + LATE_SECONDS)

    def _write(self, clip: Clip | None, results: Sequence[FrameResult]) -> float:
        """Write what has come for the clip; return when the newest frame that is kept was taken."""
        if clip and clip.cut:
            clip = self._go_on(clip, [e for e in clip.events if e.time + self._after > clip.reached])
        frames: Sequence[Frame] = ()
        if clip:
            self._take(clip.extend())
            frames = self._lookback.after(clip.last, clip.begin)
        for frame in frames:
            if not clip or frame.time > clip.end:
                break
            if clip.view not in ("", view_of(frame)):
                self._why = f"The view changed from {clip.view} to {view_of(frame)}; {_content(clip)}."
                clip = self._go_on(clip, [e for e in clip.events if e.time >= frame.time], frame.time)
                return self._write(clip, results)
            self._take(clip.write(frame))
        for result in results:
            if clip and clip.begin <= result.frame.time <= clip.end:
                self._take(clip.write_result(self._name, result))
        newest = frames[-1] if frames else self._lookback.newest
        return newest.time if newest else -math.inf

    def _go_on(self, clip: Clip, events: Sequence[Happening], begin: float | None = None) -> Clip | None:
        """Finish a clip that cannot have all that it should; begin another with the rest for these events.

        It begins at `begin`, or after what is on disk.
        """
        self._finish()
        if not events:
            return None
        begin = math.nextafter(clip.reached, math.inf) if begin is None else begin
        rest = self._begin(events[0].frame, max(clip.begin, begin))
        for event in events:
            self._take(rest.add(event, event.time + self._after))
        return rest

    def _take(self, size: int) -> None:
        self.budget.take(size)
        if self.budget.left <= 0:
            raise ValueError("The clips have used up their space on disk;")

    def _finish(self) -> None:
        clip, self._clip = self._clip, None
        if clip:
            try:
                clip.close()
            finally:
                self.saved = (*self.saved, SavedClip(clip.path, clip.oldest, clip.newest))

    def _fail(self, error: OSError | ValueError) -> None:
        """Say why nothing more is saved, and finish the clip with what it has."""
        kept = _content(self._clip) if self._clip else "no clip was begun"
        with contextlib.suppress(OSError, ValueError):
            self._finish()
        self._why = why_not(error, kept) if isinstance(error, OSError) else f"{error} {kept}."


def _content(clip: Clip) -> str:
    return f"{clip.path.name} has {clip.frames} frames"


def seconds(before: float, after: float) -> float:
    """Return how far a look-back has to go back for clips, also if the disk is late."""
    return before + after + LATE_SECONDS
