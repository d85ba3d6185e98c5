"""Transport: how fast frames get from one process to another, and how old they are on arrival."""

from __future__ import annotations

import contextlib
import os
import time
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.link.readers import FRESH_SECONDS

from .children import answer, child
from .ways import BARE, LINK, WAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

WARM = 4  # frames before the clock starts
REST = 1.2 * FRESH_SECONDS  # s; a link goes on receiving for nearly this long, which would disturb the other
TURNS = 3  # measurements of each way in a run: a connection's first one is slower
AGE_RATE = 25.0  # frames/s


def throughput(sizes: list[int], runs: int, seconds: float, note: Callable[[str], None]) -> dict[str, Any]:
    """Return GB/s for each size and way, and the ratio to the bare loop in the same run."""
    table: dict[str, Any] = {}
    for size in sizes:
        note(f"throughput, {size} x {size}")
        rates: dict[str, list[float]] = {name: [] for name in WAYS}
        ratios: dict[str, list[float]] = {name: [] for name in WAYS}
        why = {name: "not installed" for name, way in WAYS.items() if not way.installed}
        for _ in range(runs):
            bare, link = _duel(size, seconds)
            _add(rates, ratios, BARE, bare, bare)
            _add(rates, ratios, LINK, link, bare)
            for name in WAYS:
                if name in {BARE, LINK, *why}:
                    continue
                try:
                    with pair(name, size) as consumer:
                        got = [ask(consumer, "rate", seconds / TURNS) for _ in range(TURNS)]
                        _add(rates, ratios, name, got, bare)
                except (RuntimeError, TimeoutError) as error:
                    why[name] = f"failed: {str(error).strip().splitlines()[-1]}"
        table[str(size)] = {
            name: {"why": why[name]}
            if name in why
            else {"GB/s": median(rates[name]) * 2e-9 * size**2, "ratio": median(ratios[name])}
            for name in WAYS
        }
    return table


def _duel(size: int, seconds: float) -> tuple[list[float], list[float]]:
    """Return frames/s of the bare loop and of Link, which take turns so that noise hits both alike."""
    bare, link = [], []
    with pair(BARE, size) as one, pair(LINK, size) as other:
        for _ in range(TURNS):
            bare.append(ask(one, "rate", seconds / TURNS))
            time.sleep(REST)  # as below, so that conditions are equal
            link.append(ask(other, "rate", seconds / TURNS))
            time.sleep(REST)
    return bare, link


def _add(
    rates: dict[str, list[float]],
    ratios: dict[str, list[float]],
    name: str,
    got: list[float],
    bare: list[float],
) -> None:
    rates[name].append(median(got))
    ratios[name].append(median(a / b for a, b in zip(got, bare, strict=True)))


def ages(sizes: list[int], runs: int, frames: int, note: Callable[[str], None]) -> dict[str, Any]:
    """Return p50 and p95 of the age in ms for each size, and Link's ratio to the bare loop."""
    table: dict[str, Any] = {}
    for size in sizes:
        note(f"age, {size} x {size}")
        p50: dict[str, list[float]] = {BARE: [], LINK: []}
        p95: dict[str, list[float]] = {BARE: [], LINK: []}
        for _ in range(runs):
            for name, values in p50.items():
                with pair(name, size, AGE_RATE) as consumer:
                    ms = np.array(ask(consumer, "ages", frames)) * 1e3
                values.append(float(np.percentile(ms, 50)))
                p95[name].append(float(np.percentile(ms, 95)))
        table[str(size)] = {
            name: {
                "p50": median(p50[name]),
                "p95": median(p95[name]),
                "ratio": median(a / b for a, b in zip(p50[name], p50[BARE], strict=True)),
            }
            for name in p50
        }
    return table


def publish(pipe: Connection, name: str, size: int, rate: float | None) -> None:
    """Publish in this process."""
    _quiet()
    WAYS[name].publish(pipe.send, picture(size), Pace(rate))


def consume(pipe: Connection, name: str, address: Any, size: int) -> None:
    """Consume in this process whenever asked: ("rate", seconds) or ("ages", frames)."""
    _quiet()
    frames = WAYS[name].consume(address, picture(size))
    with contextlib.suppress(EOFError):  # the other end has closed
        while True:
            what, amount = pipe.recv()
            for _stamp, _data in islice(frames, WARM):
                pass
            pipe.send(_ages(frames, amount) if what == "ages" else _rate(frames, amount))
    frames.close()


def _rate(frames: Iterator[Any], seconds: float) -> float:
    n, begun, now = 0, time.perf_counter(), 0.0
    for _stamp, _data in frames:
        n, now = n + 1, time.perf_counter()
        if now - begun > seconds:
            break
    return n / (now - begun)


def _ages(frames: Iterator[Any], n: int) -> list[float]:
    return [time.time() - stamp for stamp, _data in islice(frames, n)]


class Pace:
    """Waits until the next frame is due; without a rate, never waits."""

    def __init__(self, rate: float | None) -> None:
        self._period = 1 / rate if rate else 0.0
        self._due = 0.0

    def __call__(self) -> None:
        """Wait."""
        if self._period:
            now = time.monotonic()
            self._due = max(self._due + self._period, now)
            time.sleep(self._due - now)


def picture(size: int) -> np.ndarray:
    """Return a frame (size, size) uint16 of noise."""
    return np.random.default_rng(7).integers(0, 4096, (size, size), np.uint16)


def _quiet() -> None:
    """Keep peers quiet about closed connections; failures come through the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


@contextlib.contextmanager
def pair(name: str, size: int, rate: float | None = None) -> Iterator[Connection]:
    """Run both ends of a way, each in a fresh process; yields the pipe to the consumer."""
    with child(publish, name, size, rate) as publisher:
        address = answer(publisher)
        with child(consume, name, address, size) as consumer:
            yield consumer


def ask(consumer: Connection, what: str, amount: float) -> Any:
    """Have a consumer measure, and return its result."""
    consumer.send((what, amount))
    return answer(consumer)
