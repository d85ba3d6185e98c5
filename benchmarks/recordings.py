"""Recordings: reading and recording them, against their limits."""

from __future__ import annotations

from typing import Any

from .link import note
from .of_link.tables import table, verdict
from .of_recordings import reading, writing

READ, WRITE = 0.8, 0.7  # the limits


def run(quick: bool) -> dict[str, Any]:
    """Measure everything: about a minute, or half of one if `quick`."""
    runs = 2 if quick else 7
    return {
        "runs": runs,
        "reading": reading.speeds(runs, note),
        "recording": writing.recording(5.0 if quick else 20.0, note),
    }


def lines(result: dict[str, Any]) -> list[str]:
    """Return the tables."""
    return [
        f"Reading: medians of {result['runs']} runs; ratios within each run.",
        "",
        *_reading(result["reading"]),
        *_recording(result["recording"]),
    ]


def _reading(formats: dict[str, Any]) -> list[str]:
    rows = [
        [
            name,
            *(f"{t[what]:.2f}" for what in ("GB/s", "fromfile", "ratio")),
            verdict(t["ratio"] >= READ, f">= {READ}"),
        ]
        for name, t in formats.items()
    ]
    title = f"Reading {reading.FRAMES} frames of {reading.SIZE}² uint16 in order, each read in full, GB/s"
    return table(title, ["", "dmlink", "fromfile", "ratio", "limit"], rows)


def _recording(t: dict[str, Any]) -> list[str]:
    of_bare = t["frames/s"] / min(t["camera"], t["bare"])
    lost = verdict(t["lost"] == 0 and t["readable"] == t["frames"], "none")
    rows = [
        ["bare Zarr array, the same chunks", f"{t['bare']:.1f}", ""],
        ["camera", f"{t['camera']:.1f}", ""],
        ["recorded", f"{t['frames/s']:.1f}", verdict(of_bare >= WRITE, f">= {WRITE} of the slower")],
        ["live view meanwhile", f"{t['view']:.1f}", ""],
        ["cell (mean) meanwhile", f"{t['cell']:.1f}", ""],
        ["frames lost", f"{t['lost']}", lost],
    ]
    title = (
        f"Recording {writing.SIZE}² uint16 ({t['MB a frame']:.1f} MB a frame on disk) for {t['seconds']:.0f} "
        "s, frames/s"
    )
    return table(title, ["", "frames/s", "limit"], rows)
