"""Capacity: what this computer can handle, for `dmlink doctor --speed`: link, cells and disk."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dmlink.cell.live_cell import LiveCell
from dmlink.frame import Axis
from dmlink.playback import Replay
from dmlink.recordings import open as open_recording
from dmlink.recordings.writing.ome_zarr_writer import ImageWriter

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 2048  # px, side of the frames, uint16
STACK = 4  # different frames
CELLS, CELL_MS = 7, 10.0
MEASURE_SECONDS, START_SECONDS = 3.0, 60.0
MOST_TRIES = 3  # rates at which the cells are tried
KEPT = 0.95  # of the camera's frames that each cell must process
#: The same arithmetic `n` times, because a fixed time would be less work on a busy computer.
CELL = """import numpy as np
values = np.arange(1, 20_000, dtype=np.float32)
for _ in range(n):
    np.sqrt(values)
float(frame[0, 0])
"""


class Cells(NamedTuple):
    """How the cells keep up: processed frames/s of the slowest, the camera's, and the results' age (s)."""

    rate: float
    camera: float
    age: float

    @property
    def all_keep_up(self) -> bool:
        """Whether each cell processes the camera's frames."""
        return self.rate >= KEPT * self.camera


def measure(folder: Path, tell: Callable[[str], None]) -> None:
    """Measure in about 20 s, and tell each finding; frames are written in `folder`, and deleted again.

    Raises
    ------
    OSError
        If frames cannot be written there, or no frame arrives for a minute.
    """
    stack = np.random.default_rng(0).poisson(200, (STACK, SIZE, SIZE)).astype(np.uint16)
    disk = _disk(folder, stack)
    with TemporaryDirectory(prefix="dmlink-speed-") as temporary:
        np.save(Path(temporary) / "frames.npy", stack)
        with (
            open_recording(Path(temporary) / "frames.npy") as recording,
            Replay(recording, fps=1.0) as replay,  # so that its speed is in frames/s
        ):
            replay.speed = None
            link, age = _link(replay)
            gigabytes = link * stack[0].nbytes / 1e9
            tell(f"link: {SIZE} x {SIZE} at {link:.0f} frames/s ({gigabytes:.1f} GB/s), {_ms(age)} old")
            cells = _cells(replay, link)
            tell(
                f"cells: {CELLS} of {CELL_MS:g} ms process {cells.rate:.0f} of {cells.camera:.0f} frames/s, "
                f"{_ms(cells.age)} old"
            )
    tell(f"disk: {disk:.0f} frames/s into {folder}")
    tell(
        f"This computer handles {SIZE} x {SIZE} at {cells.rate:.0f} frames/s into {CELLS} cells of "
        f"{CELL_MS:g} ms; disk {disk:.0f} frames/s. Frames of a quarter of the pixels are about four times "
        "as fast on link and disk."
    )


def _link(replay: Replay) -> tuple[float, float]:
    """Return frames/s of the link, and how old the frames are (s, median)."""
    link, ages = replay.link, []
    link.next(START_SECONDS)
    begun = time.perf_counter()
    while time.perf_counter() - begun < MEASURE_SECONDS:
        ages.append(link.age(link.next(START_SECONDS)))
    return len(ages) / (time.perf_counter() - begun), median(ages)


def _cells(replay: Replay, fastest: float) -> Cells:
    """Return how the cells keep up with the fastest camera that they can follow."""
    n = _times()  # measured before the cells run
    with ExitStack() as running:
        cells = []
        for i in range(CELLS):
            cell = LiveCell(CELL, f"cell {i + 1}", {"n": n}).start(replay.link)
            running.callback(cell.stop)
            cells.append(cell)
        for cell in cells:
            _first_result(cell)
        rate = fastest
        for _ in range(MOST_TRIES):
            replay.speed = rate
            found = _kept(cells, rate)
            if found.all_keep_up:
                break
            rate = found.rate
        return found


def _kept(cells: list[LiveCell], camera: float) -> Cells:
    """Return what the cells process while a camera runs at this rate (frames/s)."""
    before, begun, ages = [cell.stats.processed for cell in cells], time.perf_counter(), []
    while time.perf_counter() - begun < MEASURE_SECONDS:
        time.sleep(0.05)
        ages += [age for cell in cells if (age := cell.stats.age) is not None]
    seconds = time.perf_counter() - begun
    slowest = min(cell.stats.processed - n for cell, n in zip(cells, before, strict=True))
    return Cells(slowest / seconds, camera, median(ages) if ages else math.nan)


def _first_result(cell: LiveCell) -> None:
    until = time.perf_counter() + START_SECONDS
    while cell.latest is None and time.perf_counter() < until:
        time.sleep(0.02)
    if cell.latest is None:
        raise TimeoutError(
            f"{cell.name} has had no result for {START_SECONDS:g} s. {cell.error} Close other programs, and "
            "try again."
        )


def _times() -> int:
    """Return how many times a cell must repeat its arithmetic to take CELL_MS."""
    cell, seconds = LiveCell(CELL, "cell", {"n": 100}), []
    for _ in range(5):
        begun = time.perf_counter()
        cell.run(np.zeros((1, 1)))
        seconds.append(time.perf_counter() - begun)
    return max(1, round(100 * CELL_MS / 1e3 / min(seconds)))


def _disk(folder: Path, stack: np.ndarray) -> float:
    """Return frames/s of a recording's writer in `folder`."""
    with TemporaryDirectory(prefix="dmlink-speed-", dir=folder) as temporary:
        writer = ImageWriter(
            Path(temporary) / "frames", stack.shape[1:], stack.dtype, y=Axis(), x=Axis(), name="speed"
        )
        n, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < MEASURE_SECONDS:
            writer.write(n, stack[n % STACK])
            n += 1
        return n / (time.perf_counter() - begun)


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms"
