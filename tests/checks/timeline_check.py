"""Ten hours of 20 results per second from five cells: memory of the numbers, and cost of a timeline.

    python tests/checks/timeline_check.py [--hours 10] [--no-page]

They are played as fast as possible in a notebook with a live view and a timeline. After ten minutes and at
the end, it prints how much memory the numbers use, how long it takes to prepare a drawing, how many bytes
go to the page, and what a drag over the timeline costs the page while the session goes on: time of scripts
on its main thread, and heap. It fails if the numbers use more than 200 MB, or if a drag at the end costs
more than after ten minutes: over a quarter more in time, or over a tenth more in heap.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.frame import Frame
from dmlink.indm.results import Scalar
from dmlink.link.logs import Logs
from dmlink.logbook.strips import marks, strips
from dmlink.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))

RATE, CELLS, LIMIT = 20, 5, 200_000_000
SOON = 600.0  # s of the session after which everything is measured for the first time
EVENT_EVERY, GAP_EVERY, GAP = 30, 600, 5  # s
POINTS, COLUMNS, DRAWINGS = 1200, 300, 20
STEPS, STEP_MS = 80, 100  # of a drag
DRAG = ("ms of scripts", "ms of all tasks", "MB of heap", "nodes")
LIMITS = {"ms of scripts": 1.25, "MB of heap": 1.1}  # at the end, times as much as after ten minutes
CELL_TEXTS = [
    """%load_ext dmlink
import sys
sys.path.insert(0, {here!r})
import dmlink
import timeline_check
link = dmlink.connect()
played = timeline_check.Played({hours})
link.session, link.logs = played.session, played.logs
link.session.see = lambda frame: None  # the frames that come now are of another time""",
    "dmlink.view(link, size=320)",
    "played.start({folder!r})\ndmlink.timeline(link)",
]


class Played:
    """A session that is played: numbers of five cells, and of a furnace, with events and gaps."""

    def __init__(self, hours: float) -> None:
        self.session, self.logs = Session(), Logs()
        self._seconds = 3600 * hours
        self._began = time.time() - self._seconds
        self._cells = [self.session.enter(f"cell {i}") for i in range(CELLS)]
        self._pixels = np.ones((2, 2))
        self._next = 0  # frame

    def play(self, seconds: float) -> None:
        """Play until so many seconds after the beginning."""
        while self._next < seconds * RATE:
            i, now = self._next, self._next / RATE
            self._next += 1
            if now >= GAP_EVERY and now % GAP_EVERY < GAP:
                continue
            frame = Frame(self._pixels, i, self._began + now)
            Session.see(self.session, frame)
            for cell in self._cells:
                events = ["event"] if i % (EVENT_EVERY * RATE) == 0 else []
                self.session.add(cell, frame, Scalar(float(i % 97)), events)
            if i % 2 == 0:
                self.logs.log("temperature", "C").add(frame.time, now / 100)

    def figures(self) -> dict[str, float]:
        """Return numbers and their bytes; median ms to prepare a drawing, and the bytes of its curves."""
        session, seconds = self.session, []
        begin, end = session.began or 0.0, session.newest or 1.0
        for _ in range(DRAWINGS):
            start = time.perf_counter()
            shown = strips(session, self.logs, begin, end, POINTS)
            marks(session, begin, end, COLUMNS)
            session.at((begin + end) / 2)
            seconds.append(time.perf_counter() - start)
        return {
            "hours": self._next / RATE / 3600,
            "numbers": sum(map(len, session.tracks)),
            "bytes": session.bytes,
            "ms": 1e3 * statistics.median(seconds),
            "sent": 8 * sum(len(strip.times) for strip in shown),
        }

    def each(self) -> Iterator[dict[str, float]]:
        """Play ten minutes and yield the figures, then all the rest."""
        for seconds in (min(SOON, self._seconds), self._seconds):
            self.play(seconds)
            yield self.figures()

    def start(self, folder: str) -> None:
        """Play in a thread; write figures n to FOLDER/n, and go on in real time until FOLDER/go-n exists."""

        def run() -> None:
            for n, figures in enumerate(self.each()):
                new = Path(folder, f"{n}.part")
                new.write_text(json.dumps(figures))
                new.rename(Path(folder, str(n)))
                begun, played = time.monotonic(), self._next / RATE
                while not Path(folder, f"go-{n}").exists():
                    self.play(played + time.monotonic() - begun)
                    time.sleep(1 / RATE)

        threading.Thread(target=run, daemon=True).start()


