"""Pools: a function on each frame, in a live cell's worker and in other Python process pools."""

from __future__ import annotations

from statistics import median
from typing import Any

from .link import note
from .of_link.tables import table, verdict
from .of_pools.ways import AVAILABLE, measure, versions

OURS = "live cell's worker"
AT_ONCE = (1, 7)


def run(quick: bool) -> dict[str, Any]:
    """Measure all ways in turn: about two minutes, or one if `quick`."""
    runs, rounds = (1, 30) if quick else (3, 100)
    found: dict[str, dict[int, list[dict[str, float]]]] = {way: {n: [] for n in AT_ONCE} for way in AVAILABLE}
    for _ in range(runs):
        for n in AT_ONCE:
            for way in AVAILABLE:
                note(f"{way}, {n} at once")
                found[way][n].append(measure(way, n, rounds))
    return {"runs": runs, "rounds": rounds, "versions": versions(), "ways": found}


def lines(result: dict[str, Any]) -> list[str]:
    """Return the table."""
    middle = {
        way: {int(n): {key: median(one[key] for one in each) for key in each[0]} for n, each in found.items()}
        for way, found in result["ways"].items()
    }
    rows = []
    for way, found in middle.items():
        cells = [f"{found[n][key]:.2f}" for n in AT_ONCE for key in ("p50", "p95")]
        ratio = found[1]["p50"] / middle[OURS][1]["p50"]
        limit = verdict(ratio >= 1.0, "not ahead of a worker") if way != OURS else ""
        rows.append([way, *cells, f"{found[1]['start']:.1f}", f"{ratio:.1f}", limit])
    title = f"A frame of 1024² uint16 to a function of one pixel, and back, ms; {result['rounds']} times"
    heads = ["", "one: p50", "p95", "seven: p50", "p95", "start, s", "ratio", ""]
    about = f"Medians of {result['runs']} runs. {result['versions']}."
    return [about, "", *table(title, heads, rows)]
