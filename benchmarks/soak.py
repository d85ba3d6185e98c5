"""Soak: a long experiment in which something goes wrong every minute.

`python -m benchmarks.soak` takes 30 minutes, `--minutes 600` ten hours, `--quick` three minutes.
"""

from __future__ import annotations

import argparse
import collections
import random
import signal
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil

from dmlink.cli import bench

from .link import note
from .of_link.tables import table, verdict
from .of_soak import faults
from .of_soak.laboratory import Laboratory, laboratory
from .of_soak.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MINUTES, MAX_MINUTES = 30.0, 600.0
BETWEEN_SECONDS, HOLD_SECONDS = 60.0, 20.0  # between faults; duration of one
QUICK_BETWEEN, QUICK_HOLD, QUICK_MINUTES = 8.0, 4.0, 3.0
LIMIT_SECONDS = 5.0  # until everything must be running again
GIVE_UP_SECONDS = 30.0
WEIGH_SECONDS = 15.0


def run(quick: bool, minutes: float = MINUTES, seed: int | None = None) -> dict[str, Any]:
    """Run it for a time; return the faults and how it survived them."""
    minutes = QUICK_MINUTES if quick else min(minutes, MAX_MINUTES)
    between, hold = (QUICK_BETWEEN, QUICK_HOLD) if quick else (BETWEEN_SECONDS, HOLD_SECONDS)
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    rng, watch = random.Random(seed), Watch()  # noqa: S311 - nothing secret
    note(f"seed {seed}, {minutes:g} minutes")
    events = []
    with laboratory(rng, watch) as lab:
        begun = time.monotonic()
        settle(lab, watch, begun, GIVE_UP_SECONDS)
        first, displayed = time.monotonic(), lab.desk.counts()
        due = first + between / 4
        for fault in in_turn(rng):
            let_pass(lab, watch, due - time.monotonic())
            if time.monotonic() - begun > 60 * minutes:
                break
            due = time.monotonic() + between
            events.append(befall(lab, watch, fault, rng, hold))
            note(f"{(time.monotonic() - begun) / 60:5.1f} min  {told(events[-1])}")
        seconds = time.monotonic() - first
        after = lab.desk.counts()
        lab.do(watch.weigh(lab))
        said = lab.desk.ask("said", 5) if after["escaped"] or after["troubles"] else []
    processes, blocks = watch.left()
    return {
        "seed": seed,
        "minutes": minutes,
        "events": events,
        "seconds": seconds,
        "displayed": after["displayed"] - displayed["displayed"],
        "escaped": after["escaped"] + after["troubles"],
        "said": list(said),
        "totals": watch.totals(),
        "wrong": watch.wrong[:20],
        "recordings": [reading._asdict() | {"whole": reading.whole} for reading in lab.recordings.readings()],
        "growth": watch.growth(),
        "left": [len(processes), len(blocks)],
    }


def in_turn(rng: random.Random) -> Iterator[Callable[..., Any]]:
    """Yield all faults in random order, over and over."""
    while True:
        yield from rng.sample(faults.ALL, len(faults.ALL))


def befall(
    lab: Laboratory, watch: Watch, fault: Callable[..., Any], rng: random.Random, hold: float
) -> dict[str, Any]:
    """Inject one fault; return what it was and how everything recovered."""
    name, problems = fault.__name__.replace("_", " "), []
    begun, touched = time.monotonic(), faults.Touched("")
    try:
        steps = fault(lab, rng, hold)
        touched = next(steps)
        lab.do(steps)
    except Exception as error:  # noqa: BLE001 - reported at the end; the experiment goes on
        problems.append(f"{type(error).__name__}: {str(error)[-500:]}")
    ended = time.monotonic()
    recovery = settle(lab, watch, ended, GIVE_UP_SECONDS)
    if recovery is None:
        standing = watch.standing(ended)
        problems.append(f"still stalled after {GIVE_UP_SECONDS:g} s: {', '.join(standing)}")
        revive(lab, standing)
    elif recovery > LIMIT_SECONDS:
        problems.append(f"took {recovery:.1f} s")
    gap = watch.longest_gap(begun, ended, touched.streams)
    if gap and gap.end - gap.begin > LIMIT_SECONDS:
        problems.append(
            f"{gap.stream} stalled for {gap.end - gap.begin:.1f} s, although this fault should not affect it"
        )
    return {
        "fault": name,
        "what": touched.what,
        "lasted": ended - begun,
        "recovery": recovery,
        "problems": problems,
        "load": psutil.getloadavg()[0],
    }


def settle(lab: Laboratory, watch: Watch, since: float, patience: float) -> float | None:
    """Wait until everything has moved on since then; return how long that took, or None if it did not."""
    while watch.standing(since) or not all(notebook.seen for notebook in lab.notebooks.values()):
        if time.monotonic() - since > patience:
            return None
        lab.pass_time(0.05)
    return time.monotonic() - since


def revive(lab: Laboratory, standing: dict[str, int]) -> None:
    """Restart the notebooks that stand still, so that a fault that was not survived counts only once."""
    for name in {stream[0] for stream in standing if stream[1:2] == "/"} - {"a"}:
        notebook = lab.notebooks[name]
        notebook.kill()
        lab.do(notebook.start())
    lab.draw_rois()