def drag(page: Page, timeline: Locator, meter: Any) -> dict[str, float]:
    """Drag over all of the timeline; return the ms of scripts that it took the page, and its heap in MB."""
    box = timeline.locator(".dmlink-strips").bounding_box()
    assert box
    before = meter.rest()
    for step in range(STEPS):
        x = box["x"] + 72 + (0.05 + 0.9 * step / STEPS) * (box["width"] - 88)
        page.mouse.move(x, box["y"] + box["height"] / 3)
        if step == 0:
            page.mouse.down()
        page.wait_for_timeout(STEP_MS)
    page.mouse.up()
    after = meter.now()
    timeline.get_by_text("this is frame").first.wait_for()
    timeline.locator("button.dmlink-live").click()
    script, task = (1e3 * (after[key] - before[key]) for key in ("ScriptDuration", "TaskDuration"))
    rest = meter.rest()
    return dict(zip(DRAG, (script, task, rest["JSHeapUsedSize"] / 1e6, rest["Nodes"]), strict=True))


def in_page(hours: float) -> Iterator[dict[str, float]]:
    """Play them in a notebook in a real page; yield the figures after ten minutes and at the end."""
    import browser  # only needed with a page
    from page_speed import Meter

    from dmlink.cli.demo import microscope

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        values = {"here": str(HERE), "hours": hours, "folder": name}
        browser.write_notebook(folder / "day.ipynb", [text.format(**values) for text in CELL_TEXTS])
        with (
            microscope([], folder) as endpoint,
            browser.jupyterlab(folder, {"DMLINK_ENDPOINT": endpoint}) as address,
            browser.chromium(width=1100, height=1500) as page,
        ):
            browser.open_notebook(page, address, "day.ipynb")
            browser.run_all(page)
            timeline, meter = browser.titled(page, "Timeline"), Meter(page, "threadTicks")
            browser.panel(page, "nanoparticles")
            for n in range(2):
                while not (folder / str(n)).exists():
                    page.wait_for_timeout(500)
                drag(page, timeline, meter)  # the first one makes the page compile what it runs
                yield json.loads((folder / str(n)).read_text()) | drag(page, timeline, meter)
                (folder / f"go-{n}").touch()


def main() -> int:
    """Play the ten hours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--no-page", action="store_true", help="only the kernel's side")
    options = parser.parse_args()
    found = []
    for figures in Played(options.hours).each() if options.no_page else in_page(options.hours):
        found.append(figures)
        size, sent = figures["bytes"] / 1e6, figures["sent"] / 1e3
        print(f"after {figures['hours']:.2f} h: {figures['numbers']} numbers, {size:.0f} MB")
        print(f"  a drawing takes {figures['ms']:.1f} ms and sends {sent:.0f} kB")
        if not options.no_page:
            taken = ", ".join(f"{figures[name]:.0f} {name}" for name in DRAG)
            print(f"  a drag of {STEPS * STEP_MS / 1e3:g} s: {taken}")
    soon, end = found
    checks = {f"numbers use {end['bytes'] / 1e6:.0f} MB of {LIMIT / 1e6:.0f}": end["bytes"] <= LIMIT}
    if not options.no_page:
        for name, limit in LIMITS.items():
            ratio = end[name] / soon[name]
            checks[f"a drag costs {ratio:.2f} times the {name}, at most {limit}"] = ratio <= limit
    for text, kept in checks.items():
        print("kept  " if kept else "MISSED", text)
    return not all(checks.values())


if __name__ == "__main__":
    sys.exit(main())
