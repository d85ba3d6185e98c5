"""Waits: how long until a result appears, and what idle cells cost."""

from __future__ import annotations

import time
from contextlib import suppress
from statistics import median
from threading import Event
from typing import TYPE_CHECKING, Any

import psutil

import dmlink
from dmlink.engine.pool import engine

from ..of_link.children import answer, child
from ..of_link.kernel import publish

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

SIZE, FPS = 1024, 100.0
SLOW_FPS = 0.5  # frames/s, so slow that a slider has to process the same frame again
WARM_SECONDS = 0.5  # s without CPU use after which the spare worker counts as ready
MAX_LOOKS = 40
IDLE_CELLS = 5
FIRST = """
import numpy as np
import scipy.fft
import scipy.ndimage
float(scipy.ndimage.gaussian_filter(np.abs(scipy.fft.rfft2(frame[:256, :256])), 1).max())
"""
SLIDER = "gain: (0, 10_000) = 0\n{'gain': gain, 'mean': frame.mean()}"
CRASH = "import numpy as np\nimport os\nif info.index % 600 == 7:\n    os._exit(3)\nfloat(np.max(frame))"
LATE = "import numpy as np\nwhile info.index % 600 < 9:\n    pass\nfloat(np.max(frame))"
SCIPY = "import scipy.ndimage\n"


def waits(runs: int, note: Callable[[str], None]) -> dict[str, float]:
    """Return the waits in ms."""
    found: dict[str, list[float]] = {}
    for _ in range(runs):
        note("first results, sliders, replacements")
        with child(publish, SIZE, FPS) as publisher, child(firsts, answer(publisher)) as process:
            for what, ms in answer(process).items():
                found.setdefault(what, []).append(ms)
        with child(publish, SIZE, SLOW_FPS) as publisher, child(sliders, answer(publisher)) as process:
            found.setdefault("slider to result", []).append(answer(process))
    return {what: median(values) for what, values in found.items()}


def idle(seconds: float, note: Callable[[str], None]) -> dict[str, float]:
    """Return the CPU use of a cell without frames, in percent of a core: kernel's share and worker's."""
    note("cells without frames")
    with child(publish, SIZE, 0.01) as publisher, child(resting, answer(publisher), seconds) as process:
        found: dict[str, float] = answer(process)
        return found


def firsts(pipe: Connection, endpoint: str) -> None:
    """Start cells in this process, and make them crash and time out."""
    with dmlink.connect(endpoint) as link:
        link.next(5.0)
        found = {"first result, new kernel": _first(link)}
        _until_spare_is_warm()
        found["first result"] = _first(link)
        _until_spare_is_warm()
        found["replaced after a crash"] = _replacement(link, CRASH)
        found["replaced after a crash, with SciPy"] = _replacement(link, SCIPY + CRASH)
        found["replaced after a time-out"] = _replacement(link, LATE)
    pipe.send(found)
    engine.close()


def sliders(pipe: Connection, endpoint: str) -> None:
    """Move a slider in this process, and send how long the result takes."""
    with dmlink.connect(endpoint) as link:
        cell = dmlink.LiveCell(SLIDER).start(link)
        results = cell.results()
        next(results)
        times = []
        for gain in range(1, 31):
            begun = time.perf_counter()
            cell.set(gain=gain)
            for _index, result in results:
                if result.value["gain"] == gain:
                    break
            times.append((time.perf_counter() - begun) * 1e3)
            time.sleep(0.01)
        cell.stop()
    pipe.send(median(times))
    engine.close()


def resting(pipe: Connection, endpoint: str, seconds: float) -> None:
    """Run cells in this process that wait for a frame."""
    with dmlink.connect(endpoint) as link:
        cells = [dmlink.LiveCell("frame.mean()", f"cell {i}").start(link) for i in range(IDLE_CELLS)]
        while any(cell.latest is None for cell in cells):
            time.sleep(0.05)
        _until_spare_is_warm()
        me = psutil.Process()
        workers = me.children(recursive=True)
        before = _used(me), sum(_used(worker) for worker in workers)
        time.sleep(seconds)
        used = _used(me) - before[0], sum(_used(worker) for worker in workers) - before[1]
        for cell in cells:
            cell.stop()
    share = 100.0 / seconds / IDLE_CELLS
    pipe.send({"kernel": used[0] * share, "worker": used[1] * share})
    engine.close()


def _first(link: dmlink.Link) -> float:
    begun = time.perf_counter()
    cell = dmlink.LiveCell(FIRST).start(link)
    next(cell.results())
    passed = time.perf_counter() - begun
    cell.stop()
    return passed * 1e3


def _replacement(link: dmlink.Link, text: str) -> float:
    """Return ms from noticing the end of a cell's process to its next result."""
    times: list[float] = []
    ended = Event()
    cell = dmlink.LiveCell(text, timeout=0.3)

    def look() -> None:
        if cell.error and not times:
            times.append(time.perf_counter())
        elif times and not cell.error and not ended.is_set():
            times.append(time.perf_counter())
            ended.set()

    cell.start(link)
    while not cell.latest:
        time.sleep(0.01)
    _until_spare_is_warm()
    cell.watch(look)
    if not ended.wait(20.0):
        raise TimeoutError(f"The cell was not replaced: {cell.error}")
    cell.stop()
    return (times[1] - times[0]) * 1e3


def _until_spare_is_warm() -> None:
    """Wait for the spare worker's imports, which take seconds on a busy machine."""
    before: tuple[int, float] | None = None
    for _ in range(MAX_LOOKS):  # a cell that crashes meanwhile takes it, and a new one starts
        time.sleep(WARM_SECONDS)
        spare = engine._spare  # noqa: SLF001 - nobody else has to know when it is ready
        with suppress(psutil.NoSuchProcess):
            now = (spare.pid, _used(psutil.Process(spare.pid))) if spare else None
            if now == before:
                return
            before = now
    raise TimeoutError(f"The spare worker is not ready after {MAX_LOOKS * WARM_SECONDS:.0f} s.")


def _used(process: Any) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
