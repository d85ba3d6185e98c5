"""Sender: the fastest possible companion, which sends one frame from memory per credit."""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any

from dmlink.indm import protocol
from dmlink.indm.companion.slots import MAX_SLOTS, Slots

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

NAME = "benchmark"
TAGS = {"exposure": 0.04, "binning": 1.0, "magnification": 80000.0, "high_tension": 200000.0}


class Client:
    """A connected link: authenticates it and sends it frames."""

    def __init__(self, sock: socket.socket, token: str, array: np.ndarray, slots: Slots | None) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket, self._token, self._array = sock, token, array
        self._slots = slots
        self._decoder = protocol.Decoder()
        self._nonces = ("", protocol.nonce())
        self._credit = self._index = 0
        dtype = array.dtype.newbyteorder("<").str
        self._shape = {"shape": list(array.shape), "dtype": dtype}
        axis = [-12.5, 0.0125, "nm"]
        self._header = {**self._shape, "x": axis, "y": axis, "tags": TAGS, "source": NAME, "roi": None}

    def serve(self, pace: Callable[[], None]) -> None:
        """Send a frame for each credit, until the link disconnects."""
        pixels = memoryview(self._array).cast("B")
        while True:
            while not self._credit:
                self._listen()
            pace()
            self._credit -= 1
            self._index += 1
            header = {**self._header, "index": self._index, "time": time.time()}
            slot = self._slots.take(len(pixels)) if self._slots else None
            if self._slots and slot:
                slot.memory[: len(pixels)] = pixels
                self._say(protocol.FRAME, {**header, **self._slots.named(slot)})
            else:
                self._say(protocol.FRAME, header, pixels)

    def _listen(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionResetError
        for message in self._decoder.feed(data):
            self._take(message.kind, message.header)

    def _take(self, kind: int, header: dict[str, Any]) -> None:
        ours = self._nonces[1]
        if kind == protocol.HELLO:
            self._nonces = (header["nonce"], ours)
            proof = protocol.proof(self._token, "server", *self._nonces)
            self._say(protocol.HELLO, {"version": protocol.VERSION, "nonce": ours, "proof": proof})
        elif kind == protocol.AUTH:
            source = {"name": NAME, "id": 1, **self._shape}
            slots = {"slots": MAX_SLOTS} if self._slots else {}
            self._say(protocol.WELCOME, {"sources": [source], "rois": {}, "clock": time.time(), **slots})
        elif kind == protocol.SUBSCRIBE:
            self._say(protocol.SUBSCRIBE, {"source": NAME, "roi": None, "rois": {}, "state": "live"})
        elif kind == protocol.CREDIT:
            self._credit += header["n"]
            if self._slots:
                self._slots.offer(header.get("slots", []))
        elif kind == protocol.PING:
            self._say(protocol.PONG, {})

    def _say(self, kind: int, header: dict[str, Any], payload: Any = b"") -> None:
        send_whole(self._socket, *protocol.pack(kind, header, payload))


def send_whole(sock: socket.socket, head: bytes, payload: Any = b"") -> None:
    """Send a header and its payload, in one call unless the system takes less."""
    sent = sock.sendmsg([head, payload]) - len(head)
    if sent < len(payload):
        sock.sendall(memoryview(payload)[max(sent, 0) :])


def send(
    tell: Callable[[Any], None], array: np.ndarray, pace: Callable[[], None], *, slots: bool = False
) -> None:
    """Send the endpoint, then serve one link after another, forever; with `slots`, by shared memory."""
    token = secrets.token_urlsafe(24)
    with socket.create_server(("127.0.0.1", 0)) as server:
        tell(f"dmlink://127.0.0.1:{server.getsockname()[1]}?token={token}")
        while True:
            sock, _address = server.accept()
            with sock, contextlib.suppress(OSError):
                Client(sock, token, array, Slots() if slots else None).serve(pace)
