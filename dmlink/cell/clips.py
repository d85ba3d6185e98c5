"""Clips: the seconds around each event of a live cell, saved as recordings."""

from __future__ import annotations

import collections
import contextlib
import math
import threading
from typing import TYPE_CHECKING, Any, Protocol

from dmlink.cell.clip import Clip, FrameResult, view_of
from dmlink.cell.clip_budget import ClipBudget, budget_of
from dmlink.cell.happening import Happening
from dmlink.cell.outcomes import memory_of
from dmlink.recordings.writing.frame_writer import check_disk
from dmlink.recordings.writing.ome_zarr_writer import why_not
from dmlink.session.session import SavedClip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dmlink.frame import Frame
    from dmlink.recordings.writing.reference_writer import RunningRecording

LOOK_SECONDS = 0.1  # how often new frames are written to an open clip
LATE_SECONDS = 10.0  # the disk may lag behind by this much without a frame being lost
SMALL_RESULT = 1 << 19  # bytes; larger results, such as images, are not kept in case an event follows


class Kept(Protocol):
    """The part of `dmlink.link.lookback.Lookback` that clips use."""

    @property
    def reason(self) -> str:
        """Why less is kept than was requested."""

    @property
    def newest(self) -> Frame | None:
        """The newest frame that is kept."""

    def after(self, index: int | None, since: float) -> tuple[Frame, ...]:
        """Return the frames after number `index` that were taken at `since` or later."""

    def close(self) -> None:
        """Free the frames."""


class Clips:
    """Saves the frames from `before` seconds before an event of a cell until `after` seconds after it.

    A clip is a recording that also contains the cell's results, its program and the events (`events.jsonl`);
    each frame is complete on disk before the next one is written. If the frames are being recorded anyway,
    the clip refers to that recording. Events whose clips would overlap share one. Clips are written in a
    separate thread, from a look-back that is closed with it.

    Parameters
    ----------
    lookback : Lookback
        A look-back on the cell's link, over `seconds(before, after)`.
    folder : Path
        Folder of the clips; it is created for the first one.
    name : str
        Name of the cell; a clip is named after it and the frame of its first event.
    before, after : float
        Seconds.
    recorder : callable, optional
        Returns a running recorder of the same frames, or None.

    Attributes
    ----------
    budget : ClipBudget
        Disk space for all clips in the folder; when it is used up, the clip ends and no other begins.
    saved : tuple of SavedClip
        The finished clips, in order.
    reason : str
        Why less is saved than was requested; empty if nothing is missing.
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
        self._processed = -math.inf  # time of the newest frame that has a result
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
        """The open clip and its number of frames, or None."""
        clip = self._clip
        return (clip.path, clip.frames) if clip else None

    def add(self, frame: Frame, result: Any, program: str, events: Sequence[str] = ()) -> None:
        """Add a result of the cell, the source of its program, and the events in the frame.

        Called in the cell's thread; returns immediately.
        """
        with self._changed:
            self._processed = max(self._processed, frame.time)
            idle = self._clip is None and not self._events and not events
            if result is not None and not (idle and memory_of(result) > SMALL_RESULT):
                self._results.append(FrameResult(frame, result, program))
            while idle and self._results and frame.time - self._results[0].frame.time > self._before:
                self._results.popleft()
            self._events.extend(Happening(frame.index, frame.time, text) for text in events)
            if events:
                self._changed.notify_all()

    def close(self) -> None:
        """Finish the open clip with the frames available now, and end the thread."""
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
                if self._clip:  # otherwise it had to end early
                    self._put_back(results, self._clip.end)
                if self._clip and (closing or self._is_over(self._clip, processed, newest)):
                    self._finish()
            except Exception as error:  # noqa: BLE001 - the next event may still be saved
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
            self.budget.measure()
            self._check_budget()
        self._folder.mkdir(parents=True, exist_ok=True)
        if newest := self._lookback.newest:
            check_disk(self._folder, newest)  # otherwise each event would leave an empty clip
        self._clip = Clip(self._folder, f"{self._name} {index}", begin, self._recorder_from(begin))
        return self._clip

    def _recorder_from(self, begin: float) -> RunningRecording | None:
        """Return a recorder that has every frame that the look-back has from `begin` on."""
        recorder, frames = self._recorder(), self._lookback.after(None, begin)
        covers = recorder and recorder.times and recorder.times[0] <= (frames[0].time if frames else begin)
        return recorder if covers else None

    def _is_over(self, clip: Clip, processed: float, newest: float) -> bool:
        """Return whether no further event can extend the clip, or no further frame can belong to it."""
        if newest < clip.newest:
            return True  # numbers and times have restarted
        last = clip.end + self._before
        return clip.reached >= clip.newest and (processed > last or newest > last + LATE_SECONDS)

    def _write(self, clip: Clip | None, results: Sequence[FrameResult]) -> float:
        """Write new frames and results to the clip; return the time of the look-back's newest frame."""
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

    def _put_back(self, results: Sequence[FrameResult], end: float) -> None:
        """Keep the results after the clip for a while: the next event may be soon."""
        with self._changed:
            later = [one for one in results if one.frame.time > end and memory_of(one.result) <= SMALL_RESULT]
            self._results.extendleft(reversed(later))

    def _go_on(self, clip: Clip, events: Sequence[Happening], begin: float | None = None) -> Clip | None:
        """Finish a clip that has to end early; begin another one for the rest of these events.

        It begins at `begin`, or after the last frame on disk.
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
        self._check_budget()

    def _check_budget(self) -> None:
        if self.budget.left <= 0:
            raise ValueError("The clips have used up their disk space (raise cell.clips_budget.total);")

    def _finish(self) -> None:
        clip, self._clip = self._clip, None
        if clip:
            try:
                clip.close()
            finally:
                self.saved = (*self.saved, SavedClip(clip.path, clip.oldest, clip.newest))

    def _fail(self, error: Exception) -> None:
        """Note why nothing more is saved, and finish the clip with the frames that it has."""
        kept = _content(self._clip) if self._clip else "no clip was begun"
        with contextlib.suppress(Exception):
            self._finish()
        match error:
            case OSError():
                self._why = why_not(error, kept)
            case ValueError():
                self._why = f"{error} {kept}."
            case _:
                self._why = f"Saving a clip failed ({error!r}); {kept}."


def _content(clip: Clip) -> str:
    return f"{clip.path.name} has {clip.frames} frames"


def seconds(before: float, after: float) -> float:
    """Return how far back a look-back for clips must reach, even if the disk lags behind."""
    return before + after + LATE_SECONDS
