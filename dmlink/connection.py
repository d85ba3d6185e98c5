"""Connection: a socket to a companion that has let us in, and whole messages over it."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from dmlink.indm import protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.endpoint import Endpoint

HANDSHAKE_SECONDS = 3.0
WAKE_BYTES = 512 * 1024  # of a large frame at once: to be woken for each piece takes a quarter more time
READ_AHEAD = 4096  # bytes: prefix and header of most messages come with one call, without much of the payload


class Connection:
    """Connects and shows the token; both ends have proved that they hold it when this is made.

    Parameters
    ----------
    endpoint : Endpoint
        Where the companion is.
    notice : callable
        Takes (kind, header) of a message that comes while another one is waited for; False if it makes no
        sense.

    Attributes
    ----------
    welcome : dict
        What the companion said first: sources, ROIs, its clock.

    Raises
    ------
    ConnectionError
        If no companion answers there, or the token is not its own.
    """

    def __init__(self, endpoint: Endpoint, notice: Callable[[int, dict[str, Any]], bool]) -> None:
        self.endpoint = endpoint
        self._notice = notice
        self._deadline = time.monotonic() + HANDSHAKE_SECONDS
        self._send_lock = threading.Lock()
        self._read = b""  # bytes that have come and are not used yet
        try:
            self._socket = socket.create_connection(endpoint[:2], HANDSHAKE_SECONDS)
        except OSError as error:
            raise ConnectionError(
                f"No companion answers at {endpoint.address} ({error}). Run dm_companion.py in "
                "DigitalMicrograph, or `dmlink simulate RECORDING` here."
            ) from None
        with self._polite():
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.welcome = self._introduce()

    def subscribe(self, wishes: dict[str, Any]) -> dict[str, Any]:
        """Ask for frames; return what the companion says of them. From now on `receive` may be used.

        Raises
        ------
        ValueError
            If there is no such view or ROI.
        """
        with self._polite():
            self._put(protocol.SUBSCRIBE, wishes)
            subscribed = self._expect(protocol.SUBSCRIBE)
            self._socket.settimeout(None)
            _give_up_after(self._socket, protocol.PING_SECONDS / 3)
        return subscribed

    def send(self, kind: int, header: dict[str, Any], payload: Any = b"") -> None:
        """Send a message; from any thread.

        Raises
        ------
        ConnectionError
            If the companion is not there any more.
        """
        with self._send_lock:
            try:
                self._put(kind, header, payload)
            except OSError:
                self.shut()  # half a message may be out: this connection is over
                raise ConnectionError(f"The companion at {self.endpoint.address} is not there now.") from None

    def receive(self) -> tuple[int, dict[str, Any], int]:
        """Return (kind, header, payload length) of the next message; `fill` takes the payload.

        Raises
        ------
        ConnectionError
            If the connection ends, or the companion gives no sign of life.
        ProtocolError
            If what comes is not a message.
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
        """Receive into the array, the payload of the message that `receive` has returned."""
        view = memoryview(array)
        came = len(self._read[: len(view)])
        view[:came] = self._take(came)
        view = view[came:]
        if sys.platform == "linux" and len(view) >= 2 * WAKE_BYTES:
            self._wake_after(WAKE_BYTES)
            while len(view) >= 2 * WAKE_BYTES:  # so much will still come: nobody waits in vain
                view = view[self._listen(view) :]
            self._wake_after(1)
        while view:
            view = view[self._listen(view, socket.MSG_WAITALL) :]

    def _wake_after(self, size: int) -> None:
        """Let the system wake us when so many bytes are there."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    def _take(self, size: int) -> bytes:
        """Return the next bytes, which are few."""
        while len(self._read) < size:
            piece = bytearray(max(READ_AHEAD, size - len(self._read)))
            self._read += piece[: self._listen(memoryview(piece))]
        taken, self._read = self._read[:size], self._read[size:]
        return taken

    def _listen(self, view: memoryview, flags: int = 0) -> int:
        """Receive something; ask for a sign of life in time, and give up if there is none."""
        began, pinged = time.monotonic(), False
        while True:
            try:
                n = self._socket.recv_into(view, flags=flags)
            except (BlockingIOError, TimeoutError):
                quiet = time.monotonic() - began
                if quiet > protocol.DEAD_SECONDS:
                    raise ConnectionError(
                        f"The companion at {self.endpoint.address} gives no sign of life."
                    ) from None
                if quiet > 0.9 * protocol.PING_SECONDS and not pinged:
                    pinged = True
                    self.send(protocol.PING, {})
                continue
            if n == 0:
                raise ConnectionResetError("The companion has ended the connection.")
            return n

    def shut(self) -> None:
        """Let nothing pass any more; who waits in `receive` is woken."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    # The way in

    def _introduce(self) -> dict[str, Any]:
        ours = protocol.nonce()
        self._put(protocol.HELLO, {"version": protocol.VERSION, "nonce": ours})
        hello = self._expect(protocol.HELLO)
        nonces = ours, str(hello.get("nonce"))
        if not protocol.proves(hello.get("proof"), self.endpoint.token, "server", *nonces):
            raise ConnectionError(
                f"The token does not fit the companion at {self.endpoint.address}. "
                "Take the dmlink://... line that it printed last."
            )
        self._put(protocol.AUTH, {"proof": protocol.proof(self.endpoint.token, "client", *nonces)})
        return self._expect(protocol.WELCOME)

    def _expect(self, kind: int) -> dict[str, Any]:
        """Return the header of the next message of `kind`; others on the way are noticed."""
        while True:
            prefix = self._receive_in_time(protocol.PREFIX.size)
            got, length, size = protocol.unpack_prefix(prefix)
            header = protocol.unpack_header(self._receive_in_time(length))
            if got == kind:
                return header
            if got == protocol.ERROR:
                text = str(header.get("text"))
                raise ValueError(text) if kind == protocol.SUBSCRIBE else ConnectionError(text)
            if got == protocol.PING:
                self._put(protocol.PONG, {})
            elif size or not self._notice(got, header):
                raise protocol.ProtocolError(f"message {got} came instead of {kind}")

    def _receive_in_time(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            self._socket.settimeout(max(0.001, self._deadline - time.monotonic()))
            got = self._socket.recv(size - len(data))
            if not got:
                raise ConnectionResetError("it has ended the connection")
            data += got
        return data

    def _put(self, kind: int, header: dict[str, Any], payload: Any = b"") -> None:
        for buffer in protocol.pack(kind, header, payload):
            self._socket.sendall(buffer)

    @contextlib.contextmanager
    def _polite(self) -> Any:
        """Close the socket if getting in fails; say so where the peer is not a companion at all."""
        try:
            yield
        except (
            TimeoutError, ConnectionResetError, BrokenPipeError, protocol.ProtocolError, KeyError
        ) as error:  # fmt: skip
            self.close()
            raise ConnectionError(
                f"What listens at {self.endpoint.address} does not answer as a companion does ({error})."
            ) from None
        except BaseException:
            self.close()
            raise


def _give_up_after(sock: socket.socket, seconds: float) -> None:
    """Let a blocking call return after so long: with Python's own time-outs MSG_WAITALL has no effect."""
    ms = int(seconds * 1e3)
    value = struct.pack("I", ms) if os.name == "nt" else struct.pack("ll", ms // 1000, ms % 1000 * 1000)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)
