"""Link: the client of a companion. Receives frames, and keeps them for whoever asks."""

from __future__ import annotations

import collections
import contextlib
import math
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from dmlink import endpoint as endpoints
from dmlink import shown, turns
from dmlink.connection import HANDSHAKE_SECONDS, Connection
from dmlink.frame import Axis, Frame, Line, Roi
from dmlink.indm import packing, protocol
from dmlink.reader import FRESH_SECONDS, LOSSLESS_AHEAD, EveryReader, Reader
from dmlink.ring import Ring
from dmlink.summary import summary
from dmlink.tally import LinkStats, Tally
from dmlink.watchers import Watchers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from dmlink.recorder import Recorder

RETRY_SECONDS = 0.5
ANSWER_SECONDS = 2.0  # how long to wait for what the companion is asked
QUICK_SECONDS = 0.005  # as many frames as travel in so much may follow each other: none is older for it
MAX_AHEAD = 4  # of them, at most
MODES = ("latest", "lossless")


class Source(NamedTuple):
    """A view that the companion can send: its name, its id in DM, shape (h, w) and data type."""

    name: str
    id: int
    shape: tuple[int, ...]
    dtype: str


class Link:
    """A connection to one view in DigitalMicrograph: an iterator over its frames, and a context manager.

    Parameters
    ----------
    endpoint : str, Endpoint or None
        `dmlink://HOST:PORT?token=...` as the companion prints it; by default the last one on this computer.
    source : str, optional
        Name of the view; by default the one that the companion was started on.
    roi : str, optional
        Name of a rectangle on the view: then only its pixels are sent.
    mode : {"latest", "lossless"}
        With "latest" a frame that comes while the last one is used is skipped, and counted. With "lossless"
        frames wait in DigitalMicrograph, up to 512 MB of them, and `next` gives each in turn.

    Attributes
    ----------
    state : str
        "live", "waiting" (no view or no ROI in DM), "lost" (no companion) or "closed"; `reason` says why.

    Raises
    ------
    ConnectionError
        If no companion answers, or the token is not the right one.
    ValueError
        If the endpoint, the view or the ROI does not exist.
    """

    def __init__(
        self,
        endpoint: str | endpoints.Endpoint | None = None,
        source: str | None = None,
        roi: str | None = None,
        mode: str = "latest",
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode={mode!r}: it must be one of {', '.join(MODES)}.")
        self._wanted_endpoint = endpoint
        self.endpoint = endpoints.find(endpoint)
        self.source = source
        self.roi = roi
        self.mode = mode
        self.state = "connecting"
        self.reason = ""
        self._ring = Ring()
        self._changed = threading.Condition()
        self._watchers = Watchers(self)
        self._rois: dict[str, Roi] = {}
        self._drawn: set[str] = set()  # rectangles that we have asked for; DM may not have them yet
        self._sources: tuple[Source, ...] = ()
        self._sources_asked = self._sources_answered = 0
        self._clock_ahead = 0.0  # the companion's clock against our monotonic one, s
        self._newest: Frame | None = None
        self._queue: collections.deque[Frame] = collections.deque()  # lossless: not taken yet
        self._takes_all = False  # lossless: somebody does take them
        self._arrived = 0.0  # monotonic
        self._asked = 0.0  # monotonic
        self._resumed = 0.0  # when it was asked after a rest, monotonic
        self._credit = 0  # frames that the companion may send
        self._at_once = 1  # how many it may at most have on their way, unless lossless
        self._last_index: int | None = None
        self._packer: Any = None  # made for the first packed frame
        self._tally = Tally()
        self._every: list[EveryReader] = []  # those that get every frame
        self._parts: dict[tuple[str | None, str], Link] = {}
        self._is_part = False
        self._closed = False
        self._close_lock = threading.Lock()
        try:
            self._connect()
        except BaseException:
            self._ring.close()
            raise
        self._reader = Reader(self)
        self._thread = threading.Thread(target=self._run, name="dmlink-link", daemon=True)
        self._thread.start()

    def next(self, timeout: float | None = None) -> Frame:
        """Return the newest frame that this has not returned yet, waiting for it up to `timeout` seconds.

        A lossless link returns the oldest one instead: every frame in turn.

        Raises
        ------
        TimeoutError
            If none came in time; the link goes on and can be asked again.
        ConnectionError
            If the link has been closed.
        """
        if self.mode == "lossless":
            return self._next_of_all(timeout)
        return self._reader.next(timeout)

    def reader(self, *, every: bool = False) -> Reader:
        """Return an independent reader: it gets the newest frame that itself has not seen.

        With `every`, on a lossless link, it gets every frame from now on, in order.
        """
        return EveryReader(self) if every else Reader(self)

    def __iter__(self) -> Iterator[Frame]:
        while True:
            try:
                yield self.next()
            except ConnectionError:
                return

    def part(self, roi: str | None, mode: str | None = None) -> Link:
        """Return the link to the rectangle `roi` of the same view; it is closed together with this one.

        Without `roi` that of this link, without `mode` that of this one.
        """
        wanted = roi or self.roi, mode or self.mode
        if wanted == (self.roi, self.mode):
            return self
        if wanted not in self._parts or self._parts[wanted].closed:
            part = self.another(*wanted)
            part._is_part = True  # noqa: SLF001 - of our own kind
            self._parts[wanted] = part
        return self._parts[wanted]

    def another(self, roi: str | None, mode: str) -> Link:
        """Return a link of its own to the same view, which finds the companion again as this one does."""
        other = Link(self.endpoint, self.source, roi, mode)
        other._wanted_endpoint = self._wanted_endpoint
        return other

    def sources(self) -> tuple[Source, ...]:
        """Return the views that the companion can send: every image that is open in DigitalMicrograph."""
        if threading.current_thread() is self._thread or self.state == "lost":
            return self._sources
        with self._changed:
            self._sources_asked += 1
            wanted = self._sources_asked
        with contextlib.suppress(OSError):
            self._connection.send(protocol.SOURCES, {})
            with self._changed:
                self._changed.wait_for(
                    lambda: self._sources_answered >= wanted or self.state in {"lost", "closed"},
                    ANSWER_SECONDS,
                )
        return self._sources

    def rois(self) -> dict[str, Roi]:
        """Return the rectangles on the view by name, as they are in DigitalMicrograph now."""
        return dict(self._rois)

    def set_roi(self, name: str, roi: Roi) -> None:
        """Move the rectangle `name` in DigitalMicrograph, or draw it; it is clamped to the image.

        Returns at once; `rois()` follows when DigitalMicrograph has done it.

        Raises
        ------
        ConnectionError
            If the companion is not there now.
        """
        if not 0 < len(name) <= 200:
            raise ValueError(f"The name of an ROI has 1 to 200 letters, not {name!r:.50}.")
        self._connection.send(protocol.ROI, {"name": name, "rectangle": [int(v) for v in roi]})
        self._drawn.add(name)

    def remove_roi(self, name: str) -> None:
        """Take the rectangle `name` away in DigitalMicrograph; returns at once, as `set_roi` does.

        Raises
        ------
        ValueError
            If there is no such rectangle.
        ConnectionError
            If the companion is not there now.
        """
        if name not in self._rois and name not in self._drawn:
            known = ", ".join(repr(n) for n in self._rois) or "none"
            raise ValueError(f"There is no ROI named {name!r} on the view; there are: {known}.")
        self._connection.send(protocol.ROI, {"name": name, "rectangle": None})
        self._drawn.discard(name)

    def show(self, name: str, result: Any) -> None:
        """Show a result in a window of DigitalMicrograph: a number over time, a profile, an image or colours.

        A later result of the same name is drawn into the same window, as fast as DigitalMicrograph can; one
        that comes before the last is drawn takes its place. If the user closes the window, it stays closed
        until `hide`.

        Raises
        ------
        TypeError
            If it is nothing that can be drawn there.
        ConnectionError
            If the companion is not there now.
        """
        header, payload = shown.packed(name, result)
        self._connection.send(protocol.SHOW, header, payload)

    def hide(self, name: str) -> None:
        """Close the window that `show` has opened."""
        self._connection.send(protocol.HIDE, {"name": name})

    def record(self, path: str | PathLike[str], **options: Any) -> Recorder:
        """Write every frame from now on to `path`, as OME-Zarr; see `dmlink.Recorder`."""
        from dmlink.recorder import Recorder  # noqa: PLC0415 - zarr takes 0.2 s

        return Recorder(self, path, **options)

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` (from the link's thread) on every frame and change; return how to end that."""
        return self._watchers.add(callback)

    def age(self, frame: Frame) -> float:
        """Return how long ago the frame was copied in DigitalMicrograph, in seconds."""
        return max(0.0, time.monotonic() + self._clock_ahead - frame.time)

    @property
    def newest(self) -> Frame | None:
        """The newest frame received, seen or not."""
        return self._newest

    @property
    def stats(self) -> LinkStats:
        """What has come through until now."""
        newest = self._newest
        return self._tally.stats(self.age(newest) if newest else None)

    def reconnect(self) -> None:
        """Drop the connection and find the companion again, as if it had been lost; returns at once."""
        if not self._closed:
            self._connection.shut()

    def close(self) -> None:
        """Close the connection; whoever waits for a frame is told."""
        with self._close_lock:
            if self._closed:
                return
            self._closed = True
        for part in list(self._parts.values()):
            part.close()
        with contextlib.suppress(OSError):
            self._connection.send(protocol.BYE, {"reason": "The link was closed."})
        self._connection.shut()
        self._set_state("closed", "")
        if self._thread is not threading.current_thread():
            self._thread.join(HANDSHAKE_SECONDS + 2.0)
        self._connection.close()
        self._newest = None
        self._queue.clear()
        self._ring.close()

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._closed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        what = f"ROI {self.roi!r} of " if self.roi else ""
        name = self.source or (self._sources[0].name if self._sources else "?")
        reason = f": {self.reason}" if self.reason else ""
        return f"<Link to {what}{name!r} at {self.endpoint.address}, {self.state}{reason}>"

    def _repr_html_(self) -> str:
        stats, newest = self.stats, self._newest
        facts = {
            "endpoint": self.endpoint.address,
            "state": f"{self.state}: {self.reason}" if self.reason else self.state,
            "view": self.source or (self._sources[0].name if self._sources else ""),
            "ROI": self.roi or "",
            "received": f"{stats.received} frames, {stats.rate:.1f} frames/s",
            "dropped": str(stats.dropped),
        }
        return summary("Link to DigitalMicrograph", facts, newest.data if newest else None)

    # The connection

    def _connect(self, *, again: bool = False) -> None:
        connection = Connection(self.endpoint, self._notice)
        self._clock_ahead = float(connection.welcome["clock"]) - time.monotonic()
        self._take_sources(connection.welcome)
        wishes: dict[str, Any] = {"source": self.source, "roi": self.roi, "mode": self.mode, "wait": again}
        wishes["packing"] = [protocol.BLOSC]  # of frames, if the companion has been told so
        subscribed = connection.subscribe(wishes)
        self._take_rois(subscribed)
        with self._close_lock:
            if self._closed:
                connection.close()
                return
            self._connection = connection
        with self._changed:
            self._credit = 0
            ahead = LOSSLESS_AHEAD - len(self._queue) if self.mode == "lossless" else 1
            if ahead > 0:
                self._grant(ahead)
        self._set_state(str(subscribed.get("state", "live")), str(subscribed.get("reason", "")))

    def _run(self) -> None:
        with turns.short():
            while not self._closed:
                try:
                    self._receive()
                except (OSError, protocol.ProtocolError, KeyError, TypeError, ValueError) as error:
                    if not self._closed:
                        self._reconnect(str(error))

    def _reconnect(self, why: str) -> None:
        self._connection.close()
        self._set_state("lost", why or "The companion has gone.")
        while not self._closed:
            for endpoint in self._candidates():
                self.endpoint = endpoint
                try:
                    self._connect(again=True)
                except (OSError, ValueError, KeyError, TypeError) as error:
                    why = str(error)
                else:
                    return
            self._set_state("lost", why)
            with self._changed:
                self._changed.wait_for(lambda: self._closed, RETRY_SECONDS)

    def _candidates(self) -> list[endpoints.Endpoint]:
        """Return where the companion may be: one that was run again has another token."""
        found = [self.endpoint]
        with contextlib.suppress(ConnectionError, ValueError):
            wanted = endpoints.find(self._wanted_endpoint)
            found.insert(0, wanted)
        with contextlib.suppress(ConnectionError):
            left = endpoints.of_file()
            if left[:2] in {endpoint[:2] for endpoint in found}:
                found.insert(0, left)
        return list(dict.fromkeys(found))

    def _receive(self) -> None:
        """Receive until the connection ends."""
        connection = self._connection
        while True:
            kind, header, size = connection.receive()
            if kind == protocol.FRAME:
                self._receive_frame(connection, header, size)
            elif kind == protocol.ERROR:
                raise ConnectionError(str(header.get("text")))
            elif kind == protocol.BYE:
                raise ConnectionError(str(header.get("reason") or "The companion has ended."))
            elif not self._notice(kind, header):
                raise protocol.ProtocolError(f"A message of kind {kind} makes no sense here.")

    def _receive_frame(self, connection: Connection, header: dict[str, Any], size: int) -> None:
        shape, dtype = protocol.pixels(header, size)
        memory, block = self._ring.take(math.prod(shape) * dtype.itemsize)
        began = time.monotonic()
        if self.mode == "latest":
            with self._changed:
                self._credit -= 1
                if began - self._asked < FRESH_SECONDS and self._credit <= self._at_once // 2:
                    self._grant(self._at_once - self._credit)  # the next can be copied while this one travels
        if "packing" in header:
            self._unpack(connection, size, memory)
        else:
            connection.fill(memory)
        now = time.monotonic()
        self._at_once = max(1, min(MAX_AHEAD, int(QUICK_SECONDS / max(now - began, 1e-6))))
        data = memory.view(dtype).reshape(shape)
        data.flags.writeable = False
        index = int(header["index"])
        last = index - 1 if self._last_index is None else self._last_index
        self._last_index = index
        dropped = max(0, index - last - 1)
        frame = Frame(
            data,
            index,
            float(header["time"]),
            Axis(*header["y"]),
            Axis(*header["x"]),
            Roi(*header["roi"]) if header.get("roi") else None,
            str(header["source"]),
            dict(header["tags"]),
            dropped,
            block,
            Line(*map(float, header["line"])) if header.get("line") else None,
        )
        with self._changed:
            self._newest, self._arrived = frame, now
            if self.mode == "lossless":
                self._credit -= 1
                self._queue.append(frame)
                self._hand_out(frame)
            self._tally.count(frame, now)
            self._changed.notify_all()
        self._watchers.tell()

    def _unpack(self, connection: Connection, size: int, memory: np.ndarray) -> None:
        if self._packer is None:
            self._packer = packing.packer()
        data = np.empty(size, np.uint8)
        connection.fill(data)
        packing.unpack(self._packer, data, memory)

    def _hand_out(self, frame: Frame) -> None:
        for reader in self._every:
            reader.put(frame)
        if self._every and not self._takes_all:
            self._queue.clear()
            self._grant(LOSSLESS_AHEAD - self._credit)

    def _next_of_all(self, timeout: float | None) -> Frame:
        with self._changed:
            self._takes_all = True
            came = self._changed.wait_for(lambda: self._queue or self._closed, timeout)
            if self._closed:
                raise ConnectionError(f"The link to {self.endpoint.address} was closed.")
            if not came:
                raise self._timeout(timeout)
            frame = self._queue.popleft()
            if self._credit + len(self._queue) < LOSSLESS_AHEAD:
                self._grant(1)
        return frame

    def _timeout(self, timeout: float | None) -> TimeoutError:
        state = f"{self.state}: {self.reason}" if self.reason else self.state
        return TimeoutError(f"No new frame from {self.endpoint.address} within {timeout or 0:g} s ({state}).")

    def _notice(self, kind: int, header: dict[str, Any]) -> bool:
        """Take in what the companion says besides frames; False if it makes no sense."""
        if kind == protocol.ROI:
            self._take_rois(header)
            self._watchers.tell()
        elif kind == protocol.SOURCES:
            self._take_sources(header)
            with self._changed:
                self._sources_answered += 1
                self._changed.notify_all()
        elif kind == protocol.EVENT:
            self._set_state(str(header.get("state")), str(header.get("reason", "")))
        else:
            return False
        return True

    def _take_rois(self, header: dict[str, Any]) -> None:
        self._rois = {str(name): Roi(*(int(v) for v in r)) for name, r in header["rois"].items()}
        self._drawn -= set(self._rois)

    def _take_sources(self, header: dict[str, Any]) -> None:
        self._sources = tuple(
            Source(s["name"], s["id"], tuple(s["shape"]), s["dtype"]) for s in header["sources"]
        )

    def _ask(self) -> None:
        """Note that somebody wants a frame; let the companion send one if it may not do so already."""
        with self._changed:
            self._asked = time.monotonic()
            if self._credit:
                return
            if self.mode == "latest":
                self._resumed = self._asked
                self._grant(1)
            elif self._queue and not self._takes_all:  # it is empty once the link is closed
                self._queue.popleft()  # readers want but the newest, and nobody else is there
                self._grant(1)

    def _grant(self, n: int) -> None:
        if n <= 0:
            return
        self._credit += n
        with contextlib.suppress(OSError):  # lost: the receiving thread sees it too, and mends it
            self._connection.send(protocol.CREDIT, {"n": n})

    def _set_state(self, state: str, reason: str) -> None:
        with self._changed:
            if self._closed:
                state, reason = "closed", ""
            self.state, self.reason = state, reason
            self._changed.notify_all()
        self._watchers.tell()


def connect(
    endpoint: str | endpoints.Endpoint | None = None,
    *,
    source: str | None = None,
    roi: str | None = None,
    mode: str = "latest",
) -> Link:
    """Connect to a companion and return the link to its live view; see `Link`."""
    return Link(endpoint, source, roi, mode)
