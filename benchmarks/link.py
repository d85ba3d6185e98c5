"""Link: frames between processes, in DigitalMicrograph and in the kernel, against their limits."""

from __future__ import annotations

import sys
from typing import Any

from .of_link import connections, handler, kernel, memory, subscribers, transport, ways
from .of_link.tables import table, verdict

SIZES = [1024, 2048, 4096]  # uint16
VIEWS = [(1024, 30.0), (2048, 20.0)]  # size and frames/s of the live view
THROUGHPUT, AGE, COPY, NO_CREDIT, DISPLAY, ROUND_TRIP = 0.9, 1.5, 1.3, 0.15, 0.98, 1.6  # the limits
MEMORY, MEMORY_CPU, MEMORY_CAMERA = 2.5, 0.4, 1.8  # those of frames through shared memory


def run(quick: bool) -> dict[str, Any]:
    """Measure everything: about five minutes, or one if `quick`."""
    runs = 2 if quick else 5
    sizes = SIZES[:1] if quick else SIZES
    return {
        "peers": ways.versions(),
        "runs": runs,
        "throughput": transport.throughput(sizes, runs, 0.45 if quick else 0.6, note),
        "memory": memory.rates(runs, 0.6 if quick else 1.0, note),
        "age": transport.ages(sizes, runs, 25 if quick else 30, note),
        "handler": handler.handling(runs, 20 if quick else 60, note),
        "display": subscribers.display_rates(VIEWS[:1] if quick else VIEWS, runs, 1.2, note),
        "round trip": kernel.round_trips(runs, 20 if quick else 40, note),
        "connections": connections.cycles(100 if quick else 1000, note),
    }


def note(what: str) -> None:
    """Print to stderr what is being measured."""
    print(f"{what} ...", file=sys.stderr, flush=True)


def lines(result: dict[str, Any]) -> list[str]:
    """Return the tables."""
    peers = ", ".join(f"{name} {version}" for name, version in result["peers"].items())
    return [
        f"Medians of {result['runs']} runs; ratios within each run. Peers: {peers}.",
        "",
        *_throughput(result["throughput"]),
        *_memory(result["memory"]),
        *_age(result["age"]),
        *_handler(result["handler"]),
        *_display(result["display"]),
        *_round_trip(result["round trip"]),
        *_connections(result["connections"]),
    ]


def _throughput(sizes: dict[str, Any]) -> list[str]:
    rows = []
    for name in ways.WAYS:
        row = [name]
        for found in (sizes[size][name] for size in sizes):
            row += [found["why"], ""] if "why" in found else [f"{found['GB/s']:.2f}", f"{found['ratio']:.2f}"]
        rows.append(row)
    heads = [text for size in sizes for text in (f"{size}² GB/s", "of bare")]
    lines = table("Throughput, uint16 frames at full speed", ["", *heads], rows)
    return [*lines[:-1], *(_limits(size, found) for size, found in sizes.items()), ""]


def _limits(size: str, found: dict[str, Any]) -> str:
    link = found[ways.LINK]
    enough = verdict(link["ratio"] >= THROUGHPUT, f">= {THROUGHPUT} of bare")
    measured = [name for name in ways.PEERS if "ratio" in found[name]]
    faster = [name for name in measured if found[name]["ratio"] >= link["ratio"]]
    ahead = verdict(not faster, f"ahead of {', '.join(measured) or 'no peer: none is installed'}")
    behind = f", behind {', '.join(faster)}" if faster else ""
    return f"  Link at {size}²: {enough}; {ahead}{behind}"


