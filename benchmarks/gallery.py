"""Gallery: how fast its cells are, seven at once and each beside its predecessor."""

from __future__ import annotations

from typing import Any

from .link import note
from .of_gallery import alone, crossings, together
from .of_link.tables import table, verdict

TOGETHER = 0.85  # of the cores' time goes into the work of seven cells at once
FULL_FRAME = 1.25  # times the FFT that a radial profile needs
AHEAD = {870: 10.0, 2044: 8.0}  # times as fast as the script of 2019
COLOUR, PARTICLES = 10.0, 5.0  # times as fast as BenMillerScripts, and as trackpy
DENSITIES = 50, 100, 200, 500, 800  # particles on 1024 x 1024


def run(quick: bool) -> dict[str, Any]:
    """Measure everything in two minutes, or less if `quick`."""
    runs = 2 if quick else 7
    at_once = together.rates(1 if quick else 5, 2.0 if quick else 3.0, lambda: note("seven cells at once"))
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
        "together": at_once,
        "radial": radial,
        "colour": colour,
        "tracking": alone.tracking(1024, runs + 3),
    }


def lines(result: dict[str, Any]) -> list[str]:
    """Return the tables."""
    return [
        f"Medians of {result['runs']} runs, of the cells at once of 5; ratios within each run.",
        "",
        *_together(result["together"]),
        *_radial(result["radial"]),
        *_colour(result["colour"]),
        *_tracking(result["tracking"]),
        *_crossings(result["crossings"]),
    ]


def _together(found: dict[str, Any]) -> list[str]:
    rows = [
        [name, f"{alone:.1f}", f"{bare:.1f}", f"{live:.1f}"]
        for name, alone, bare, live in zip(
            *(found[part] for part in ("cells", "alone ms", "bare", "live")), strict=True
        )
    ]
    live, bare = found["share"]["live"], found["share"]["bare"]
    kept = verdict(live >= TOGETHER, f">= {TOGETHER}")
    title = (
        f"{len(rows)} cells at once, each in its process and as fast as it goes, {found['side']}² uint16; "
        f"{live:.2f} of {found['cores']} cores: {kept}; bare processes {bare:.2f}"
    )
    return table(title, ["cell", "alone, ms", "bare, frames/s", "live, frames/s"], rows)


def _radial(sizes: list[dict[str, Any]]) -> list[str]:
    rows = []
    for one in sizes:
        row = [f"{one['side']}²", f"{one['ms']:.1f}", f"{one['FFT ms']:.1f}", f"{one['of FFT']:.2f}", "", ""]
        if "ratio" in one:
            least = AHEAD[one["side"]]
            row[4:] = [f"{one['peer ms']:.0f}", f"{one['ratio']:.1f}"]
            row.append(verdict(one["ratio"] >= least, f">= {least:g}"))
        else:
            row.append(verdict(one["of FFT"] <= FULL_FRAME, f"<= {FULL_FRAME} of the FFT"))
        rows.append(row)
    title = (
        "Radial profile of the FFT, ms, beside the FFT alone (scipy.fft.rfft2, float32, all cores) and the "
        "live script of 2019 (its algorithm, rewritten)"
    )
    return table(title, ["", "cell", "FFT", "of FFT", "of 2019", "times as fast", "limit"], rows)


def _colour(ways: dict[str, Any]) -> list[str]:
    rows = []
    for name, one in ways.items():
        kept = verdict(one["ratio"] >= COLOUR, f">= {COLOUR:g}")
        rows.append([name, f"{one['ms']:.0f}", f"{one['peer ms']:.0f}", f"{one['ratio']:.1f}", kept])
    title = "FFT colour map, 870², ms, beside the package BenMillerScripts and its algorithm, rewritten"
    return table(title, ["", "cell", "other", "times as fast", "limit"], rows)


def _tracking(found: dict[str, float]) -> list[str]:
    row = ["", f"{found['ms']:.0f}", "not installed", "", ""]
    if "trackpy ms" in found:
        ahead = found["trackpy ms"] / found["ms"]
        row[2:] = [
            f"{found['trackpy ms']:.0f}",
            f"{ahead:.1f}",
            verdict(ahead >= PARTICLES, f">= {PARTICLES:g}"),
        ]
    title = f"Particle tracking, {found['side']}², {alone.PARTICLES} particles, ms a frame"
    return table(title, ["", "cell", "trackpy", "times as fast", "limit"], [row])


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
