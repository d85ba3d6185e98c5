"""Soak: a companion and a Link at full rate for a bounded time, and the resident memory of both.

`python -m benchmarks.soak_link --minutes 10`; `dmlink bench soak_link` takes one minute.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import dmlink
from dmlink.cli import bench

from .link import note
from .of_link import microscope
from .of_link.children import answer, child
from .of_link.tables import table, verdict

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

SIZE, FPS = 2048, 500.0  # frames/s, more than can be written: the camera never waits
FRAME_MB = 2e-6 * SIZE**2
WARM_SECONDS = 5.0
SAMPLES = 60
MAX_MINUTES = 10.0
MORE_FRAMES = 2  # in the last quarter than in the first; both ends hold some, in shared memory


def run(quick: bool, minutes: float = 1.0) -> dict[str, Any]:
    """Stream for a minute, or 15 s if `quick`; return the memory of both ends over time, in MB."""
    seconds = 15.0 if quick else 60.0 * min(minutes, MAX_MINUTES)
    note(f"{seconds:.0f} s at full rate")
    samples: list[dict[str, float]] = []
    with child(microscope.serve, SIZE, FPS, True) as dm, child(stream, answer(dm)) as link:
        time.sleep(WARM_SECONDS)
        begun, frames = time.monotonic(), _received(link)
        first = frames
        while (t := time.monotonic() - begun) < seconds or not samples:
            samples.append({"s": t, "companion": _memory(dm), "link": _memory(link)})
            due = begun + len(samples) * seconds / SAMPLES
            time.sleep(max(0.0, due - time.monotonic()))
        frames = _received(link)
        rate = (frames - first) / (time.monotonic() - begun)
    return {"seconds": seconds, "frames/s": rate, "GB/s": rate * 2e-9 * SIZE**2, "samples": samples}


def lines(result: dict[str, Any]) -> list[str]:
    """Return the table."""
    rows = []
    for end in ("companion", "link"):
        values = [sample[end] for sample in result["samples"]]
        quarter = max(1, len(values) // 4)
        before, after = median(values[:quarter]), median(values[-quarter:])
        more = (after - before) / FRAME_MB
        rows.append([end, *(f"{v:.1f}" for v in (values[0], before, after, min(values), max(values)))])
        rows[-1] += [f"{more:.1f}", verdict(more <= MORE_FRAMES, f"<= {MORE_FRAMES}")]
    title = (
        f"Resident memory in MB over {result['seconds']:.0f} s of {SIZE}² uint16 at "
        f"{result['frames/s']:.0f} frames/s ({result['GB/s']:.2f} GB/s)"
    )
    heads = ["", "first", "first quarter", "last quarter", "min", "max", "frames more", "limit"]
    return table(title, heads, rows)


def stream(pipe: Connection, endpoint: str) -> None:
    """Take frames as fast as they arrive; answer ("held", 0) and ("received", 0)."""
    with dmlink.connect(endpoint) as link:
        while True:
            link.next(10.0)
            if pipe.poll():
                try:
                    what, _ = pipe.recv()
                except EOFError:
                    return
                pipe.send(microscope.held() if what == "held" else link.stats.received)


def _memory(end: Connection) -> float:
    end.send(("held", 0))
    return float(answer(end)["MB"])


def _received(end: Connection) -> int:
    end.send(("received", 0))
    return int(answer(end))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0, help=f"1; at most {MAX_MINUTES:g}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    options = parser.parse_args()
    bench.tell("soak_link", options.json, minutes=options.minutes)
