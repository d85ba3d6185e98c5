"""Watch: which streams run or stand still, whether counters add up, and the resources of processes."""

from __future__ import annotations

import time
from fnmatch import fnmatch
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .laboratory import Laboratory

SHARED = Path("/dev/shm")  # noqa: S108 - looked at
WARM_SECONDS = 120.0  # while a process still grows: imports, rings, first uses
ENOUGH = 6  # samples needed to judge a process
GROWTH = 0.10  # of its own memory
# Allowed increase: a sample may or may not fall into a recording, and frames are held while processed.
MORE = {
    "descriptors": 3,
    "threads": 3,
    "processes": 2,
    "blocks": 8,
}


class Gap(NamedTuple):
    """A time in which a stream stood still."""

    stream: str
    begin: float
    end: float


class Watch:
    """Observes a laboratory.

    Streams are counters that grow while things work: "dm" (frames displayed), "a/view" (painted),
    "NOTEBOOK/CELL" (processed) and "c/recording" (written).
    """

    def __init__(self) -> None:
        self._looked = time.monotonic()
        self._values: dict[str, int] = {}
        self._moved: dict[str, float] = {}  # when it last grew, monotonic
        self._still: dict[str, float] = {}  # since when it stands still, as far as observed
        self._gaps: list[Gap] = []
        self._cells: dict[tuple[int, str], dict[str, int]] = {}  # by (kernel, cell), the newest
        self._links: dict[int, dict[str, int]] = {}  # by kernel
        self.wrong: list[str] = []  # counters that do not add up
        self._held: dict[tuple[str, int], list[tuple[float, dict[str, float]]]] = {}
        self._blocks: set[str] = set()  # of shared memory, ever held by our processes
        self._processes: dict[int, psutil.Process] = {}

    def __call__(self, lab: Laboratory) -> None:
        """Record the present state of everything."""
        now = time.monotonic()
        if (blind := now - self._looked) > 1.0:  # unobserved time does not count as standing still
            self._still = {stream: since + blind for stream, since in self._still.items()}
        self._looked = now
        streams = {"dm": lab.desk.counts()["displayed"]}
        for name, notebook in lab.notebooks.items():
            seen = notebook.seen
            if not seen:
                continue
            for cell, counts in seen["cells"].items():
                self._add_up(f"{name}/{cell}", seen["pid"], counts)
                if cell in notebook.cells:
                    streams[f"{name}/{cell}"] = counts["processed"]
            if "painted" in seen:
                streams[f"{name}/view"] = seen["painted"]
            if "link" in seen:
                self._links[seen["pid"]] = seen["link"]
            if seen.get("recorder", {}).get("state") == "recording":
                streams[f"{name}/recording"] = seen["recorder"]["frames"]
        for stream, value in streams.items():
            if self._values.get(stream) != value:
                since = self._still.get(stream, now)
                if now - since > 1.0:
                    self._gaps.append(Gap(stream, since, now))
                self._values[stream], self._moved[stream], self._still[stream] = value, now, now
        recording = lab.notebooks["c"].seen.get("recorder", {}).get("state") == "recording"
        if not recording:  # it has ended, so it does not stand still
            self._moved.pop("c/recording", None)
            self._still.pop("c/recording", None)

    def standing(self, since: float) -> dict[str, int]:
        """Return the streams that have not grown since then, with their counts."""
        return {stream: self._values[stream] for stream, moved in self._moved.items() if moved <= since}

    def longest_gap(self, begin: float, end: float, touched: tuple[str, ...]) -> Gap | None:
        """Return the longest standstill between two times, among the streams not touched."""
        now = time.monotonic()
        still = [Gap(stream, since, now) for stream, since in self._still.items() if now - since > 1.0]
        within = [
            Gap(gap.stream, max(gap.begin, begin), min(gap.end, end))
            for gap in (*self._gaps, *still)
            if gap.end > begin and gap.begin < end
            if not any(fnmatch(gap.stream, pattern) for pattern in touched)
        ]
        return max(within, key=lambda gap: gap.end - gap.begin, default=None)

    def _add_up(self, stream: str, pid: int, counts: dict[str, int]) -> None:
        self._cells[pid, stream] = counts
        left = counts["received"] - counts["processed"] - counts["skipped"] - counts["dropped"]
        if left not in (0, 1):  # one may be in progress
            self.wrong.append(f"{stream}: {counts}")

    def totals(self) -> dict[str, int]:
        """Return the frame counts of all cells and links, over all kernels ever run."""
        cells = ("received", "processed", "skipped", "dropped", "errors")
        found = {name: sum(counts[name] for counts in self._cells.values()) for name in cells}
        for name in ("received", "dropped", "moved"):
            found[f"link {name}"] = sum(link[name] for link in self._links.values())
        return found

    # What processes hold

    def weigh(self, lab: Laboratory) -> Iterator[float]:
        """Note the resources of kernels and microscope; yields while it waits for them."""
        for name, notebook in lab.notebooks.items():
            if notebook.seen and time.monotonic() - notebook.heard < 2.0:
                self._note(f"kernel {name}", notebook.pid, (yield from notebook.held()))
        self._note("microscope", lab.desk.pid, lab.desk.ask("held"))

    def _note(self, role: str, pid: int, held: dict[str, float]) -> None:
        self._held.setdefault((role, pid), []).append((time.monotonic(), held))
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            self._processes[one.pid] = one
        maps = Path(f"/proc/{pid}/maps")
        if maps.exists():
            lines = maps.read_text().splitlines()
            self._blocks |= {
                Path(line.split()[-1]).name for line in lines if "/psm_" in line and "(del" not in line
            }

    def growth(self) -> list[tuple[str, int, dict[str, tuple[float, float]], bool]]:
        """Return the resources of each long-lived process, early and late, and whether they are in bounds."""
        rows = []
        for (role, _pid), samples in self._held.items():
            warm = [held for t, held in samples if t - samples[0][0] >= WARM_SECONDS]
            if len(warm) < ENOUGH:
                continue
            third = len(warm) // 3
            pairs = {}
            for what in (*MORE, "MB"):
                middle = median if what == "MB" else min
                pairs[what] = middle(h[what] for h in warm[:third]), middle(h[what] for h in warm[-third:])
            well = all(pairs[what][1] <= pairs[what][0] + more for what, more in MORE.items())
            well = well and pairs["MB"][1] <= pairs["MB"][0] * (1 + GROWTH)
            rows.append((role, len(samples), pairs, well))
        return rows

    def left(self) -> tuple[list[int], list[str]]:
        """Return processes and blocks of shared memory that remain."""
        running = [pid for pid, process in self._processes.items() if process.is_running()]
        running = [pid for pid in running if self._processes[pid].status() != psutil.STATUS_ZOMBIE]
        return running, sorted(name for name in self._blocks if (SHARED / name).exists())
