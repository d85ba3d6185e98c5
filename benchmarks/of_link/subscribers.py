"""Subscribers: many links at once, each taking all that it can, and one dead one."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from statistics import median
from typing import TYPE_CHECKING, Any

import dmlink
from dmlink.indm import protocol
from dmlink.link import endpoint as endpoints

from . import microscope
from .children import answer, child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

HUNGRY = 7


def display_rates(
    views: list[tuple[int, float]], runs: int, seconds: float, note: Callable[[str], None]
) -> dict[str, Any]:
    """Return the live view's frames/s without dmlink and with all of them, and the ratio."""
    table = {}
    for size, fps in views:
        note(f"live view with {HUNGRY} subscribers, {size} x {size} at {fps:g} frames/s")
        alone, shared, received = [], [], []
        for _ in range(runs):
            with child(microscope.serve, size, fps, False) as dm:
                answer(dm)
                alone.append(_rate(dm, seconds))
            with child(microscope.serve, size, fps, True) as dm, child(subscribe, answer(dm)) as clients:
                answer(clients)
                before, begun = answer(clients), time.perf_counter()
                shared.append(_rate(dm, seconds))
                clients.send("count")
                received.append((answer(clients) - before) / (time.perf_counter() - begun))
                clients.send(None)
        table[f"{size} at {fps:g}"] = {
            "without": median(alone),
            "with": median(shared),
            "ratio": median(b / a for a, b in zip(alone, shared, strict=True)),
            "each received": median(received) / HUNGRY,
        }
    return table


def subscribe(pipe: Connection, endpoint: str) -> None:
    """Run all subscribers in this process; send how many frames have arrived, at first and when asked."""
    links = [dmlink.connect(endpoint) for _ in range(HUNGRY)]
    threads = [threading.Thread(target=_take_all, args=(link,)) for link in links]
    for thread in threads:
        thread.start()
    with dead(endpoint):
        time.sleep(0.5)
        pipe.send("ready")
        pipe.send(sum(link.stats.received for link in links))
        while pipe.recv():
            pipe.send(sum(link.stats.received for link in links))
    for link in links:
        link.close()


@contextlib.contextmanager
def dead(endpoint: str) -> Iterator[None]:
    """Subscribe, ask for frames, and never read one."""
    host, port, token = endpoints.parse(endpoint)
    decoder, ours, theirs = protocol.Decoder(), protocol.nonce(), ""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that the sender blocks at once
        sock.connect((host, port))

        def say(kind: int, **header: Any) -> None:
            sock.sendall(b"".join(protocol.pack(kind, header)))

        def hear() -> dict[str, Any]:
            while True:
                for message in decoder.feed(sock.recv(4096)):
                    header: dict[str, Any] = message.header
                    return header

        say(protocol.HELLO, version=protocol.VERSION, nonce=ours)
        theirs = hear()["nonce"]
        say(protocol.AUTH, proof=protocol.proof(token, "client", ours, theirs))
        hear()
        say(protocol.SUBSCRIBE)
        say(protocol.CREDIT, n=1000)
        yield


def _take_all(link: dmlink.Link) -> None:
    for _frame in link:
        pass


def _rate(dm: Connection, seconds: float) -> float:
    dm.send(("rate", seconds))
    rate: float = answer(dm)
    return rate
