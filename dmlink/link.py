"""Link: the client of a companion. Receives the newest frame, and keeps it for whoever asks."""

from __future__ import annotations

import collections
import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from dmlink import endpoint as endpoints
from dmlink.frame import Axis, Frame, Roi
from dmlink.indm import protocol
from dmlink.ring import Ring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HANDSHAKE_SECONDS = 3.0
RETRY_SECONDS = 1.0
FRESH_SECONDS = 0.5  # a frame that nobody has asked for in this time is out of date


class Source(NamedTuple):
    """A view that the companion can send: its name, its id in DM, shape (h, w) and data type."""

    name: str
    id: int
    shape: tuple[int, ...]
    dtype: str


class LinkStats(NamedTuple):
    """What has come through a link.

    `received` and `dropped` count frames (dropped: seen by the companion, never sent), `bytes` their pixels;
    `rate` is in frames/s, `age` that of the newest frame in seconds (None before the first).
    """

    received: int
    dropped: int
    bytes: int
    rate: float
    age: float | None


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

    Attributes
    ----------
    state : str
        "live", "waiting" (no view in DM) or "lost" (no companion); `reason` says why.

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
    ) -> None:
        self._wanted_endpoint = endpoint
        self.endpoint = endpoints.find(endpoint)
        self.source = source
        self.roi = roi
        self.state = "connecting"
        self.reason = ""
        self._ring = Ring()
        self._changed = threading.Condition()
        self._watchers: list[Callable[[], None]] = []
        self._rois: dict[str, Roi] = {}
        self._sources: tuple[Source, ...] = ()
        self._clock_ahead = 0.0  # the companion's clock against ours, s
        self._newest: Frame | None = None
        self._arrived = 0.0  # monotonic
        self._asked = 0.0  # monotonic
        self._credit_out = False
        self._received = self._dropped = self._bytes = 0
        self._arrivals: collections.deque[float] = collections.deque(maxlen=60)
        self._parts: dict[str, Link] = {}
        self._closed = False
        self._send_lock = threading.Lock()
        self._socket = self._connect()
        self._reader = Reader(self)
        self._thread = threading.Thread(target=self._run, name="dmlink-link", daemon=True)
        self._thread.start()

    def next(self, timeout: float | None = None) -> Frame:
        """Return the newest frame that this has not returned yet, waiting for it up to `timeout` seconds.

        Raises
        ------
        TimeoutError
            If none came in time; the link goes on and can be asked again.
        ConnectionError
            If the link has been closed.
        """
        return self._reader.next(timeout)

    def reader(self) -> Reader:
        """Return an independent reader: it gets the newest frame that itself has not seen."""
        return Reader(self)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._reader)

    def part(self, roi: str) -> Link:
        """Return the link to the rectangle `roi` of the same view; it is closed together with this one."""
        if roi == self.roi:
            return self
        if roi not in self._parts or self._parts[roi].closed:
            self._parts[roi] = Link(self._wanted_endpoint or self.endpoint, self.source, roi)
        return self._parts[roi]

    def sources(self) -> tuple[Source, ...]:
        """Return the views that the companion can send."""
        return self._sources

    def rois(self) -> dict[str, Roi]:
        """Return the rectangles on the view by name, as they are in DigitalMicrograph now."""
        return dict(self._rois)

    def set_roi(self, name: str, roi: Roi) -> None:
        """Move the rectangle `name` in DigitalMicrograph, or draw it; it is clamped to the image.

        Returns at once; `rois()` follows when DigitalMicrograph has done it.
        """
        self._send(protocol.ROI, {"name": name, "rectangle": [int(v) for v in roi]})

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` (from the link's thread) on every frame and change; return how to end that."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def age(self, frame: Frame) -> float:
        """Return how long ago the frame was copied in DigitalMicrograph, in seconds."""
        return max(0.0, time.time() + self._clock_ahead - frame.time)

    @property
    def newest(self) -> Frame | None:
        """The newest frame received, seen or not."""
        return self._newest

    @property
    def stats(self) -> LinkStats:
        """What has come through until now."""
        now, arrivals = time.monotonic(), list(self._arrivals)
        recent = [t for t in arrivals if now - t < 3.0]
        rate = (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 2 else 0.0
        age = self.age(self._newest) if self._newest else None
        return LinkStats(self._received, self._dropped, self._bytes, rate, age)

    def close(self) -> None:
        """Close the connection; whoever waits for a frame is told."""
        if self._closed:
            return
        self._closed = True
        for part in self._parts.values():
            part.close()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._set_state("closed", "")
        if self._thread is not threading.current_thread():
            self._thread.join(5.0)
        self._newest = None
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

    # The connection

    def _connect(self) -> socket.socket:
        try:
            sock = socket.create_connection(self.endpoint[:2], HANDSHAKE_SECONDS)
        except OSError as error:
            raise ConnectionError(
                f"No companion answers at {self.endpoint.address} ({error}). Run dm_companion.py in "
                "DigitalMicrograph, or `dmlink simulate RECORDING` here."
            ) from None
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._introduce(sock)
            sock.settimeout(None)
        except TimeoutError:
            sock.close()
            raise ConnectionError(
                f"What listens at {self.endpoint.address} does not answer as a companion does."
            ) from None
        except BaseException:
            sock.close()
            raise
        return sock

    def _introduce(self, sock: socket.socket) -> None:
        ours = protocol.nonce()
        _send(sock, protocol.HELLO, {"version": protocol.VERSION, "nonce": ours})
        hello = self._expect(sock, protocol.HELLO)
        nonces = ours, str(hello.get("nonce"))
        if not protocol.proves(hello.get("proof"), self.endpoint.token, "server", *nonces):
            raise ConnectionError(
                f"The token does not fit the companion at {self.endpoint.address}. "
                "Take the dmlink://... line that it printed last."
            )
        proof = protocol.proof(self.endpoint.token, "client", *nonces)
        _send(sock, protocol.AUTH, {"proof": proof})
        welcome = self._expect(sock, protocol.WELCOME)
        self._clock_ahead = float(welcome["clock"]) - time.time()
        self._take_rois(welcome)
        self._take_sources(welcome)
        _send(sock, protocol.SUBSCRIBE, {"source": self.source, "roi": self.roi})
        self._expect(sock, protocol.SUBSCRIBE)
        _send(sock, protocol.CREDIT, {"n": 1})
        self._credit_out = True
        if self.state != "waiting":
            self._set_state("live", "")

    def _expect(self, sock: socket.socket, kind: int) -> dict[str, Any]:
        """Return the header of the next message of `kind`; take notice of others on the way."""
        while True:
            got, header, size = _receive_header(sock)
            if got == kind:
                return header
            if got == protocol.ERROR:
                text = str(header.get("text"))
                if kind == protocol.SUBSCRIBE:
                    raise ValueError(text)
                raise ConnectionError(text)
            if size or not self._notice(got, header):
                raise ConnectionError("The companion does not keep to the protocol.")

    def _run(self) -> None:
        while not self._closed:
            try:
                self._receive()
            except (OSError, protocol.ProtocolError) as error:
                self._reconnect(f"{error}")

    def _reconnect(self, why: str) -> None:
        self._socket.close()
        self._set_state("lost", why or "The companion has gone.")
        while not self._closed:
            time.sleep(RETRY_SECONDS)
            try:
                self.endpoint = endpoints.find(self._wanted_endpoint)
                self._socket = self._connect()
            except (OSError, ValueError) as error:
                self._set_state("lost", str(error))
            else:
                return

    def _receive(self) -> None:
        """Receive until the connection ends."""
        while True:
            kind, header, size = _receive_header(self._socket)
            if kind == protocol.FRAME:
                self._receive_frame(header, size)
            elif kind == protocol.ERROR:
                raise ConnectionError(str(header.get("text")))
            elif size or not self._notice(kind, header):
                raise protocol.ProtocolError(f"A message of kind {kind} makes no sense here.")

    def _receive_frame(self, header: dict[str, Any], size: int) -> None:
        shape, dtype = protocol.pixels(header, size)
        memory, block = self._ring.take(size)
        _receive_into(self._socket, memory)
        data = memory.view(dtype).reshape(shape)
        data.flags.writeable = False
        index = int(header["index"])
        last = self._newest.index if self._newest else index - 1
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
        )
        now = time.monotonic()
        with self._changed:
            self._newest, self._arrived, self._credit_out = frame, now, False
            self._received += 1
            self._dropped += dropped
            self._bytes += size
            self._arrivals.append(now)
            self._changed.notify_all()
        if now - self._asked < FRESH_SECONDS:
            self._grant()
        self._tell()

    def _notice(self, kind: int, header: dict[str, Any]) -> bool:
        """Take in what the companion says besides frames; False if it makes no sense."""
        if kind == protocol.ROI:
            self._take_rois(header)
            self._tell()
        elif kind == protocol.SOURCES:
            self._take_sources(header)
        elif kind == protocol.EVENT:
            self._set_state(str(header.get("state")), str(header.get("reason", "")))
        else:
            return False
        return True

    def _take_rois(self, header: dict[str, Any]) -> None:
        self._rois = {str(name): Roi(*(int(v) for v in r)) for name, r in header["rois"].items()}

    def _take_sources(self, header: dict[str, Any]) -> None:
        self._sources = tuple(
            Source(s["name"], s["id"], tuple(s["shape"]), s["dtype"]) for s in header["sources"]
        )

    def _ask(self) -> None:
        """Note that somebody wants a frame; let the companion send one if it may not do so already."""
        self._asked = time.monotonic()
        if not self._credit_out:
            self._grant()

    def _grant(self) -> None:
        with self._changed:
            if self._credit_out:
                return
            self._credit_out = True
        with contextlib.suppress(OSError):  # lost: the receiving thread sees it too, and mends it
            self._send(protocol.CREDIT, {"n": 1})

    def _send(self, kind: int, header: dict[str, Any]) -> None:
        with self._send_lock:
            _send(self._socket, kind, header)

    def _set_state(self, state: str, reason: str) -> None:
        with self._changed:
            self.state, self.reason = state, reason
            self._changed.notify_all()
        self._tell()

    def _tell(self) -> None:
        for callback in list(self._watchers):
            callback()


class Reader:
    """One reader of a link, with its own idea of what is new.

    `received` counts the frames it was given, `dropped` the source's frames in between that it was not.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._last: Frame | None = None
        self._again = False
        self._closed = False
        self.received = 0
        self.dropped = 0

    def next(self, timeout: float | None = None) -> Frame:
        """Return the newest frame not yet returned. Raises as `Link.next` does."""
        link = self._link
        began = time.monotonic()
        changed = link._changed  # noqa: SLF001 - two halves of one thing
        link._ask()  # noqa: SLF001
        with changed:
            while (frame := self._new(time.monotonic() - began)) is None:
                if self.closed:
                    raise ConnectionError(f"The link to {link.endpoint.address} was closed.")
                left = None if timeout is None else began + timeout - time.monotonic()
                if left is not None and left <= 0:
                    state = f"{link.state}: {link.reason}" if link.reason else link.state
                    raise TimeoutError(
                        f"No new frame from {link.endpoint.address} within {timeout:g} s ({state})."
                    )
                changed.wait(FRESH_SECONDS if left is None else min(left, FRESH_SECONDS))
                link._asked = time.monotonic()  # noqa: SLF001
        self._take(frame)
        return frame

    def poll(self) -> Frame | None:
        """Return the newest frame if it is a new one, without waiting; ask for the one after it."""
        link = self._link
        link._ask()  # noqa: SLF001
        frame = link.newest
        if frame is None or frame is self._last:
            return None
        self._take(frame)
        return frame

    def __iter__(self) -> Iterator[Frame]:
        while True:
            try:
                yield self.next()
            except ConnectionError:
                return

    @property
    def closed(self) -> bool:
        """Whether no more frames will come."""
        return self._closed or self._link.closed

    def again(self) -> None:
        """Let `next` return the newest frame at once, although it has been returned: to look at it anew."""
        with self._link._changed:  # noqa: SLF001
            self._again = True
            self._link._changed.notify_all()  # noqa: SLF001

    def close(self) -> None:
        """End this reader; who waits for its next frame gets a ConnectionError."""
        with self._link._changed:  # noqa: SLF001
            self._closed = True
            self._link._changed.notify_all()  # noqa: SLF001

    def _take(self, frame: Frame) -> None:
        if self._last is not None:
            self.dropped += max(0, frame.index - self._last.index - 1)
        if frame is not self._last:
            self.received += 1
        self._last = frame

    def _new(self, waited: float) -> Frame | None:
        """Return the link's newest frame if it is new here, and fresh or the best there will be."""
        link = self._link
        frame = link.newest
        if self._again and frame is not None:
            self._again = False
            return frame
        if frame is None or frame is self._last:
            return None
        fresh = time.monotonic() - link._arrived < FRESH_SECONDS  # noqa: SLF001
        return frame if fresh or waited > FRESH_SECONDS else None


def connect(
    endpoint: str | endpoints.Endpoint | None = None, *, source: str | None = None, roi: str | None = None
) -> Link:
    """Connect to a companion and return the link to its live view; see `Link`."""
    return Link(endpoint, source, roi)


def _send(sock: socket.socket, kind: int, header: dict[str, Any]) -> None:
    sock.sendall(b"".join(protocol.pack(kind, header)))


def _receive_header(sock: socket.socket) -> tuple[int, dict[str, Any], int]:
    """Return (kind, header, payload length) of the next message; the payload is still to be received."""
    prefix = np.empty(protocol.PREFIX.size, np.uint8)
    _receive_into(sock, prefix)
    kind, length, size = protocol.unpack_prefix(prefix)
    text = np.empty(length, np.uint8)
    _receive_into(sock, text)
    return kind, protocol.unpack_header(text), size


def _receive_into(sock: socket.socket, array: Any) -> None:
    view = memoryview(array)
    while view:
        n = sock.recv_into(view, flags=socket.MSG_WAITALL)
        if n == 0:
            raise ConnectionResetError("The companion has ended the connection.")
        view = view[n:]
