"""Batch: a live cell over a whole recording, with several workers, and a recording larger than memory."""

from __future__ import annotations

from typing import Any

from .link import note
from .of_batch import scaling, streaming
from .of_link.tables import table, verdict

TWO, CHUNKS, GROWTH = 1.7, 4, 0.05  # the limits


def run(quick: bool) -> dict[str, Any]:
    """Measure everything: about four minutes, or one if `quick`."""
    runs = 1 if quick else 3
    return {
        "runs": runs,
        "scaling": scaling.scaling(runs, 96 if quick else 320, note),
        "streaming": streaming.streaming(10.0 if quick else 100.0, note),
    }


def lines(result: dict[str, Any]) -> list[str]:
    """Return the tables."""
    return [
        f"Medians of {result['runs']} runs; ratios within each run.",
        "",
        *_scaling(result["scaling"]),
        *_streaming(result["streaming"]),
    ]


def _scaling(found: dict[str, Any]) -> list[str]:
    lines = []
    for name, rows in found["cells"].items():
        bound = name == next(iter(scaling.CELLS))  # the limit is for a compute-bound cell
        cells = [
            [
                f"{n}",
                *(f"{t[what]:.0f}" for what in ("frames/s", "MB/s")),
                f"{t['ratio']:.2f}",
                f"{t['bare frames/s']:.0f}",
                f"{t['bare ratio']:.2f}",
                verdict(t["ratio"] >= TWO, f">= {TWO}") if n == "2" and bound else "",
            ]
            for n, t in rows.items()
        ]
        title = f"`dmlink.process`, {name}, {scaling.SIZE}² uint16, {found['frames']} frames"
        heads = ["workers", "frames/s", "MB/s", "of one", "bare processes", "of one", "limit"]
        lines += table(title, heads, cells)
    return lines


def _streaming(t: dict[str, Any]) -> list[str]:
    rows = []
    for name, m in t["memory"].items():
        more = m["highest"] - m["first"]
        limits = [verdict(abs(m["late"] / m["early"] - 1) <= GROWTH, f"constant within {GROWTH:.0%}")]
        if name != "client":
            limits.append(
                verdict(more <= CHUNKS * t["chunk MB"], f"<= {CHUNKS} x {t['chunk MB']:.0f} MB more")
            )
        figures = (f"{m[what]:.0f}" for what in ("first", "early", "late", "files", "highest"))
        rows.append([name, *figures, f"{more:.0f}", "; ".join(limits)])
    title = (
        f"Resident memory in MB while {t['GB']:.0f} GB stream through {streaming.WORKERS} workers: "
        f"{t['frames']} frames of {t['frame MB']:.1f} MB, {t['frames/s']:.0f} frames/s, one row read"
    )
    heads = ["", "first", "2nd quarter", "4th quarter", "file-backed", "highest", "more", "limit"]
    return table(title, heads, rows)
