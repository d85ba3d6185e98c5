"""One link, seen from DigitalMicrograph: its authentication, its requests, and what is queued for it."""

from __future__ import annotations

import collections
import socket
import time
from typing import Any, Iterator, NamedTuple, Sequence

from dmlink.indm.companion.region import Picture, Region
from dmlink.indm.companion.slots import Slots
from dmlink.indm.protocol import (
    AUTH,
    BYE,
    DEAD_SECONDS,
    ERROR,
    EVENT,
    FRAME,
    HANDSHAKE_SECONDS,
    HELLO,
    MAX_HEADER,
    MAX_UNKNOWN,
    PING,
    PING_SECONDS,
    PREFIX,
    ROI,
    SOURCES,
    VERSION,
    Decoder,
    Message,
    ProtocolError,
    in_parts,
    is_name,
    is_nonce,
    nonce,
    pack,
    proof,
    proves,
)

STALLED_SECONDS = 10.0  # a client that reads nothing for this long is disconnected
FAREWELL_SECONDS = 1.0  # time that a refused client has to read the reason
MAX_SHOWN = 256 * 1024**2  # largest result to be shown in DM, bytes
MAX_LINED_UP = 1000  # messages queued for a client that does not read


class Gone(OSError):  # noqa: N818 - it says what happened
    """The other end is gone, or too slow to wait for."""


class Queued(NamedTuple):
    """Bytes to be sent, the picture that they are of, and the sizes of the pieces already sent."""

    data: memoryview
    picture: Picture | None
    sent: list[int]