def _memory(found: dict[str, Any]) -> list[str]:
    rows = []
    for name, t in found.items():
        limits = []
        if name == memory.MEMORY:
            limits.append(verdict(t["of bare"] >= MEMORY, f">= {MEMORY}"))
            limits.append(verdict(t["CPU of bare"] <= MEMORY_CPU, f"CPU <= {MEMORY_CPU}"))
        elif name == memory.MEMORY_CAMERA:
            limits.append(verdict(t["of bare"] >= MEMORY_CAMERA, f">= {MEMORY_CAMERA}"))
        measured = [f"{t['frames/s']:.1f}", *(f"{t[what]:.2f}" for what in list(t)[1:])]
        rows.append([name, *measured, "; ".join(limits)])
    title = f"Frames of {memory.SIZE}² uint16 through shared memory, at full speed"
    return table(title, ["", *next(iter(found.values())), "limit"], rows)


def _age(sizes: dict[str, Any]) -> list[str]:
    rows = []
    for size, found in sizes.items():
        times = [f"{found[way][p]:.2f}" for way in (ways.BARE, ways.LINK) for p in ("p50", "p95")]
        ratio = found[ways.LINK]["ratio"]
        rows.append([f"{size}²", *times, f"{ratio:.2f}", verdict(ratio <= AGE, f"<= {AGE}")])
    heads = ["", "bare p50", "p95", "Link p50", "p95", "ratio", "limit"]
    return table(f"Age of a frame at {transport.AGE_RATE:g} frames/s, ms", heads, rows)


def _handler(states: dict[str, Any]) -> list[str]:
    rows = []
    for state, found in states.items():
        for way, t in found.items():
            limit = ""
            if way in ("with credit", "into memory"):
                limit = verdict(t["ratio"] <= COPY, f"<= {COPY} x copy")
            elif way == "without credit" and state == "quiet":
                limit = verdict(t["ratio"] <= NO_CREDIT, f"<= {NO_CREDIT} x copy")
            rows.append([f"{state}: {way}", *(f"{t[p] * 1e3:.0f}" for p in ("p50", "p95"))])
            rows[-1] += [f"{t['ratio']:.2f}", limit]
    title = (
        "Handler inside DigitalMicrograph, ROI of 1024² in 4096² uint16, us (busy: while another Python "
        "thread runs)"
    )
    return table(title, ["", "p50", "p95", "of copy", "limit"], rows)


def _display(views: dict[str, Any]) -> list[str]:
    rows = []
    for view, t in views.items():
        limit = verdict(t["ratio"] >= DISPLAY, f">= {DISPLAY}")
        rates = [f"{t['without']:.2f}", f"{t['with']:.2f}", f"{t['ratio']:.3f}", f"{t['each received']:.1f}"]
        rows.append([view, *rates, limit])
    title = f"Live view's frames/s with {subscribers.HUNGRY} greedy subscribers and a dead one"
    return table(title, ["", "without dmlink", "with", "ratio", "each gets", "limit"], rows)


def _round_trip(found: dict[str, Any]) -> list[str]:
    rows = []
    for name, t in found["cells"].items():
        limit = verdict(t["ratio"] <= ROUND_TRIP, f"<= {ROUND_TRIP}")
        rows.append([name, *(f"{t[what]:.2f}" for what in ("idle", "arriving", "ratio")), limit])
    title = f"Round trip of a cell in a kernel, ms, with {found['MB/s']:.0f} MB/s arriving at a Link in it"
    return table(title, ["", "idle", "arriving", "ratio", "limit"], rows)


def _connections(found: dict[str, Any]) -> list[str]:
    rows = []
    for end in ("companion", "link"):
        before, after = found[end]
        kept = all(after[what] <= before[what] for what in before if what != "MB")
        counts = [f"{before[what]:.0f} -> {after[what]:.0f}" for what in before]
        rows.append([end, *counts, verdict(kept, "none left")])
    left = found["blocks left in /dev/shm"]
    rows.append(["blocks left in /dev/shm", f"{left}", "", "", "", "", verdict(not left, "none left")])
    title = f"Held before and after {found['n']} connections, {found['ms each']:.1f} ms each with a frame"
    return table(title, ["", *found["companion"][0], "limit"], rows)
