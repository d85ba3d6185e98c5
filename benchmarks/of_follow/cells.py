"""Cells on a growing recording: one that is too slow, and what waiting costs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import tifffile

import dmlink
from dmlink.simulator.in_situ import InSitu

from .growing import Camera, folder

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 512
FPS = 100.0
SLOW = "import time\ntime.sleep(0.02)\nframe[0, 0]"  # at most 50 frames/s
FILES = 1000


def slow_cell(seconds: float, note: Callable[[str], None]) -> dict[str, Any]:
    """Return what a cell at half the camera's rate has processed and missed, and how memory grows."""
    note("a cell that is too slow")
    process = psutil.Process()
    with folder() as place, InSitu(Camera(SIDE, 1 << 30), place, FPS) as writer:
        with dmlink.follow(place, idle=None) as source:
            cell = dmlink.LiveCell(SLOW, "slow").start(source.link)
            while cell.latest is None:
                time.sleep(0.01)
            time.sleep(1.0)
            began, seen, written = time.perf_counter(), source.seen, writer.written
            memory = process.memory_info().rss
            time.sleep(seconds)
            took = time.perf_counter() - began
            grown = process.memory_info().rss - memory
            seen, written = source.seen - seen, writer.written - written
            dropped, behind = cell.stats.dropped, source.behind
            cell.stop()
        writer.pause()
    lack = written - seen
    return {
        "written/s": written / took,
        "seen/s": seen / took,
        "lacks": lack,
        "behind": behind,
        "dropped": dropped,
        "grown": grown,
    }


def idle(seconds: float, note: Callable[[str], None]) -> dict[str, float]:
    """Return what following costs while no frames arrive, in percent of a core, by kind of recording."""
    found = {}
    for kind in ("1000 TIFF files", "1000 frames in a .raw"):
        note(f"waiting for {kind}")
        with folder() as place:
            if kind.endswith("files"):
                for i in range(FILES):
                    tifffile.imwrite(
                        Path(place) / f"{i:04}.tif", np.full((16, 16), i, np.uint16), photometric="minisblack"
                    )
            else:
                with InSitu(Camera(16, FILES), place, float("inf")) as writer:
                    writer.ended.wait()
            with dmlink.follow(place, idle=None) as source:
                for _ in range(FILES):
                    source.next(60)
                time.sleep(3.0)  # it looks less often after a while
                began, cpu = time.perf_counter(), time.process_time()
                time.sleep(seconds)
                found[kind] = 100 * (time.process_time() - cpu) / (time.perf_counter() - began)
    return found
