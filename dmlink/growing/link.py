"""FollowedLink: a growing recording for cells and views, in place of a link to a microscope."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from dmlink.frame import Roi
from dmlink.growing.reader import FrameReader
from dmlink.link.link import next_number
from dmlink.link.requests import Source
from dmlink.link.stats import LinkStats
from dmlink.ring import Ring
from dmlink.session import Session
from dmlink.summary import summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from dmlink.frame import Frame, Line
    from dmlink.growing.growth import Growth
    from dmlink.recordings.writing.recorder import Recorder


NOWHERE = Roi(0, 0, 1, 1)


class Place(NamedTuple):
    """Where the frames come from, in place of a link's endpoint."""

    address: str


class FollowedLink:
    """The frames of a growing recording; each reader starts at frame 0 and gets every frame.

    It has what cells, panels and recorders use of `dmlink.Link`. Nothing can be shown in DigitalMicrograph;
    ROIs are stored here.
    """

    mode = "lossless"

    @property
    def newest_first(self) -> bool:
        """Whether frames are returned newest first rather than in order."""
        return self.following.newest_first

    def __init__(self, source: Growth, roi: str | None = None, whole: FollowedLink | None = None) -> None:
        self.following = source
        self.number = next_number()
        self.source: str | None = None
        self.roi = roi
        self.newest: Frame | None = None
        self.session: Session = whole.session if whole else Session(in_order=not source.newest_first)
        self._whole = whole or self
        self._ring: Ring = whole._ring if whole else Ring()  # noqa: SLF001 - of the same class
        self._rois: dict[str, Roi] = whole._rois if whole else {}  # noqa: SLF001
        self._place = self._rectangle(roi) if roi is not None else NOWHERE
        self._drawn: tuple[Line | None] | None = None  # the line, once it was set here, for the whole link
        self._readers: list[FollowedReader] = []
        self._reader: FollowedReader | None = None
        self._received = self._bytes = 0
        self._closed = False

    # Frames

    def next(self, timeout: float | None = None) -> Frame:
        """Return the first frame not yet returned; raises the same exceptions as `Link.next`."""
        if self._reader is None:
            self._reader = self.reader()
        return self._reader.next(timeout)

    def __iter__(self) -> Iterator[Frame]:
        while True:
            try:
                yield self.next()
            except ConnectionError:
                return

    def reader(self, *, every: bool = False) -> FollowedReader:  # noqa: ARG002 - each gets every frame
        """Return a reader that starts at frame 0."""
        if self.closed:
            raise ConnectionError(f"Following {self.following.path} was closed.")
        reader = FollowedReader(self)
        self._readers.append(reader)
        return reader

    def forget(self, reader: FollowedReader) -> None:
        """Remove a closed reader."""
        if reader in self._readers:
            self._readers.remove(reader)

    def took(self, frame: Frame, received: int) -> None:
        """Count a frame taken by a reader, which has received so many; each frame counts once for all."""
        self.session.see(frame)
        if received > self._received:
            self._received = received
            self._bytes += frame.data.nbytes
        newest = self.newest
        if newest is None or frame.index > newest.index:
            self.newest = frame

    def shared(self, frame: Frame) -> Frame:
        """Return a frame, or this link's part of it, with its pixels in memory shared with workers."""
        drawn = self._whole._drawn  # noqa: SLF001 - one line for all parts, as they have one set of rectangles
        line = frame.line if drawn is None else drawn[0]
        frame = replace(frame, rois={**frame.rois, **self._rois}, line=line)
        if self.roi is not None:
            self._place = self._rois.get(self.roi, self._place)  # it may have been deleted just now
            place = self._place.clamped(frame.data.shape[:2])
            frame = frame.within(place, frame.data[place.top : place.bottom, place.left : place.right])
        data = frame.data
        memory, block = self._ring.take(data.nbytes)
        pixels = memory.view(data.dtype).reshape(data.shape)
        pixels[...] = data
        pixels.flags.writeable = False
        return replace(frame, data=pixels, block=block)

    @property
    def stats(self) -> LinkStats:
        """Counts of what has been read so far; `rate` is the rate at which frames are written."""
        newest = self.newest
        return LinkStats(
            self._received,
            len(self.following.bad),
            self._bytes,
            self.following.rate,
            self.age(newest) if newest else None,
        )

    def age(self, frame: Frame) -> float:
        """Return how long the frame has been complete on disk, in seconds."""
        return self.following.age(frame.index)

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` on every change of the recording; return a function that ends this."""
        return self.following.watch(callback)

    def record(self, path: str | PathLike[str], **options: Any) -> Recorder:
        """Write every frame to `path`, as OME-Zarr; see `dmlink.Recorder`."""
        from dmlink.recordings.writing.recorder import Recorder  # noqa: PLC0415 - zarr takes 0.2 s

        return Recorder(self, path, **options)

    def part(self, roi: str | None, mode: str | None = None) -> FollowedLink:
        """Return the link to an ROI; raise ValueError if there is none with that name."""
        if roi is None or roi == self.roi:
            return self
        return self.another(roi, mode or self.mode)

    def another(self, roi: str | None, mode: str, source: str | None = None) -> FollowedLink:  # noqa: ARG002
        """Return a separate link to the same recording."""
        if roi is not None:
            self._rectangle(roi)
        return FollowedLink(self.following, roi, self._whole)

    # ROIs

    def sources(self) -> tuple[Source, ...]:
        """Return the recording as the only source; an empty list before its first frame."""
        try:
            with self.following.recording() as recording:
                return (Source(recording.name, 0, recording.shape[1:], recording.dtype.name),)
        except (OSError, ValueError):
            return ()

    def rois(self) -> dict[str, Roi]:
        """Return the ROIs by name."""
        return dict(self._rois)

    def set_roi(self, name: str, roi: Roi) -> None:
        """Move or draw the ROI `name`; parts of this link use it from the next frame on."""
        newest = self._whole.newest
        self._rois[name] = roi.clamped(newest.data.shape[:2]) if newest else roi
        self.following.tell()

    def set_line(self, line: Line | None) -> None:
        """Set the line for frames from now on, in pixels of the whole image; None removes it."""
        self._whole._drawn = (line,)  # noqa: SLF001
        self.following.tell()

    def remove_roi(self, name: str) -> None:
        """Remove the ROI `name`; raise ValueError if there is none."""
        self._rectangle(name)
        del self._rois[name]
        self.following.tell()

    def _rectangle(self, name: str) -> Roi:
        if name not in self._rois:
            known = ", ".join(self._rois) or "none"
            raise ValueError(f"There is no ROI {name!r}; available: {known}. Draw it, or call set_roi().")
        return self._rois[name]

    def show(self, name: str, result: Any) -> None:  # noqa: ARG002 - the interface of a link
        """Raise a ConnectionError: files have no DigitalMicrograph."""
        raise ConnectionError(f"{name} cannot be shown: this link follows files, not DigitalMicrograph.")

    def hide(self, name: str) -> None:
        """Do nothing."""

    # Life

    @property
    def endpoint(self) -> Place:
        """Where the frames come from."""
        return Place(str(self.following.path))

    @property
    def state(self) -> str:
        """The state, as for a link: "live", "waiting", "lost" or "closed"."""
        if self.closed:
            return "closed"
        if not self.has_place:
            return "waiting"
        return {"waiting": "waiting", "unreachable": "lost"}.get(self.following.state, "live")

    @property
    def reason(self) -> str:
        """What it waits for, or what was left out; empty if all is well."""
        if not self.has_place:
            return f"The ROI {self.roi!r} was deleted; draw it again."
        return self.following.reason

    @property
    def has_place(self) -> bool:
        """Whether its ROI, if it has one, exists."""
        return self.roi is None or self.roi in self.rois()

    @property
    def closed(self) -> bool:
        """Whether this link or the `Following` was closed."""
        return self._closed or self.following.closed

    def reconnect(self) -> None:
        """Do nothing: files need no connection."""

    def close(self) -> None:
        """End its readers; the `Following` continues."""
        self._closed = True
        for reader in list(self._readers):
            reader.close()
        self.newest = None
        self.following.tell()

    def free(self) -> None:
        """Close, and release the shared memory."""
        self.close()
        self._ring.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Link to {self.following!r}>"

    def _repr_html_(self) -> str:
        following = self.following
        facts = {
            "path": str(following.path),
            "state": following.state,
            "seen": f"{following.seen} of {following.written} frames",
            "note": following.reason,
        }
        return summary("A growing recording", facts, self.newest.data if self.newest else None)


class FollowedReader:
    """Takes each frame once, like `dmlink.link.readers.LosslessReader`; a view asks it for the newest.

    Attributes
    ----------
    received : int
        Frames that it has received.
    skipped : int
        Always 0: it takes every frame.
    """

    skipped = 0

    def __init__(self, link: FollowedLink) -> None:
        self._link = link
        self._frames: FrameReader | None = None  # created by the first `next`; a view's `poll` counts nothing
        self._shown: FrameReader | None = None
        self._last: Frame | None = None
        self._again = self._closed = False
        self.received = 0

    def accounted(self, before: Frame | None = None) -> int:
        """Return how many frames were received or dropped; with `before`, excluding the one just received."""
        return self.received + self.dropped - (before is not None)

    @property
    def dropped(self) -> int:
        """Frames that could not be read."""
        seen = self._frames.seen if self._frames else 0
        return max(0, seen - self.received)

    @property
    def closed(self) -> bool:
        """Whether there will be no more frames."""
        return self._closed or self._link.closed

    def next(self, timeout: float | None = None) -> Frame:
        """Return the next frame; after the end, it keeps waiting for more."""
        source = self._link.following
        if self._frames is None:
            self._frames = FrameReader(source)
        due = None if timeout is None else time.monotonic() + timeout
        while True:
            if self.closed:
                raise ConnectionError(f"Following {source.path} was closed.")
            if self._again and self._last is not None:
                self._again = False
                return self._last
            # an ROI that was deleted or renamed may be drawn again
            frame = self._frames.take() if self._link.has_place else None
            if frame is not None:
                self.received += 1
                self._last = self._link.shared(frame)
                self._link.took(self._last, self.received)
                return self._last
            left = 0.5 if due is None else due - time.monotonic()
            if left <= 0:
                raise TimeoutError(
                    f"No new frame in {source.path} within {timeout or 0:g} s ({self._link.state})."
                )
            source.wait(min(left, 0.05 if source.written > self._frames.seen else 0.5))

    def poll(self) -> Frame | None:
        """Return the newest frame if it is new, without waiting: a view skips what it cannot draw in time."""
        source = self._link.following
        newest = source.written - 1
        if (
            self.closed
            or newest < 0
            or not self._link.has_place
            or (self._last is not None and self._last.index >= newest)
        ):
            return None
        if self._shown is None:
            self._shown = FrameReader(source, counted=False)
        frame = self._shown.read(newest)
        if frame is None:
            return None
        self.received += 1
        self._last = self._link.shared(frame)
        self._link.took(self._last, self.received)
        return self._last

    def __iter__(self) -> Iterator[Frame]:
        while True:
            try:
                yield self.next()
            except ConnectionError:
                return

    def again(self) -> None:
        """Let `next` return the last frame once more, at once: a parameter has changed."""
        self._again = self._last is not None
        with self._link.following.changed:
            self._link.following.changed.notify_all()

    def close(self) -> None:
        """End this reader; a thread waiting for its next frame gets a ConnectionError."""
        self._closed = True
        self._link.forget(self)
        for frames in (self._frames, self._shown):
            if frames is not None:
                frames.close()
        self._link.following.tell()
