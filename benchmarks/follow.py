"""Follow: reading a recording while it is written, against a bare loop, and its cost to the writer."""

from __future__ import annotations

from statistics import median
from typing import Any

from .link import note
from .of_follow import cells, growing
from .of_link.tables import table, verdict

READER, IDLE_PERCENT = 0.9, 1.0  # the limits
WHO = ("writer alone", "writer beside bare", "writer beside dmlink", "bare loop", "dmlink.follow")
COLUMNS = (*WHO[3:], *WHO[:3])
PACE = 0.8  # of the disk's rate
SIDES = {64: 60_000, 512: 3000, 2048: 150}  # frames written of each size


def run(quick: bool) -> dict[str, Any]:
    """Measure everything: about two minutes, or half a minute if `quick`."""
    runs = 1 if quick else 5
    sides = {side: n // 4 if quick else n for side, n in SIDES.items()}
    readers = {}
    for side, n in sides.items():
        turns = []
        for _ in range(runs):
            note(f"{side}² while it grows")
            alone, _told = growing.together(None, side, n)
            beside_bare, bare = growing.together(growing.bare, side, n)
            beside_ours, (ours, _behind) = growing.together(growing.follow, side, n)
            turns.append((n / alone, n / beside_bare, n / beside_ours, n / bare, n / ours))
        readers[str(side)] = dict(zip(WHO, zip(*turns, strict=True), strict=True))
    note("at 0.8 of the disk")
    fps = PACE * median(readers["2048"]["writer alone"])
    _took, (_took, behind) = growing.together(growing.follow, 2048, sides[2048] * 2, fps)
    return {
        "runs": runs,
        "readers": readers,
        "paced": {"frames/s": fps, "behind": behind},
        "slow": cells.slow_cell(2.0 if quick else 8.0, note),
        "idle": cells.idle(4.0 if quick else 10.0, note),
    }


def lines(result: dict[str, Any]) -> list[str]:
    """Return the tables."""
    rows = []
    for side, found in result["readers"].items():
        ratio = median(o / b for o, b in zip(found["dmlink.follow"], found["bare loop"], strict=True))
        slowed = median(
            o / a for o, a in zip(found["writer beside dmlink"], found["writer alone"], strict=True)
        )
        spread = max(found["writer alone"]) / min(found["writer alone"])
        rows.append(
            [
                f"{side}²",
                *(f"{median(found[name]):.0f}" for name in COLUMNS),
                f"{ratio:.2f} {verdict(ratio >= READER, f'>= {READER}')}",
                f"{slowed:.2f} (spread {spread:.2f})",
            ]
        )
    names = ["frame", *COLUMNS, "reader", "writer"]
    slow, idle, paced = result["slow"], result["idle"], result["paced"]
    kept = slow["dropped"] == 0
    return [
        f"Medians of {result['runs']} runs; ratios within each run.",
        "",
        *table("Frames/s of uint16, read while they are written at the disk's full speed", names, rows),
        *table(
            f"Written at {PACE} of that rate, 2048²",
            ["frames/s", "largest lag, frames"],
            [[f"{paced['frames/s']:.0f}", str(paced["behind"])]],
        ),
        *table(
            "A cell of 20 ms at 100 frames/s",
            ["written/s", "seen/s", "missing", "left out", "memory growth, MB"],
            [
                [
                    f"{slow['written/s']:.1f}",
                    f"{slow['seen/s']:.1f}",
                    str(slow["lacks"]),
                    f"{slow['dropped']} {verdict(kept, 'none')}",
                    f"{slow['grown'] / 1e6:.1f}",
                ]
            ],
        ),
        *table(
            "While no frames arrive, percent of a core",
            ["", "%", "limit"],
            [
                [kind, f"{percent:.2f}", verdict(percent <= IDLE_PERCENT, f"<= {IDLE_PERCENT:g} %")]
                for kind, percent in idle.items()
            ],
        ),
    ]
