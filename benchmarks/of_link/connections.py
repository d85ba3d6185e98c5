"""Connections: resources left over after links have connected and disconnected."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dmlink

from . import microscope
from .children import answer, child
from .microscope import held

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

SIZE, FPS = 256, 200.0
SETTLE = 0.5  # s until the companion has seen the last one go


def cycles(n: int, note: Callable[[str], None]) -> dict[str, Any]:
    """Connect, take a frame and disconnect `n` times; return what both ends held before and after."""
    note(f"{n} connections")
    with child(microscope.serve, SIZE, FPS, True) as dm, child(come_and_go, answer(dm), n) as client:
        answer(client)
        before = _held(dm)
        client.send("go")
        ours, seconds, left = answer(client, 300.0)
        time.sleep(SETTLE)
        after = _held(dm)
    return {
        "n": n,
        "ms each": seconds / n * 1e3,
        "blocks left in /dev/shm": left,
        "companion": [before, after],
        "link": ours,
    }


def come_and_go(pipe: Connection, endpoint: str, n: int) -> None:
    """Do the connecting, in this process."""
    _cycle(endpoint, 20)  # imports, thread stacks and the like are there after these
    pipe.send("ready")
    pipe.recv()
    before, begun = held(), time.perf_counter()
    names = _cycle(endpoint, n)
    seconds = time.perf_counter() - begun
    left = sum((Path("/dev/shm") / name).exists() for name in names if name)  # noqa: S108
    pipe.send(([before, held()], seconds, left))


def _cycle(endpoint: str, n: int) -> set[str]:
    names = set()
    for _ in range(n):
        with dmlink.connect(endpoint) as link:
            names.add(link.next(5.0).block)
    return names


def _held(dm: Connection) -> dict[str, Any]:
    dm.send(("held", 0))
    value: dict[str, Any] = answer(dm)
    return value
