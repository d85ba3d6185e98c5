"""Proxy: a bad network between a notebook and the companion, in its own process."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

CHUNK = 1 << 18
LATE_SECONDS = 0.05
THROTTLED = 4e6  # bytes/s
BYTE_SECONDS = 0.0005
CUT_AFTER = 3_000_001  # bytes: in the middle of a frame


def serve(pipe: Connection, target: int) -> None:
    """Forward connections to a port of this computer; send our own port, then take names of modes."""
    proxy = Proxy(target)
    pipe.send(proxy.port)
    with contextlib.suppress(EOFError):
        while True:
            getattr(proxy, pipe.recv())()
            pipe.send(proxy.connections)


class Proxy:
    """Listens, and forwards as told: well, late, slowly, byte by byte, or not at all."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._way: Callable[[socket.socket, bytes], None] = self._at_once
        self._changed = threading.Condition()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._left_to_cut: int | None = None
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._pairs)

    def well(self) -> None:
        """Forward at once."""
        self._take_way(self._at_once)

    def late(self) -> None:
        """Delay each piece."""
        self._take_way(self._after_a_while)

    def slowly(self) -> None:
        """Forward a few megabytes a second."""
        self._take_way(self._throttled)

    def bytewise(self) -> None:
        """Forward single bytes."""
        self._take_way(self._byte_by_byte)

    def silently(self) -> None:
        """Forward nothing in either direction; connections stay open."""
        self._take_way(self._never)

    def cut(self) -> None:
        """Forward a few more bytes, then reset all connections."""
        with self._changed:
            self._left_to_cut = CUT_AFTER

    def forget(self) -> None:
        """Half-open: close the companion's end without telling the notebook."""
        with self._changed:
            pairs, self._pairs = self._pairs, set()
            self._changed.notify_all()
        for _near, far in pairs:
            _end(far)

    def _take_way(self, way: Callable[[socket.socket, bytes], None]) -> None:
        with self._changed:
            self._way = way
            self._changed.notify_all()

    def _accept(self) -> None:
        while True:
            near, _ = self._server.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self._target), 3)
            except OSError:
                near.close()
                continue
            pair = near, far
            for sock in pair:
                sock.settimeout(None)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                self._pairs.add(pair)
            for source, sink in (pair, (far, near)):
                threading.Thread(target=self._pump, args=(pair, source, sink), daemon=True).start()

    def _pump(self, pair: tuple[socket.socket, socket.socket], source: Any, sink: Any) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                self._way(sink, data)
                if self._cuts(len(data)):
                    break
        with self._changed:
            told = pair in self._pairs  # else forgotten: the near end stays as it is
            self._pairs.discard(pair)
        if told:
            for sock in pair:
                _end(sock)
        elif source is pair[0]:  # the notebook has noticed
            pair[0].close()

    def _cuts(self, passed: int) -> bool:
        with self._changed:
            if self._left_to_cut is None:
                return False
            self._left_to_cut -= passed
            if self._left_to_cut > 0:
                return False
            self._left_to_cut = None
            pairs = list(self._pairs)
        for near, far in pairs:
            _end(near)
            _end(far)
        return True

    def _at_once(self, sink: socket.socket, data: bytes) -> None:
        sink.sendall(data)

    def _after_a_while(self, sink: socket.socket, data: bytes) -> None:
        time.sleep(LATE_SECONDS)
        sink.sendall(data)

    def _throttled(self, sink: socket.socket, data: bytes) -> None:
        time.sleep(len(data) / THROTTLED)
        sink.sendall(data)

    def _byte_by_byte(self, sink: socket.socket, data: bytes) -> None:
        for i in range(len(data)):
            if self._way != self._byte_by_byte:
                sink.sendall(data[i:])
                return
            sink.sendall(data[i : i + 1])
            time.sleep(BYTE_SECONDS)  # else this would use a whole core

    def _never(self, sink: socket.socket, data: bytes) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._way != self._never)
        self._way(sink, data)


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
