"""Alone: single cells, each compared with the method that it should outrun."""

from __future__ import annotations

import contextlib
import io
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from dmlink import gallery
from dmlink.program.instance import Instance
from dmlink.program.program import Program

from . import peers
from .frames import info, particles, specimen

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

PARTICLES = 500


def cell(name: str, **values: Any) -> Callable[[np.ndarray, int], Any]:
    """Return a cell of the gallery as a function of frame and index."""
    instance = Instance(Program.from_cell(gallery.text(name), name).with_values(**values))

    def run(frame: np.ndarray, index: int = 0) -> Any:
        with contextlib.redirect_stdout(io.StringIO()):
            return instance.process(frame, info(index))

    return run


def beside(name: str, side: int, peer: Callable[[np.ndarray], Any] | None, runs: int) -> dict[str, Any]:
    """Return ms of the cell and of its peer, measured in turns, and the median of their ratios."""
    frame, run = specimen(side), cell(name)
    run(frame)
    if peer:
        peer(frame)  # warm as well
    mine, theirs = [], []
    for _ in range(runs):
        mine.append(_ms(run, frame))
        if peer:
            theirs.append(_ms(peer, frame))
    found = {"side": side, "ms": median(mine)}
    if peer:
        found |= {
            "peer ms": median(theirs),
            "ratio": median(t / m for t, m in zip(theirs, mine, strict=True)),
        }
    return found


def tracking(side: int, runs: int) -> dict[str, float]:
    """Return ms a frame of particle tracking, and of trackpy's locate and link if it is installed."""
    frames, run = particles(side, PARTICLES, runs + 2), cell("particle_tracking")
    for i, frame in enumerate(frames[:2]):
        run(frame, i)
    times = [_ms(run, frame, i + 2) for i, frame in enumerate(frames[2:])]
    found = {"side": side, "ms": median(times)}
    with contextlib.suppress(ImportError):
        import pandas as pd  # noqa: PLC0415
        import trackpy  # noqa: PLC0415

        trackpy.quiet()
        trackpy.locate(frames[0], 11, invert=True)  # warm as well
        begun = time.perf_counter()
        located = [trackpy.locate(f, 11, invert=True).assign(frame=i) for i, f in enumerate(frames[2:])]
        trackpy.link(pd.concat(located), 6)
        found["trackpy ms"] = 1000 * (time.perf_counter() - begun) / runs
    return found


def radial(runs: int) -> list[dict[str, Any]]:
    """Return the radial profile at three sizes, compared with the bare FFT, and with the script of 2019."""
    name, found = "fft_radial_profile", []
    for side in (870, 2044, 4096):
        bare = beside(name, side, peers.fft_of(specimen(side)), runs)
        of_2019 = beside(name, side, peers.radial_profile_2019 if side < 4096 else None, runs)
        found.append({**of_2019, "FFT ms": bare["peer ms"], "of FFT": 1 / bare["ratio"]})
    return found


def colour(runs: int) -> dict[str, Any]:
    """Return the colour map compared with its algorithm, and with the package if it is installed."""
    found = {"algorithm": beside("fft_colour_map", 870, peers.colour_map, runs)}
    if package := peers.benmillerscripts():
        found["BenMillerScripts"] = beside("fft_colour_map", 870, package, runs)
    return found


def _ms(function: Callable[..., Any], *arguments: Any) -> float:
    begun = time.perf_counter()
    function(*arguments)
    return 1000 * (time.perf_counter() - begun)
