"""Connection: an authenticated socket to a companion that carries whole messages."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from dmlink.indm import protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.link.endpoint import Endpoint

CONNECT_SECONDS = 3.0  # until the other computer accepts a connection
ANSWER_SECONDS = 10.0  # until a companion, which DigitalMicrograph may keep busy, has let a link in
QUIET_SECONDS = protocol.PING_SECONDS / 3  # without a byte: how often to check whether a PING is due
WAIT_WITH_SELECT = sys.platform == "win32"  # on Windows, a socket is in an undefined state after a time-out
WAKE_BYTES = 512 * 1024  # per wake-up in a large frame; waking for every segment takes a quarter more time
READ_AHEAD = 4096  # bytes: one call gets prefix and header of most messages and little of the payload


class Connection:
    """Connects and authenticates: once this is constructed, both ends have proved that they hold the token.

    Parameters
    ----------
    endpoint : Endpoint
        Where the companion is.
    notice : callable
        Called with (kind, header) of a message that arrives while another one is expected; returns False if
        it is invalid.

    Attributes
    ----------
    welcome : dict
        The companion's WELCOME message: sources, ROIs, its clock.

    Raises
    ------
    ConnectionError
        If no companion answers there, or it has another token.
    """

    def __init__(self, endpoint: Endpoint, notice: Callable[[int, dict[str, Any]], bool]) -> None:
        self.endpoint = endpoint
        self._notice = notice
        self._deadline = time.monotonic() + ANSWER_SECONDS
        self._send_lock = threading.Lock()
        self._read = b""  # bytes received and not used yet
        try:
            self._socket = socket.create_connection(endpoint[:2], CONNECT_SECONDS)
        except OSError as error:
            raise ConnectionError(
                f"No companion answers at {endpoint.address} ({error}). Run dm_companion.py in "
                "DigitalMicrograph, or `dmlink simulate RECORDING` here."
            ) from None
        with self.polite():
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.welcome = self._introduce()

    def subscribe(self, wishes: dict[str, Any]) -> dict[str, Any]:
        """Ask for frames and return the companion's answer. After this, use `receive`.

        Raises
        ------
        ValueError
            If there is no such view or ROI.
        """
        with self.polite():
            self._put(protocol.SUBSCRIBE, wishes)
            subscribed = self._expect(protocol.SUBSCRIBE)
            self._socket.settimeout(None)
            _give_up_after(self._socket, QUIET_SECONDS)
        return subscribed

    def send(self, kind: int, header: dict[str, Any], payload: Any = b"") -> None:
        """Send a message; from any thread.

        Raises
        ------
        ConnectionError
            If the companion has gone.
        """
        with self._send_lock:
            try:
                self._put(kind, header, payload)
            except BaseException as error:  # also an interrupt of the kernel
                self.shut()  # half a message may have been sent, so the connection is unusable
                if isinstance(error, OSError):
                    raise ConnectionError(f"Lost the companion at {self.endpoint.address}.") from None
                raise

    def receive(self) -> tuple[int, dict[str, Any], int]:
        """Return (kind, header, payload length) of the next message; `fill` receives the payload.

        Raises
        ------
        ConnectionError
            If the connection ends, or the companion stops responding.
        ProtocolError
            If the bytes received are not a message.
        """
        while True:
            kind, length, size = protocol.unpack_prefix(self._take(protocol.PREFIX.size))
            header = protocol.unpack_header(self._take(length))
            protocol.check_payload(kind, header, size)
            if kind == protocol.PING:
                self.send(protocol.PONG, {})
            elif kind != protocol.PONG:
                return kind, header, size

    def fill(self, array: Any) -> None:
        """Receive the payload of the message that `receive` returned into the array."""
        view = memoryview(array)
        came = len(self._read[: len(view)])
        view[:came] = self._take(came)
        view = view[came:]
        if sys.platform == "linux" and len(view) >= 2 * WAKE_BYTES:
            self._wake_after(WAKE_BYTES)
            while len(view) >= 2 * WAKE_BYTES:  # that much is still to come, so it cannot hang
                view = view[self._listen(view) :]
            self._wake_after(1)
        while view:
            view = view[self._listen(view, socket.MSG_WAITALL) :]

    def _wake_after(self, size: int) -> None:
        """Have the system wake us only once `size` bytes are there."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    def _take(self, size: int) -> bytes:
        """Return the next `size` bytes; for prefixes and headers."""
        while len(self._read) < size:
            piece = bytearray(max(READ_AHEAD, size - len(self._read)))
            self._read += piece[: self._listen(memoryview(piece))]
        taken, self._read = self._read[:size], self._read[size:]
        return taken

    def _listen(self, view: memoryview, flags: int = 0) -> int:
        """Receive at least one byte; send a PING if none arrives, and give up if that is not answered."""
        began, pinged = time.monotonic(), False
        while True:
            try:
                n = self._receive_some(view, flags)
            except (BlockingIOError, TimeoutError):
                quiet = time.monotonic() - began
                if quiet > protocol.DEAD_SECONDS:
                    raise ConnectionError(
                        f"The companion at {self.endpoint.address} has stopped responding."
                    ) from None
                if quiet > 0.9 * protocol.PING_SECONDS and not pinged:
                    pinged = True
                    self.send(protocol.PING, {})
                continue
            if n == 0:
                raise ConnectionResetError("The companion closed the connection.")
            return n

    def _receive_some(self, view: memoryview, flags: int) -> int:
        if not WAIT_WITH_SELECT:
            return self._socket.recv_into(view, flags=flags)
        if not select.select([self._socket], [], [], QUIET_SECONDS)[0]:
            raise TimeoutError
        return self._socket.recv_into(view)  # whatever is there: MSG_WAITALL would wait forever

    def shut(self) -> None:
        """Shut the connection down; a thread waiting in `receive` wakes up."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    # Handshake

    def _introduce(self) -> dict[str, Any]:
        ours = protocol.nonce()
        self._put(protocol.HELLO, {"version": protocol.VERSION, "nonce": ours})
        kind, hello = self._next_in_time(protocol.MAX_UNKNOWN)  # small until the peer is authenticated
        if kind == protocol.ERROR:
            raise ConnectionError(str(hello.get("text")))
        if kind != protocol.HELLO:
            raise protocol.ProtocolError(f"got message {kind} instead of {protocol.HELLO}")
        nonces = ours, str(hello.get("nonce"))
        if not protocol.proves(hello.get("proof"), self.endpoint.token, "server", *nonces):
            raise ConnectionError(
                f"The token does not match the companion at {self.endpoint.address}. "
                "Copy the latest dmlink://... line that it printed."
            )
        self._put(protocol.AUTH, {"proof": protocol.proof(self.endpoint.token, "client", *nonces)})
        return self._expect(protocol.WELCOME)

    def _expect(self, kind: int) -> dict[str, Any]:
        """Return the header of the next message of `kind`; handle any others before it."""
        while True:
            got, header = self._next_in_time(protocol.MAX_HEADER)
            if got == kind:
                return header
            if got == protocol.ERROR:
                text = str(header.get("text"))
                raise _Refused(text) if kind == protocol.SUBSCRIBE else ConnectionError(text)
            if got == protocol.PING:
                self._put(protocol.PONG, {})
            elif not self._notice(got, header):
                raise protocol.ProtocolError(f"got message {got} instead of {kind}")

    def _next_in_time(self, max_header: int) -> tuple[int, dict[str, Any]]:
        """Return (kind, header) of the next message, which has no payload."""
        prefix = self._receive_in_time(protocol.PREFIX.size)
        kind, length, _ = protocol.unpack_prefix(prefix, max_header, 0)
        return kind, protocol.unpack_header(self._receive_in_time(length))

    def _receive_in_time(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            self._socket.settimeout(max(0.001, self._deadline - time.monotonic()))
            got = self._socket.recv(size - len(data))
            if not got:
                raise ConnectionResetError("it closed the connection")
            data += got
        return data

    def _put(self, kind: int, header: dict[str, Any], payload: Any = b"") -> None:
        for buffer in protocol.pack(kind, header, payload):
            self._socket.sendall(buffer)

    @contextlib.contextmanager
    def polite(self) -> Any:
        """Close the socket if something fails; if the peer is not a companion, raise a clear error."""
        try:
            yield
        except _Refused as error:
            self.close()
            raise ValueError(str(error)) from None
        except TimeoutError:
            self.close()
            raise ConnectionError(
                f"Something listens at {self.endpoint.address}, but it is not a companion, or is too busy to "
                "answer: close menus and dialogs in DigitalMicrograph, and try again."
            ) from None
        except (ConnectionResetError, BrokenPipeError, *protocol.MALFORMED) as error:
            self.close()
            raise ConnectionError(
                f"Something listens at {self.endpoint.address}, but it is not a companion ({error})."
            ) from None
        except BaseException:
            self.close()
            raise


class _Refused(Exception):  # noqa: N818 - it says what happened
    """The companion has no such view or ROI."""


def _give_up_after(sock: socket.socket, seconds: float) -> None:
    """Make blocking calls return after `seconds`; with Python's own time-outs, MSG_WAITALL has no effect."""
    ms = int(seconds * 1e3)
    value = (
        struct.pack("I", ms) if sys.platform == "win32" else struct.pack("ll", ms // 1000, ms % 1000 * 1000)
    )
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)  # a send that times out ends the connection
    if not WAIT_WITH_SELECT:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
