"""Soak: a class of ten notebooks on one companion, with events, clips, look-back and a followed recording.

`dmlink bench soak_class` takes thirty minutes, `python -m benchmarks.soak_class --minutes 5` less. Ten
kernels run two live cells each and keep a look-back; one of them saves clips, one records, and one follows
that recording. Every minute the camera pauses, and all counts are compared with the frames that
DigitalMicrograph has announced.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dmlink.cli import bench
from dmlink.simulator import Microscope

from .link import note
from .of_link.microscope import Noise
from .of_link.tables import table, verdict
from .of_soak.notebook import Notebook
from .of_soak.pupil import LATEST, LOSSLESS
from .soak_frames import announced, run_counted

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE, FPS = 256, 20.0
RUN_SECONDS, SETTLE_SECONDS, LOOK_SECONDS = 40.0, 60.0, 0.5
NAMES = "abcdefghij"
CLIPS, RECORDS, FOLLOWS = "bcd"  # who does what
MAX_MINUTES = 60.0
LEFT_OUT = {  # on a busy computer
    "dropped": "dropped by links that send the newest frame",
    "unsure": "unsure",
}
MEMORY = 0.10  # growth of the kernels' memory that is allowed
NONE = {"lost": "lost by lossless readers", "errors": "errors"}
WARM_SECONDS = 300.0  # of longer runs: until caches and histories are full
FIRST = """
from benchmarks.of_soak import pupil
look_back = link.lookback(seconds=10, memory=50_000_000)
"""
# often, so that the thumbnails of events, at most 200, are soon all there; clips must not overlap
OFTEN, SELDOM = 20, 500
EVENT = '--lossless {options}\nEvent("a frame", info.index % {every} == 0)'


class Class:
    """A microscope, and ten notebooks."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.dm = stack.enter_context(Microscope(Noise(SIZE), fps=FPS, events="queue"))
        run_counted(self.dm)
        self.dm.camera.pause()
        self.notebooks = {name: _notebook(name, i, folder) for i, name in enumerate(NAMES)}
        for notebook in self.notebooks.values():
            stack.callback(notebook.close)
            note(f"notebook {notebook.name} starts")
            _wait(notebook.start())
            _wait(notebook.run(FIRST))

    def run(self, name: str, code: str) -> None:
        """Run code in a notebook."""
        _wait(self.notebooks[name].run(code))

    def counts(self) -> dict[str, dict[str, Any]]:
        """Return the counts of each notebook."""
        return {
            name: json.loads(_wait(notebook.run("", "pupil.counts(globals())")))
            for name, notebook in self.notebooks.items()
        }

    def settled(self) -> dict[str, dict[str, Any]]:
        """Return the counts once they no longer change."""
        end, before = time.monotonic() + SETTLE_SECONDS, self.counts()
        quiet = 0
        while quiet < 3 and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
            now = self.counts()
            quiet = quiet + 1 if now == before else 0
            before = now
        return before

    def memory(self) -> float:
        """Return the memory of all kernels, MB."""
        return sum(_wait(notebook.held())["MB"] for notebook in self.notebooks.values())


def run(quick: bool, minutes: float = 30.0) -> dict[str, Any]:
    """Run it for a time; return what was announced, counted, recorded and followed."""
    seconds = 60.0 if quick else 60.0 * min(minutes, MAX_MINUTES)
    sums: dict[str, list[int]] = {}
    wrong: list[str] = []
    memory: list[tuple[float, float]] = []
    with TemporaryDirectory(prefix="dmlink-soak-") as folder, contextlib.ExitStack() as stack:
        os.environ["DMLINK_HOME"] = folder
        lab = Class(Path(folder), stack)
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            _lesson(lab, len(memory), sums, wrong)
            memory.append((time.monotonic() - begun, lab.memory()))
            note(f"{memory[-1][0] / 60:5.1f} min, {memory[-1][1]:.0f} MB, {len(wrong)} wrong")
    return {"sums": sums, "wrong": wrong, "memory": memory}


