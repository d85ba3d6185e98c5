"""Link: the client of a companion. Connects, reconnects by itself, and delivers frames to its readers."""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from dmlink.indm import protocol
from dmlink.link import endpoint as endpoints
from dmlink.link import switch_interval
from dmlink.link.connection import ANSWER_SECONDS, Connection
from dmlink.link.delivery import Delivery
from dmlink.link.logs import Logs, number
from dmlink.link.readers import LosslessReader, Reader
from dmlink.link.reception import Reception
from dmlink.link.requests import Requests, Source
from dmlink.link.status import Status
from dmlink.session import Session
from dmlink.summary import summary
from dmlink.watchers import Watchers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from dmlink.frame import Frame, Line, Roi
    from dmlink.link.lookback import Lookback
    from dmlink.link.stats import LinkStats
    from dmlink.recordings.writing.recorder import Recorder

RETRY_SECONDS = 0.5
MODES = ("latest", "lossless")

_numbers = itertools.count(1)


def next_number() -> int:
    """Return the number of a new link; a notebook uses the link with the highest."""
    return next(_numbers)


class Link:
    """A connection to one view in DigitalMicrograph: an iterator over its frames, and a context manager.

    Parameters
    ----------
    endpoint : str, Endpoint or None
        `dmlink://HOST:PORT?token=...` as the companion prints it; by default, this computer's last companion.
    source : str, optional
        Name of the view; by default the one that the companion was started on.
    roi : str, optional
        Name of an ROI on the view; only the pixels inside it are sent.
    mode : {"latest", "lossless"}
        With "latest", frames that arrive while the last one is in use are dropped and counted. With
        "lossless", `next` returns every frame from now on in order; up to 512 MB of them wait, and those that
        do not fit are dropped and counted. A lossless link sends frames in order, so on a slow network even
        its newest one may be old: to watch live, use a second link with mode "latest".
    at : Endpoint, optional
        Where the companion was last, if that may differ from `endpoint`.
    logs, session : Logs, Session, optional
        Those of the link that this one is a part of.

    Attributes
    ----------
    logs : Logs
        The numbers of other instruments.
    session : Session
        What its cells have found since it was made.
    endpoint : Endpoint
        Where the companion is; changes if the companion is found elsewhere.
    number : int
        Number of this link in this kernel, counted from 1.

    Raises
    ------
    ConnectionError
        If no companion answers, or it has another token.
    ValueError
        If the endpoint, the view or the ROI does not exist.
    """

    def __init__(
        self,
        endpoint: str | endpoints.Endpoint | None = None,
        source: str | None = None,
        roi: str | None = None,
        mode: str = "latest",
        *,
        at: endpoints.Endpoint | None = None,
        logs: Logs | None = None,
        session: Session | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode={mode!r}: it must be one of {', '.join(MODES)}.")
        self.number = next_number()
        self._wanted_endpoint = endpoint
        self.source = source
        self.roi = roi
        self.mode = mode
        self._status = Status(at or endpoints.find(endpoint))
        self._delivery = Delivery(self._status, lossless=mode == "lossless")
        self._requests = Requests(self._status, self._send)
        self.logs = logs or Logs()
        self.session = session or Session()
        self._frames = Reception(self.logs, self._requests, roi)
        self._watchers = Watchers(self)
        self._connected_to: endpoints.Endpoint | None = None
        self._clock_ahead = 0.0  # the companion's clock minus our perf_counter, s
        self._lookbacks: set[Lookback] = set()
        self._parts: dict[tuple[str | None, str], Part] = {}
        self._parts_lock = threading.Lock()
        self._close_lock = threading.Lock()
        self._reader = self._first_reader()  # before connecting, so that a lossless reader misses no frame
        try:
            self._connect()
        except BaseException:
            self._frames.close()
            raise
        self._thread = threading.Thread(target=self._run, name="dmlink-link", daemon=True)
        self._thread.start()

    #: Frames arrive in order; those of a growing recording may not.
    newest_first = False

    # Frames

    def next(self, timeout: float | None = None) -> Frame:
        """Return the newest frame that `next` has not returned yet, waiting up to `timeout` seconds for it.

        A lossless link returns the oldest one instead: every frame in order.

        Raises
        ------
        TimeoutError
            If no frame arrived in time; the link still works, so just call it again.
        ConnectionError
            If the link has been closed.
        """
        reader = self._reader  # `close` sets it to None
        if reader is None:
            reader = self._reader = self.reader(every=self.mode == "lossless")
        return reader.next(timeout)

    def reader(self, *, every: bool = False) -> Reader:
        """Return an independent reader, which gets the newest frame that it has not seen.

        With `every`, on a lossless link, it gets every frame from now on in order.
        """
        return LosslessReader(self._delivery, self._last_reader_closed) if every else Reader(self._delivery)

    def __iter__(self) -> Iterator[Frame]:
        while True:
            try:
                yield self.next()
            except ConnectionError:
                return

    @property
    def newest(self) -> Frame | None:
        """The newest frame received, whether or not `next` has returned it."""
        return self._delivery.newest

    @property
    def stats(self) -> LinkStats:
        """The link's frame counts, rate and age so far."""
        newest = self.newest
        return self._delivery.stats(self.age(newest) if newest else None)

    def age(self, frame: Frame) -> float:
        """Return how long ago the frame was copied in DigitalMicrograph, in seconds."""
        return max(0.0, self._now() - frame.time)

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` from the link's thread on every frame and change; return a function to stop it."""
        return self._watchers.add(callback)

    def record(self, path: str | PathLike[str], **options: Any) -> Recorder:
        """Write every frame from now on to `path`, as OME-Zarr; see `dmlink.Recorder`."""
        from dmlink.recordings.writing.recorder import Recorder  # noqa: PLC0415 - zarr takes 0.2 s

        recorder = Recorder(self, path, **options)
        self.session.note_recording(recorder.path)
        return recorder

    def lookback(
        self, seconds: float = 30.0, memory: int = 1_000_000_000, *, compress: bool = False
    ) -> Lookback:
        """Keep the frames of the last `seconds` from now on, in at most `memory` bytes; see `Lookback`.

        Raises
        ------
        ValueError
            If `seconds` or `memory` is not a positive number.
        """
        from dmlink.link.lookback import Lookback  # noqa: PLC0415 - recordings take 0.1 s

        def ended() -> None:
            self._lookbacks.discard(lookback)
            self._frames.reserve(-memory)
            self._last_reader_closed()

        lookback = Lookback(self._delivery, seconds, memory, ended, compress=compress)
        self._frames.reserve(memory)
        self._lookbacks.add(lookback)
        return lookback

    def kept(self, index: int, time: float) -> Frame | None:
        """Return the frame with this number taken at `time` (s), if a look-back still has it."""
        found = (lookback.frame(index, time) for lookback in list(self._lookbacks))
        return next((frame for frame in found if frame), None)

    def kept_near(self, time: float) -> Frame | None:
        """Return the frame taken nearest to `time` (s) that a look-back still has."""
        found = [frame for lookback in list(self._lookbacks) if (frame := lookback.nearest(time))]
        return min(found, key=lambda frame: abs(frame.time - time), default=None)

    # Other instruments

    def log(self, name: str, value: float, unit: str = "", time: float | None = None) -> None:
        """Log another instrument's number; `info.log[name]` is the newest one at a frame's time.

        `time` is in seconds since 1970 by the microscope computer's clock, like `frame.time`; by default now.

        Raises
        ------
        ValueError
            If the value or the time is not a finite number, or the log has another unit. A value may be NaN.
        """
        found = number(value, name)
        when = self._now() if time is None else number(time, f"{name}, time")
        if math.isnan(when):
            raise ValueError(f"time={time!r} is not a number; the log {name!r} needs one.")
        self.logs.log(name, unit).add(when, found)

    # Other links to the same view

    def part(self, roi: str | None, mode: str | None = None) -> Link:
        """Return a link to the ROI `roi` of the same view; closing this link closes it too.

        `roi` and `mode` default to this link's own.
        """
        wanted = roi or self.roi, mode or self.mode
        if wanted == (self.roi, self.mode):
            return self
        with self._parts_lock:
            part = self._parts.get(wanted)
            if part is None or not part.promise():
                part = self._part(self.source, *wanted)
                part.whole = self
                part.promise()
                self._parts[wanted] = part
            return part

    def another(self, roi: str | None, mode: str, source: str | None = None) -> Part:
        """Return a new link to the same companion; the caller closes it.

        It links to the same view, or to `source`, and keeps no frames until somebody reads from it.
        """
        return self._part(source or self.source, roi, mode)

    def _part(self, source: str | None, roi: str | None, mode: str) -> Part:
        endpoint, shared = self._wanted_endpoint, {"logs": self.logs, "session": self.session}
        return Part(endpoint, source, roi, mode, at=self.endpoint, **shared)

    # Requests to DigitalMicrograph

    def sources(self) -> tuple[Source, ...]:
        """Return the views that the companion can send: every image open in DigitalMicrograph."""
        if threading.current_thread() is self._thread or self.state == "lost":
            return self._requests.known_sources
        return self._requests.sources()

    def rois(self) -> dict[str, Roi]:
        """Return the view's ROIs by name, as they are in DigitalMicrograph now; masks have an `outline`."""
        return dict(self._requests.rois)

    def set_roi(self, name: str, roi: Roi) -> None:
        """Move the ROI `name` in DigitalMicrograph, or create it; it is clamped to the image.

        Returns at once; `rois()` is updated when DigitalMicrograph has done it. Of an ellipse, a ring or a
        polygon (`Roi.around`), DigitalMicrograph shows the rectangle around it.

        Raises
        ------
        ValueError
            If the name is empty, longer than 200 characters or contains control characters.
        ConnectionError
            If the companion is not connected now.
        """
        self._requests.set_roi(name, roi)

    def remove_roi(self, name: str) -> None:
        """Delete the ROI `name` in DigitalMicrograph; returns at once, like `set_roi`.

        Raises
        ------
        ValueError
            If there is no such ROI.
        ConnectionError
            If the companion is not connected now.
        """
        self._requests.remove_roi(name)

    def set_line(self, line: Line | None) -> None:
        """Move the line on the view in DigitalMicrograph, or draw it; None deletes it.

        It is in pixels of the whole image. Returns at once; frames have it as `line`, and cells as
        `info.line`, once DigitalMicrograph has it. If GMS cannot draw a line, frames have it anyway.

        Raises
        ------
        ValueError
            If a number is not finite.
        ConnectionError
            If the companion is not connected now.
        """
        self._requests.set_line(line)

    def show(self, name: str, result: Any) -> None:
        """Show a result in a window in DigitalMicrograph: numbers over time, a profile or an image.

        Later results with the same name are drawn in the same window, as fast as DigitalMicrograph can; if it
        falls behind, only the newest is drawn. If the user closes the window, it stays closed until `hide`.

        Raises
        ------
        TypeError
            If DigitalMicrograph cannot show a result of this type.
        ValueError
            If the name is not a valid window name, or the companion refused the last result with this name.
        ConnectionError
            If the companion is not connected now.
        """
        self._requests.show(name, result)

    def hide(self, name: str) -> None:
        """Close the window that `show` opened."""
        self._requests.hide(name)

    # Life

    @property
    def endpoint(self) -> endpoints.Endpoint:
        """Where the companion is."""
        return self._status.endpoint

    @property
    def state(self) -> str:
        """The state: "live", "waiting" (no view or no ROI in DM), "lost" (no companion) or "closed"."""
        return self._status.state

    @property
    def reason(self) -> str:
        """Why the link is not live, in one sentence; empty if everything works."""
        return self._status.reason

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._status.closed

    def reconnect(self) -> None:
        """Drop the connection and look for the companion again, as after a loss; returns at once."""
        if not self.closed:
            self._connection.shut()

    def close(self) -> None:
        """Close the connection; anyone waiting for a frame gets a ConnectionError."""
        with self._close_lock:
            if self.closed:
                return
            self._status.set("closed", "")
        self._end()

    def _end(self) -> None:
        """Close the connection of a link whose state is closed."""
        with self._parts_lock:
            parts = list(self._parts.values())
        for part in parts:
            part.close()
        with contextlib.suppress(OSError):
            self._connection.send(protocol.BYE, {"reason": "The link was closed."})
        self._connection.shut()
        self._watchers.tell()
        if self._thread is not threading.current_thread():
            self._thread.join(ANSWER_SECONDS + 2.0)
        self._connection.close()
        self._reader = None  # it holds the last frame, whose memory would stay open
        self._delivery.clear()
        self._frames.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        what = f"ROI {self.roi!r} of " if self.roi else ""
        return f"<Link to {what}{self._view_name or '?'!r} at {self.endpoint.address}, {self._status}>"

    def _repr_html_(self) -> str:
        stats, newest = self.stats, self.newest
        facts = {
            "endpoint": self.endpoint.address,
            "state": str(self._status),
            "view": self._view_name,
            "ROI": self.roi or "",
            "received": f"{stats.received} frames, {stats.rate:.1f} frames/s",
            "dropped": str(stats.dropped),
        }
        return summary("Link to DigitalMicrograph", facts, newest.data if newest else None)

    @property
    def _view_name(self) -> str:
        sources = self._requests.known_sources
        return self.source or (sources[0].name if sources else "")

    def _first_reader(self) -> Reader | None:
        """Return the reader that `next` uses."""
        return self.reader(every=self.mode == "lossless")

    def _last_reader_closed(self) -> None:
        """Do nothing: only a part closes with its last lossless reader."""

    def _now(self) -> float:
        """Return the time by the clock of the microscope's computer."""
        return time.perf_counter() + self._clock_ahead

    # The connection

    def _send(self, kind: int, header: dict[str, Any], payload: Any = b"") -> None:
        self._connection.send(kind, header, payload)

    def _connect(self, *, again: bool = False) -> None:
        connection = Connection(self.endpoint, self._take)
        with connection.polite():
            self._clock_ahead = float(connection.welcome["clock"]) - time.perf_counter()
            self._requests.take_sources(connection.welcome, answer=False)
        wishes: dict[str, Any] = {"source": self.source, "roi": self.roi, "mode": self.mode, "wait": again}
        wishes["packing"] = [protocol.BLOSC]  # of frames, if the companion was set to compress
        subscribed = connection.subscribe(wishes)
        with connection.polite():
            self._requests.take_rois(subscribed)
            state, reason = protocol.state_in(subscribed)
        with self._close_lock:
            if self.closed:
                connection.close()
                return
            with self._status.changed:  # no credit goes to one companion with slots for another
                self._frames.offers.restart(connection.welcome.get("slots"))
                self._connection = connection
                self._delivery.connected(self._send_credit, another=self.endpoint != self._connected_to)
        self._connected_to = self.endpoint
        self._take_counts(subscribed)
        self._status.set(state, reason)
        self._watchers.tell()

    def _send_credit(self, n: int) -> None:
        with contextlib.suppress(OSError):  # if the connection is lost, the receiving thread reconnects
            slots = self._frames.offers.make(n)
            self._connection.send(protocol.CREDIT, {"n": n, "slots": slots} if slots else {"n": n})

    def _run(self) -> None:
        with switch_interval.short():
            while not self.closed:
                try:
                    self._receive()
                except (OSError, *protocol.MALFORMED) as error:
                    if not self.closed:
                        self._reconnect(str(error))

    def _reconnect(self, why: str) -> None:
        self._connection.close()
        self._set_state("lost", why or "The companion has gone.")
        while not self.closed:
            for endpoint in endpoints.candidates(self.endpoint, self._wanted_endpoint):
                self._status.endpoint = endpoint
                try:
                    self._connect(again=True)
                except (OSError, ValueError) as error:
                    why = str(error)
                else:
                    return
            self._set_state("lost", why)
            with self._status.changed:
                self._status.changed.wait_for(lambda: self.closed, RETRY_SECONDS)

    def _receive(self) -> None:
        """Receive until the connection ends."""
        connection = self._connection
        while True:
            kind, header, size = connection.receive()
            if kind == protocol.FRAME:
                self._receive_frame(connection, header, size)
            elif kind == protocol.ERROR and "about" not in header:
                raise ConnectionError(str(header.get("text")))
            elif kind == protocol.BYE:
                raise ConnectionError(str(header.get("reason") or "The companion was closed."))
            elif not self._take(kind, header):
                raise protocol.ProtocolError(f"Unexpected message of kind {kind}.")

    def _receive_frame(self, connection: Connection, header: dict[str, Any], size: int) -> None:
        self._delivery.coming()
        began = time.perf_counter()
        frame = self._frames.receive(connection, header, size, self._delivery.gap_before(header["index"]))
        self._delivery.put(frame, time.perf_counter() - began)
        self.session.see(frame)
        self._watchers.tell()

    def _take(self, kind: int, header: dict[str, Any]) -> bool:
        """Handle a message other than a frame; return False if it is unexpected."""
        if kind == protocol.ROI:
            self._requests.take_rois(header)
        elif kind == protocol.SOURCES:
            self._requests.take_sources(header)
        elif kind == protocol.EVENT:
            self._take_counts(header)
            if "state" in header:
                self._status.set(*protocol.state_in(header))
        elif kind == protocol.ERROR and "about" in header:
            self._requests.take_refusal(header)
        else:
            return False
        self._watchers.tell()
        return True

    def _take_counts(self, header: dict[str, Any]) -> None:
        if "announced" in header:
            self._delivery.announce(int(header["announced"]), int(header.get("unsure", 0)))

    def _set_state(self, state: str, reason: str) -> None:
        if state == "lost":
            self.session.lose(reason)
        self._status.set(state, reason)
        self._watchers.tell()


class Part(Link):
    """A link that another link opened, with its own ROI or mode; it closes with its last lossless reader."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.whole: Link | None = None  # the link that opened it
        self._promised = 0  # callers of `promise` that have not created their reader yet
        super().__init__(*arguments, **options)

    def promise(self) -> bool:
        """Stay open until one more reader is created, even if all others close; return False if closed."""
        with self._close_lock:
            self._promised += not self.closed
            return not self.closed

    def reader(self, *, every: bool = False) -> Reader:
        """Return an independent reader; see `Link.reader`."""
        with self._close_lock:
            self._promised -= every and self._promised > 0
            return super().reader(every=every)

    def _first_reader(self) -> None:
        """Create none yet: a part keeps no frames until somebody reads."""

    def _last_reader_closed(self) -> None:
        """Close, or the companion would keep frames that nobody reads."""
        with self._close_lock:
            if self.closed or self._promised or self._delivery.has_queues:
                return
            self._status.set("closed", "")
        self._end()


def connect(
    endpoint: str | endpoints.Endpoint | None = None,
    *,
    source: str | None = None,
    roi: str | None = None,
    mode: str = "latest",
) -> Link:
    """Connect to a companion and return the link to its live view; see `Link`."""
    return Link(endpoint, source, roi, mode)
