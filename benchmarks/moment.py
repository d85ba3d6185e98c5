"""Moment: what a look-back costs link, view and cells, its memory, and the effect of saving a clip."""

from __future__ import annotations

from statistics import median
from typing import Any

import psutil

from .link import note
from .of_link.tables import table, verdict
from .of_moment import keeping

MEMORY = 1_000_000_000  # bytes, or an eighth of the machine's free memory
OVER, LATER = 1.05, 2.0  # the limits for memory, and for the age while a clip is saved
RATES = ("link", "cell", "view")


def run(quick: bool) -> dict[str, Any]:
    """Measure everything: about two minutes, or half a minute if `quick`."""
    runs = 1 if quick else 5
    memory = min(MEMORY, psutil.virtual_memory().available // 8) // (4 if quick else 1)
    return {"runs": runs, "memory": memory} | keeping.keeping(runs, 1.5 if quick else 2.0, memory, note)


def lines(result: dict[str, Any]) -> list[str]:
    """Return the tables."""
    turns, kept, saving = result["turns"], result["kept"], result["saving"]
    rows = []
    for what in (*RATES, "age p95"):
        without, with_it = ([turn[what] for turn in turns[way]] for way in ("without", "with"))
        ratio = median(b / a for a, b in zip(without, with_it, strict=True))
        spread = max(without) / min(without) if min(without) else float("inf")
        holds = ratio >= 1 / spread if what in RATES else ratio <= spread
        limit = verdict(holds, "within the spread") if len(without) > 1 else ""
        rows.append(
            [what, *(f"{median(v):.1f}" for v in (without, with_it)), f"{ratio:.2f}", f"{spread:.2f}", limit]
        )
    over = kept["taken"] / result["memory"]
    rate = result["memory"] / 2 / keeping.SIZE**2 / 30
    saved = [f"{median(pair[what] for pair in saving):.1f}" for what in ("alone", "beside", "seconds")]
    later = median(pair["beside"] / pair["alone"] for pair in saving)
    return [
        f"Medians of {result['runs']} runs; ratios within each pair.",
        "",
        *table(
            f"A look-back of {result['memory'] / 1e9:.2f} GB, {keeping.SIZE}² uint16 at {keeping.FPS:g}/s; "
            "frames/s, and ms",
            ["", "without", "with", "ratio", "spread without", "limit"],
            rows,
        ),
        *table(
            "Memory, MB",
            ["bound", "frames", "the process grew by", "limit"],
            [
                [
                    f"{result['memory'] / 1e6:.0f}",
                    f"{kept['bytes'] / 1e6:.0f}",
                    f"{kept['taken'] / 1e6:.0f}",
                    verdict(over <= OVER, f"<= {OVER:g} of the bound"),
                ]
            ],
        ),
        *table(
            f"Saving all of it, 30 s at {rate:.0f} frames/s; age p95, ms",
            ["alone", "beside", "seconds", "limit"],
            [[*saved, f"{later:.2f} {verdict(later <= LATER, f'<= {LATER:g}')}"]],
        ),
    ]