def let_pass(lab: Laboratory, watch: Watch, seconds: float) -> None:
    """Let time pass, and measure the processes' resources now and then."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        lab.pass_time(min(left, WEIGH_SECONDS))
        lab.do(watch.weigh(lab))


def told(event: dict[str, Any]) -> str:
    """Return one line about an event."""
    recovery = "-" if event["recovery"] is None else f"{event['recovery']:.1f} s"
    problems = "; ".join(event["problems"]) or "survived"
    return f"{event['fault']} ({event['what']}), {event['lasted']:.0f} s, back after {recovery}: {problems}"


def lines(result: dict[str, Any]) -> list[str]:
    """Return the tables."""
    return [
        f"{result['seconds'] / 60:.1f} minutes, seed {result['seed']}; {_load(result['events'])}",
        "",
        *_faults(result["events"]),
        *_frames(result),
        *_growth(result),
    ]


def _load(events: list[dict[str, Any]]) -> str:
    """Return how busy the computer was, with the soak and everything else."""
    loads = [event["load"] for event in events] or [0.0]
    return f"load average {median(loads):.0f}, at most {max(loads):.0f}"


def _faults(events: list[dict[str, Any]]) -> list[str]:
    by_name = collections.defaultdict(list)
    for event in events:
        by_name[event["fault"]].append(event)
    rows = []
    for name, found in sorted(by_name.items()):
        times = [event["recovery"] for event in found if event["recovery"] is not None]
        survived = sum(not event["problems"] for event in found)
        slowest = f"{max(times):.1f}" if times else "-"
        rows.append([name, str(len(found)), str(survived), f"{median(times):.1f}" if times else "-", slowest])
    times = [event["recovery"] for event in events if event["recovery"] is not None]
    survived = sum(not event["problems"] for event in events)
    middle, slowest = (f"{median(times):.1f}", f"{max(times):.1f}") if times else ("-", "-")
    rows.append(["all", str(len(events)), str(survived), middle, slowest])
    title = "Faults, and the time from their end until every counter increased again, s"
    heads = ["fault", "count", "survived", "p50", "max"]
    notes = [f"  not survived: {told(event)}" for event in events if event["problems"]]
    return [*table(title, heads, rows)[:-1], *notes, ""]


def _frames(result: dict[str, Any]) -> list[str]:
    totals, readings = result["totals"], result["recordings"]
    promised, found = (sum(reading[what] for reading in readings) for what in ("promised", "found"))
    lost = sum(max(0, reading["promised"] - reading["found"]) for reading in readings)
    broken = [reading for reading in readings if not reading["whole"]]
    unread = [reading for reading in readings if reading["fault"]]
    rate = result["displayed"] / result["seconds"]
    all_in = totals["received"]
    rows = [
        ["displayed by the microscope", str(result["displayed"]), f"{rate:.1f} frames/s in all"],
        ["received by links on the whole frame", str(totals["link received"]), ""],
        ["dropped by these (newest first)", str(totals["link dropped"]), ""],
        ["in: seen by live cells", str(all_in), ""],
        ["processed", str(totals["processed"]), ""],
        ["dropped or skipped", str(totals["dropped"] + totals["skipped"]), ""],
        ["counters that did not add up", str(len(result["wrong"])), verdict(not result["wrong"], "0")],
        ["parameters moved", str(totals["link moved"]), ""],
        ["recordings", str(len(readings)), ""],
        ["frames counted as recorded", str(promised), ""],
        ["of these lost", str(lost), verdict(not lost and not unread, "0, all readable")],
        ["rows overwritten while they were copied", str(sum(r["foreign"] for r in readings)), ""],
        ["frames read again", str(found), ""],
        ["left out by recordings, counted", str(sum(r["dropped"] for r in readings)), ""],
        ["errors that escaped into DigitalMicrograph", str(result["escaped"]),
         verdict(not result["escaped"], "0")],
    ]  # fmt: skip
    notes = [
        f"  {', '.join(f'{what} {said}' for what, said in reading.items() if said)}" for reading in broken
    ] + [f"  {line}" for line in result["wrong"][:5]]
    return [*table("Frames", ["", "", ""], rows)[:-1], *notes, *result["said"], ""]


def _growth(result: dict[str, Any]) -> list[str]:
    rows = []
    for role, samples, pairs, well in result["growth"]:
        cells = [f"{a:.0f} -> {b:.0f}" for a, b in pairs.values()]
        rows.append([role, str(samples), *cells, verdict(well, "as before, MB within 10 %")])
    processes, blocks = result["left"]
    nothing = verdict(processes + blocks == 0, "nothing")
    notes = [f"  left afterwards: {processes} processes, {blocks} blocks of shared memory: {nothing}"]
    heads = ["", "samples", "descriptors", "threads", "processes", "blocks", "MB", ""]
    title = "Resources of long-lived processes, first and last third of their lives"
    return [*table(title, heads, rows)[:-1], *notes, ""]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=MINUTES, help=f"30; at most {MAX_MINUTES:g}")
    length.add_argument("--quick", action="store_true", help="three minutes, faults every few seconds")
    parser.add_argument("--seed", type=int, help="seed for the faults; printed at the start")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # kernels and browser must not be left behind
    bench.tell("soak", options.json, quick=options.quick, minutes=options.minutes, seed=options.seed)
