"""Ten hours of 20 results per second from five cells: memory of the numbers, and cost of a timeline.

    python tests/checks/timeline_check.py [--hours 10]

It plays them as fast as possible and prints, after ten minutes and at the end, how much memory the numbers
use, how long it takes to prepare a drawing, and how many bytes go to the page. It fails if the numbers use
more than 200 MB.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import numpy as np

from dmlink.frame import Frame
from dmlink.indm.results import Scalar
from dmlink.link.logs import Logs
from dmlink.logbook.strips import marks, strips
from dmlink.session import Session

RATE, CELLS, LIMIT = 20, 5, 200_000_000
POINTS, COLUMNS, DRAWINGS = 1200, 600, 20


def drawn(session: Session) -> tuple[float, int]:
    """Return (ms of a drawing, median; bytes of the curves)."""
    begin, end = session.began or 0.0, session.newest or 1.0
    seconds, size = [], 0
    for _ in range(DRAWINGS):
        start = time.perf_counter()
        shown = strips(session, Logs(), begin, end, POINTS)
        marks(session, begin, end, COLUMNS)
        session.at((begin + end) / 2)
        seconds.append(time.perf_counter() - start)
        size = 8 * sum(len(strip.times) for strip in shown)
    return 1e3 * statistics.median(seconds), size


def main() -> int:
    """Play the ten hours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hours", type=float, default=10.0)
    options = parser.parse_args()
    session, pixels = Session(), np.ones((2, 2))
    cells = [session.enter(f"cell {i}") for i in range(CELLS)]
    for i in range(int(options.hours * 3600 * RATE)):
        frame = Frame(pixels, i, i / RATE)
        session.see(frame)
        for cell in cells:
            session.add(cell, frame, Scalar(float(i % 97)), ["event"] if i % 6000 == 0 else [])
        if i in {600 * RATE, int(options.hours * 3600 * RATE) - 1}:
            ms, size = drawn(session)
            print(
                f"after {i / RATE / 3600:.2f} h: {sum(map(len, session.tracks))} numbers, "
                f"{session.bytes / 1e6:.0f} MB; a drawing takes {ms:.1f} ms and sends {size / 1e3:.0f} kB"
            )
    return int(session.bytes > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
