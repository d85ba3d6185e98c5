"""Cells: their overhead, how long one waits for them, and their rate while the notebook computes."""

from __future__ import annotations

from typing import Any

from .link import note
from .of_cells import overhead, seven, spinning, waits
from .of_link.tables import table, verdict

OVERHEAD_MS, IMAGE, THROUGHPUT = 0.6, 3.0, 0.85  # the limits; an image costs so many times an empty cell
KEPT, AGE_MS = 0.9, 20.0
WAIT_MS = {
    "first result, new kernel": None,
    "first result": 600.0,
    "slider to result": 50.0,
    "replaced after a crash": 60.0,
    "replaced after a crash, with SciPy": 60.0,
    "replaced after a time-out": 60.0,
}
IDLE_PERCENT = 0.5


def run(quick: bool) -> dict[str, Any]:
    """Measure everything: about four minutes, or one if `quick`."""
    runs = 1 if quick else 5
    return {
        "runs": runs,
        "overhead": overhead.overheads(runs, 300 if quick else 2000, note),
        "seven": seven.throughput(runs, 1.0 if quick else 2.0, note),
        "spinning": spinning.keeping(runs, 1.0 if quick else 3.0, note),
        "waits": waits.waits(runs, note),
        "idle": waits.idle(3.0 if quick else 10.0, note),
    }


def lines(result: dict[str, Any]) -> list[str]:
    """Return the tables."""
    return [
        f"Medians of {result['runs']} runs; ratios within each run.",
        "",
        *_overhead(result["overhead"]),
        *_seven(result["seven"]),
        *_spinning(result["spinning"]),
        *_waits(result["waits"]),
        *_idle(result["idle"]),
    ]


def _overhead(cells: dict[str, Any]) -> list[str]:
    rows = []
    for name, t in cells.items():
        limit = verdict(t["p50"] <= OVERHEAD_MS, f"p50 <= {OVERHEAD_MS:g} ms")
        if name == "image":
            times = t["p50"] / cells["empty"]["p50"]
            limit = f"{times:.1f} of empty: {verdict(times <= IMAGE, f'<= {IMAGE:g}')}"
        rows.append([name, f"{t['p50']:.2f}", f"{t['p95']:.2f}", f"{t['frames/s']:.0f}", limit])
    title = f"Overhead of a worker beyond the cell itself, {overhead.SIZE}² uint16, ms"
    return table(title, ["cell", "p50", "p95", "frames/s", "limit"], rows)


def _seven(costs: dict[str, Any]) -> list[str]:
    tables = []
    for cost, found in costs.items():
        rows = [[name, *(f"{rate:.0f}" for rate in found[name]), ""] for name in ("bare", "live")]
        limit = verdict(found["ratio"] >= THROUGHPUT, f">= {THROUGHPUT}")
        rows[-1][-1] = f"{found['ratio']:.2f} of the work: {limit}"
        title = f"Seven cells of {cost} at once (FFT of a part), frames/s of each, and in bare processes"
        tables += table(title, ["", *(f"{side}²" for side in found["sides"]), "limit"], rows)
    return tables


def _spinning(t: dict[str, float]) -> list[str]:
    rate = verdict(t["ratio"] >= KEPT, f">= {KEPT}")
    age = verdict(t["age grows"] <= AGE_MS, f"<= {AGE_MS:g} ms more")
    rows = [
        [state, *(f"{t[f'{state} {what}']:.1f}" for what in ("rate", "p50", "p95")), "", ""]
        for state in ("idle", "spinning")
    ]
    rows[-1][-2:] = [f"{t['ratio']:.2f} {rate}", f"{t['age grows']:+.1f} {age}"]
    title = (
        f"{spinning.CELLS} cells at {spinning.FPS:g} frames/s of {spinning.SIZE}² while the main thread "
        f"computes in Python (which keeps {t['computation']:.2f} of its speed)"
    )
    return table(title, ["", "frames/s", "age p50 ms", "p95", "rate", "age"], rows)


def _waits(found: dict[str, float]) -> list[str]:
    rows = []
    for what, limit in WAIT_MS.items():
        kept = verdict(found[what] <= limit, f"<= {limit:g}") if limit else ""
        rows.append([what, f"{found[what]:.0f}", kept])
    return table("Waits, ms", ["", "ms", "limit"], rows)


def _idle(found: dict[str, float]) -> list[str]:
    total = sum(found.values())
    limit = verdict(total <= IDLE_PERCENT, f"<= {IDLE_PERCENT} %")
    row = ["each cell", f"{found['kernel']:.2f}", f"{found['worker']:.2f}", f"{total:.2f}", limit]
    title = f"{waits.IDLE_CELLS} cells without frames, percent of a core"
    return table(title, ["", "kernel", "workers", "sum", "limit"], [row])