def _lesson(lab: Class, number: int, sums: dict[str, list[int]], wrong: list[str]) -> None:
    """Let the camera run for a while, and compare the announced frames with all counts."""

    def compare(name: str, what: str, expected: int, found: int) -> None:
        both = sums.setdefault(what, [0, 0])
        both[0], both[1] = both[0] + expected, both[1] + found
        if expected != found:
            wrong.append(f"lesson {number}, notebook {name}: {what}: {expected} expected, {found} found")
            note(wrong[-1])

    path = str(lab.folder / f"recording {number}.ome.zarr")
    lab.run(RECORDS, f"recorder = link.record({path!r})")
    lab.run(FOLLOWS, f"follower = pupil.Follower({path!r})")
    befores, begun = lab.settled(), announced(lab.dm)
    lab.dm.camera.resume()
    time.sleep(RUN_SECONDS)
    lab.dm.camera.pause()
    lab.dm.settle()
    frames = announced(lab.dm) - begun
    lab.settled()
    lab.run(RECORDS, "recorder.stop()")
    afters = lab.settled()
    events = afters[FOLLOWS]["events"] - befores[FOLLOWS]["events"]
    for name, after in afters.items():
        before = befores[name]
        for reader, total in after["totals"].items():
            compare(name, reader, frames, total - before["totals"][reader])
        if name != CLIPS:
            compare(name, "events", events, after["events"] - before["events"])
        for what, text in NONE.items():
            compare(name, text, 0, after[what] - before[what])
        left_out = {what: after[what] - before[what] for what in LEFT_OUT}
        gaps = max(0, after["gaps"] - sum(left_out.values()))  # it covers a part of the lesson
        compare(name, "gaps in the look-back that no count explains", 0, gaps)
        for what, text in LEFT_OUT.items():
            sums.setdefault(text, [0, 0])[1] += left_out[what]
    compare(FOLLOWS, "followed, as recorded", afters[RECORDS]["recorded"], afters[FOLLOWS]["followed"])
    written = afters[CLIPS]["clips"]
    compare(CLIPS, "clips, except an open one", max(written, afters[CLIPS]["events"] - 1), written)


def _notebook(name: str, number: int, folder: Path) -> Notebook:
    options, every = ("--keep 2 --keep-after 1 --clips clips", SELDOM) if name == CLIPS else ("", OFTEN)
    cells = {LATEST: "\nfloat(frame.mean())", LOSSLESS: EVENT.format(options=options, every=every)}
    top = 20 * number
    return Notebook(name, (top, 40, top + 40, 168), cells, folder / name, folder)


def _wait(steps: Iterator[float]) -> Any:
    """Run steps that yield how long to wait; return their value."""
    while True:
        try:
            time.sleep(next(steps))
        except StopIteration as end:
            return end.value


def lines(result: dict[str, Any]) -> list[str]:
    """Return the tables."""
    rows = []
    for name, (expected, found) in result["sums"].items():
        counts = map(str, (expected, found, expected - found))
        rows.append([name, *(("", str(found), "") if name in LEFT_OUT.values() else counts)])
    memory = [mb for seconds, mb in result["memory"] if seconds >= WARM_SECONDS] or [result["memory"][-1][1]]
    third = max(1, len(memory) // 3)
    first, last = median(memory[:third]), median(memory[-third:])
    return [
        *table(f"Sums over {len(NAMES)} notebooks", ["", "expected", "found", "missing"], rows),
        *[f"  {line}" for line in result["wrong"][:20]],
        verdict(not result["wrong"], "nothing lost, nothing uncounted"),
        f"Kernels: {first:.0f} MB, at the end {last:.0f} MB: "
        + verdict(last <= first * (1 + MEMORY), f"at most {MEMORY:.0%} more"),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0, help=f"30; at most {MAX_MINUTES:g}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    options = parser.parse_args()
    bench.tell("soak_class", options.json, minutes=options.minutes)
