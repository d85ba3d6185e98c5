"""Gallery: how fast its cells are, seven at once and each beside its predecessor."""

from __future__ import annotations

from statistics import median
from typing import Any

from .link import note
from .of_gallery import alone, crossings, together
from .of_link.tables import table, verdict

TOGETHER, FULL_FRAME_MS, PARTICLES = 10.0, 150.0, 15.0  # frames/s; ms; frames/s: the limits
AHEAD = {870: 10.0, 2044: 8.0}  # times as fast as the script of 2019
COLOUR = 3.0  # times as fast as BenMillerScripts
DENSITIES = 50, 100, 200, 500, 800  # particles on 1024 x 1024


def run(quick: bool) -> dict[str, Any]:
    """Measure everything in two minutes, or less if `quick`."""
    runs = 2 if quick else 7
    note("seven cells at once")
    several = [together.rates(10 if quick else 40) for _ in range(1 if quick else 3)]
    note("radial profile")
    radial = alone.radial(runs)
    note("colour map")
    colour = alone.colour(runs)
    note("particle tracking")
    densities = DENSITIES[3:4] if quick else DENSITIES
    recordings = 1 if quick else 6
    return {
        "runs": runs,
        "crossings": {str(n): crossings.kept(n, recordings * max(1, 200 // n)) for n in densities},
        "together": {**several[-1], "frames/s": median(one["frames/s"] for one in several)},
        "radial": radial,
        "colour": colour,
        "tracking": alone.tracking(1024, runs + 3),
    }


def lines(result: dict[str, Any]) -> list[str]:
    """Return the tables."""
    return [
        f"Medians of {result['runs']} runs, of the cells at once of 3; ratios within each run.",
        "",
        *_together(result["together"]),
        *_radial(result["radial"]),
        *_colour(result["colour"]),
        *_tracking(result["tracking"]),
        *_crossings(result["crossings"]),
    ]


def _together(found: dict[str, Any]) -> list[str]:
    rows = [[name, f"{ms['alone']:.1f}", f"{ms['together']:.1f}"] for name, ms in found["cells"].items()]
    rate = f"{found['frames/s']:.1f} frames/s {verdict(found['frames/s'] >= TOGETHER, f'>= {TOGETHER:g}')}"
    title = f"{len(rows)} cells at once, each in its process, {found['side']}² uint16: {rate}; ms a frame"
    return table(title, ["cell", "alone", "together"], rows)


def _radial(sizes: list[dict[str, Any]]) -> list[str]:
    rows = []
    for one in sizes:
        row = [f"{one['side']}²", f"{one['ms']:.1f}", "", "", ""]
        if "ratio" in one:
            least = AHEAD[one["side"]]
            row[2:] = [
                f"{one['peer ms']:.0f}",
                f"{one['ratio']:.1f}",
                verdict(one["ratio"] >= least, f">= {least:g}"),
            ]
        else:
            row[4] = verdict(one["ms"] < FULL_FRAME_MS, f"< {FULL_FRAME_MS:g} ms")
        rows.append(row)
    title = "Radial profile of the FFT, ms, beside the live script of 2019 (its algorithm, rewritten)"
    return table(title, ["", "cell", "of 2019", "times as fast", "limit"], rows)


def _colour(ways: dict[str, Any]) -> list[str]:
    rows = []
    for name, one in ways.items():
        kept = verdict(one["ratio"] >= COLOUR, f">= {COLOUR:g}")
        rows.append([name, f"{one['ms']:.0f}", f"{one['peer ms']:.0f}", f"{one['ratio']:.1f}", kept])
    title = "FFT colour map, 870², ms, beside the package BenMillerScripts and its algorithm, rewritten"
    return table(title, ["", "cell", "other", "times as fast", "limit"], rows)


def _tracking(found: dict[str, float]) -> list[str]:
    kept = verdict(found["frames/s"] >= PARTICLES, f">= {PARTICLES:g}")
    trackpy = f"{found['trackpy ms']:.0f}" if "trackpy ms" in found else "not installed"
    title = f"Particle tracking, {found['side']}², {alone.PARTICLES} particles, ms a frame"
    row = ["", f"{found['ms']:.0f}", f"{found['frames/s']:.1f}", trackpy, kept]
    return table(title, ["", "cell", "frames/s", "trackpy", "limit"], [row])


def _crossings(densities: dict[str, dict[str, int]]) -> list[str]:
    rows = [
        [
            *[n, str(one["crossings"]), _part(one["kept"], one["crossings"])],
            *[str(one["of two"]), _part(one["of two kept"], one["of two"])],
            _part(one["by true places"], one["crossings"]),
        ]
        for n, one in densities.items()
    ]
    title = "Numbers kept through crossings, by particles of 8 to 12 px on 1024²"
    return table(title, ["", "crossings", "kept", "isolated", "kept", "best possible"], rows)


def _part(n: int, of: int) -> str:
    return f"{100 * n / of:.0f} %" if of else "-"