class Client:
    """A connection; nothing here blocks.

    Ctrl+Shift+Q may interrupt it anywhere. What has been queued and sent is noted in such a way that the
    messages stay whole, so that the link still receives the last count of frames.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self.welcome = False  # it has proved that it has the token
        self.source: str | None = None  # name of the view that it wants; None for the default view
        self.region: Region | None = None
        self.packer: Any = None  # set if this link can unpack
        self.slots = Slots()
        self.credit = 0
        self.seen: tuple[Any, ...] | None = None  # `moment` of the last picture sent
        self.told: tuple[str, str] | None = None  # state and reason last sent
        self.announced: tuple[int, int] | None = None  # frame number and unsure events last sent
        self.announced_at = 0.0  # monotonic
        self.rois: dict[str, Any] = {}  # rectangles last sent
        self.outlines: dict[str, Any] = {}  # of those that have one
        self.shape: tuple[int, ...] = ()  # the view that they are on
        self._nonces = ("", nonce())  # theirs, ours
        self._decoder = Decoder(MAX_UNKNOWN - PREFIX.size, 0)
        self._born = self._heard = self._progress = time.monotonic()
        self._pinged: float | None = None
        self._farewell: float | None = None  # since when it has only been waiting to read why it is refused
        self._outbox: collections.deque[Queued] = collections.deque()

    @property
    def sending(self) -> bool:
        """Whether something is waiting to be sent."""
        return bool(self._outbox)

    @property
    def ready(self) -> bool:
        """Whether a picture can be sent now."""
        return self.credit > 0 and not self._outbox and self._farewell is None

    def introduce(self, kind: int, header: dict[str, Any], token: str) -> bool:
        """Answer a message of the handshake; True once the client has proved that it has the token.

        Raises
        ------
        ProtocolError
            If the proof is wrong, or the version differs.
        """
        theirs, ours = self._nonces
        if kind == HELLO and not theirs:
            version = header.get("version")
            if type(version) is not int or version != VERSION:
                raise ProtocolError(
                    f"This companion speaks version {VERSION}, the link {version!r:.20}. Write "
                    "a new companion with `dmlink companion --overwrite`."
                )
            theirs = header.get("nonce", "")
            if not is_nonce(theirs):
                raise ProtocolError("A HELLO needs a nonce of 32 to 128 letters, digits, - and _.")
            self._nonces = (theirs, ours)
            claim = proof(token, "server", theirs, ours)
            self.put(HELLO, {"version": VERSION, "nonce": ours, "proof": claim})
            return False
        if kind == AUTH and theirs and proves(header.get("proof"), token, "client", theirs, ours):
            self.welcome = True
            self._decoder.limits = (MAX_HEADER, MAX_SHOWN)
            return True
        raise ProtocolError(
            "The token does not match the companion that is running now. Copy the latest dmlink://... line "
            "that it printed."
        )

    def receive(self) -> Iterator[Message]:
        """Read what has arrived and yield the complete messages.

        Raises
        ------
        Gone
            If the other end has closed the connection.
        ProtocolError
            If it is not a valid message.
        """
        try:
            data = self.socket.recv(1 << 20 if self.welcome else 65536)
        except BlockingIOError:
            return
        if not data:
            raise Gone
        self._heard, self._pinged = time.monotonic(), None
        if self._farewell is None:
            yield from self._decoder.feed(data)

    def put(self, kind: int, header: dict[str, Any] | None = None) -> None:
        """Queue a message."""
        if len(self._outbox) > MAX_LINED_UP:
            raise Gone
        self._line_up(pack(kind, header), None)

    def put_picture(self, picture: Picture) -> None:
        """Queue a frame against one credit."""
        self.credit -= 1
        self.seen = picture.moment
        self.announced = picture.header["index"], self.announced[1] if self.announced else 0
        self.announced_at = time.monotonic()
        slot = picture.slot_among(self.slots)
        if slot:
            header, pixels = picture.header, b""
        elif self.packer:
            header, pixels = picture.packed(self.packer)
        else:
            header, pixels = picture.header, picture.pixels
        picture.readers += 1
        self._line_up(pack(FRAME, dict(header, **self.slots.named(slot)), pixels), picture)

    def refuse(self, why: str) -> None:
        """Send what was wrong; after that, nothing more is read from this client or sent to it."""
        if self._farewell is None:
            self.put(ERROR, {"text": why})
            self._farewell = time.monotonic()

    def decline(self, kind: int, header: dict[str, Any], why: str) -> None:
        """Say why a message of this kind is refused; the connection continues."""
        name = header.get("name")
        about = {"name": name} if is_name(name) else {}
        self.put(ERROR, dict(about, about=kind, text=why))

    def put_sources(self, kind: int, sources: Sequence[dict[str, Any]], **header: Any) -> None:
        """Queue the list of views, in a message of this kind and as many more as it needs."""
        for part, flags in in_parts(sources):
            self.put(kind, dict(header, sources=part, **flags))
            kind, header = SOURCES, {}

    def put_rois(self, kind: int, rois: dict[str, Any], outlines: dict[str, Any], **header: Any) -> None:
        """Queue the rectangles by name, in a message of this kind and as many more as it needs.

        `outlines` are those of the rectangles that have one.
        """
        self.rois, self.outlines = rois, outlines
        for part, flags in in_parts(with_outlines(rois, outlines)):
            self.put(kind, dict(header, **named(part), **flags))
            kind, header = ROI, {}

    def send(self) -> None:
        """Send as much as possible without blocking.

        Raises
        ------
        OSError
            If the other end is gone, or has been told why it is disconnected.
        """
        while self._outbox:
            queued = self._outbox[0]
            rest = queued.data[sum(queued.sent) :]
            if rest:
                try:
                    # A single call of C: an interruption cannot come between sending and noting the size.
                    queued.sent.extend(map(self.socket.send, (rest,)))
                except BlockingIOError:
                    return
                self._progress = time.monotonic()
            else:
                self._outbox.popleft()
                done(queued.picture)
        if self._farewell is not None:
            # if it were closed immediately with unread bytes, the system would discard our last message
            self.socket.shutdown(socket.SHUT_WR)

    def check(self, now: float) -> None:
        """Raise Gone if the client is too late, too slow or dead; send a PING if it is silent."""
        if self._farewell is not None:
            if now - self._farewell > FAREWELL_SECONDS:
                raise Gone
        elif not self.welcome:
            if now - self._born > HANDSHAKE_SECONDS:
                raise Gone
        elif self._outbox:
            if now - self._progress > STALLED_SECONDS:
                raise Gone
        elif self._pinged is not None:
            if now - self._pinged > DEAD_SECONDS - PING_SECONDS:
                raise Gone
        elif now - self._heard > PING_SECONDS:
            self._pinged = now
            self.put(PING)

    def close(self) -> None:
        """Close the connection and discard everything queued."""
        self.socket.close()
        self.slots.close()
        while self._outbox:
            done(self._outbox.popleft().picture)

    def announce(self, counts: tuple[int, int]) -> None:
        """Queue the number of the source's newest frame and its count of unsure events."""
        self.announced, self.announced_at = counts, time.monotonic()
        self.put(EVENT, {"announced": counts[0], "unsure": counts[1]})

    def part(self, why: str, counts: tuple[int, int] | None) -> None:
        """Send a BYE and the final number of frames; then the other end closes the connection."""
        if self.region and counts:
            self.announce(counts)
        self.put(BYE, {"reason": why})
        self._farewell = time.monotonic()
        self.send()

    def _line_up(self, buffers: list[Any], picture: Picture | None) -> None:
        if not self._outbox:
            self._progress = time.monotonic()
        pictures = [*[None] * (len(buffers) - 1), picture]
        self._outbox.extend([Queued(memoryview(one), of, []) for one, of in zip(buffers, pictures)])


def done(picture: Picture | None) -> None:
    """Count one client fewer that still needs this picture."""
    if picture:
        picture.readers -= 1
        if picture.readers == 0:
            picture.done()


def with_outlines(rois: dict[str, Any], outlines: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return the rectangles with their names and outlines (None without one), in their order."""
    return [(name, place, outlines.get(name)) for name, place in rois.items()]


def named(part: Sequence[tuple[str, Any, Any]]) -> dict[str, Any]:
    """Return the fields of a header for these rectangles."""
    outlines = {name: outline for name, _, outline in part if outline}
    rois = {name: place for name, place, _ in part}
    return {"rois": rois, "outlines": outlines} if outlines else {"rois": rois}
