"""Keeping: link, view and cells with and without a look-back, in turn, and while a clip is saved."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

import dmlink

from ..of_link.children import answer, child
from ..of_link.kernel import publish

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from dmlink.link.link import Link

SIZE, FPS = 1024, 50.0
CELLS = 2
CELL = "int(frame[0, 0])"
WARM_SECONDS = 1.0


def keeping(runs: int, seconds: float, memory: int, note: Callable[[str], None]) -> dict[str, Any]:
    """Return rates and ages without and with a look-back, in turn, its memory, and those while saving."""
    note(f"with and without a look-back of {memory / 1e9:.2g} GB")
    with (
        child(publish, SIZE, FPS) as publisher,
        child(kernel, answer(publisher), runs, seconds, memory) as process,
    ):
        return answer(process, 240.0 + 10 * runs * seconds)  # type: ignore[no-any-return]


def kernel(pipe: Connection, endpoint: str, runs: int, seconds: float, memory: int) -> None:
    """Run cells and a view in this process."""
    from dmlink_widgets.panels.live_view import LiveView  # noqa: PLC0415 - in this process alone

    with dmlink.connect(endpoint) as link:
        cells = [dmlink.LiveCell(CELL, f"cell {i}").start(link) for i in range(CELLS)]
        view = LiveView(link)
        drawn = _answered(view)
        measure = Measure(link, cells, drawn)
        while any(cell.stats.processed < FPS / 2 for cell in cells):
            time.sleep(0.05)
        view._lookback.in_page(there=False)  # noqa: SLF001 - the look-back is what is measured
        turns: dict[str, list[dict[str, float]]] = {"without": [], "with": []}
        for i in range(runs):
            for way in ("without", "with") if i % 2 == 0 else ("with", "without"):
                lookback = link.lookback(1000.0, memory) if way == "with" else None
                if lookback:
                    _fill(lookback, memory)
                time.sleep(WARM_SECONDS)
                turns[way].append(measure.turn(seconds))
                if lookback:
                    lookback.close()
        time.sleep(WARM_SECONDS)
        before = psutil.Process().memory_info().rss
        with link.lookback(1000.0, memory) as lookback:
            _fill(lookback, memory)
            time.sleep(WARM_SECONDS)
            kept = {"bytes": lookback.bytes, "taken": psutil.Process().memory_info().rss - before}
            saving = []
            for _ in range(runs):
                alone = measure.turn(seconds)
                folder = Path(tempfile.mkdtemp(prefix="dmlink-bench-"))
                beside = measure.turn(0.0, lambda folder=folder: lookback.save(folder / "clip"))
                shutil.rmtree(folder)
                saving.append(
                    {"alone": alone["age p95"], "beside": beside["age p95"], "seconds": beside["seconds"]}
                )
        for cell in cells:
            cell.stop()
        view.close()
    pipe.send({"turns": turns, "kept": kept, "saving": saving})


class Measure:
    """Counts over a period."""

    def __init__(self, link: Link, cells: list[dmlink.LiveCell], drawn: list[int]) -> None:
        self._link, self._cells, self._drawn = link, cells, drawn
        self._ages: list[float] = []
        cells[0].watch(self._note_age)

    def _note_age(self) -> None:
        if frame := self._cells[0].frame:
            self._ages.append(self._link.age(frame))

    def turn(self, seconds: float, do: Callable[[], Any] = lambda: None) -> dict[str, float]:
        """Return rates of link, cells and view, and ages of results, while `do` runs or for `seconds`."""
        self._ages.clear()
        before = self._link.stats.received, self._cells[0].stats.processed, self._drawn[0]
        began = time.perf_counter()
        do()
        time.sleep(max(0.0, began + seconds - time.perf_counter()))
        took = time.perf_counter() - began
        after = self._link.stats.received, self._cells[0].stats.processed, self._drawn[0]
        rates = ((b - a) / took for a, b in zip(before, after, strict=True))
        ages = np.percentile(self._ages or [0.0], [50, 95]) * 1e3
        found = dict(zip(("link", "cell", "view"), rates, strict=True))
        return found | {"age p50": float(ages[0]), "age p95": float(ages[1]), "seconds": took}


def _fill(lookback: Any, memory: int) -> None:
    """Wait until a look-back is full."""
    end = time.monotonic() + 120
    while lookback.bytes < memory - 2 * SIZE * SIZE * 2 and time.monotonic() < end:
        time.sleep(0.05)


def _answered(view: Any) -> list[int]:
    """Acknowledge like a browser that paints at once; return how often it has."""
    painted = [0]

    def send(message: dict[str, Any], _: Any) -> None:
        painted[0] += 1
        view.fence._on_message(view.fence, {"view": "a", "painted": message["drawn"]}, [])  # noqa: SLF001

    view.fence.send = send
    view.fence._on_message(view.fence, {"view": "a", "visible": True}, [])  # noqa: SLF001
    return painted
