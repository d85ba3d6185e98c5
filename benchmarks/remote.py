"""Remote: a live cell on a different computer, over 1 Gbit/s with 2 ms of delay."""

from __future__ import annotations

from typing import Any

from .link import note
from .of_link.children import answer, child
from .of_link.tables import table
from .of_remote import cable, hosts, network

RATE, DELAY = 125e6, 0.002  # bytes/s, and s each way
SIZES, FPS = (512, 1024, 2048), 30.0
WAYS = {"": False, " packed": True}


def run(quick: bool) -> dict[str, Any]:
    """Measure everything: a minute, or twenty seconds if `quick`; {"why": reason} where impossible."""
    why = network.why_not()
    if why:
        return {"why": why}
    sizes = {}
    with network.hosts(RATE, DELAY) as (microscope, server):
        for size in SIZES[1:2] if quick else SIZES:
            for way, packed in WAYS.items():
                note(f"{size}²{way} over the cable")
                with (
                    child(hosts.microscope, microscope, size, FPS, packed) as dm,
                    child(hosts.kernel, server, answer(dm), 3.0 if quick else 6.0) as kernel,
                ):
                    sizes[f"{size}²{way}"] = answer(kernel)
    return {"sizes": sizes}


def lines(result: dict[str, Any]) -> list[str]:
    """Return the table."""
    if "why" in result:
        return [f"Not measured: {result['why']}."]
    rows = []
    for size, t in result["sizes"].items():
        fits = min(FPS, RATE / cable.WIRE / (2 * int(size.partition("²")[0]) ** 2))
        figures = [f"{t['frames/s']:.1f}", f"{fits:.1f}", f"{t['cell']:.1f}", f"{t['MB/s']:.0f}"]
        rows.append([size, *figures, f"{t['p50']:.0f}", f"{t['p95']:.0f}"])
    view = f"Live view of {FPS:g} frames/s, uint16, {hosts.COUNTS:g} electrons a pixel"
    title = f"{view}, and a live cell, over {RATE / 125e6:g} Gbit/s with {DELAY * 1e3:g} ms each way"
    heads = ["", "frames/s", "would fit as it is", "cell", "MB/s of pixels", "age p50 ms", "p95"]
    return table(title, heads, rows)
