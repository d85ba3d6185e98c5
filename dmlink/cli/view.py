"""`dmlink view`: a glimpse of the live view in the terminal, a line per second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from dmlink.link import connect

if TYPE_CHECKING:
    import argparse

    from dmlink.frame import Frame
    from dmlink.link import Link


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("view", help="look at the live view in the terminal")
    parser.add_argument("endpoint", nargs="?", help="dmlink://...; default: the last companion here")
    parser.add_argument("--roi", help="look at this rectangle only")
    parser.add_argument("--lines", type=int, help="end after so many lines")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print what comes."""
    with connect(options.endpoint, roi=options.roi) as link:
        print(link)
        printed, due = 0, 0.0
        while options.lines is None or printed < options.lines:
            try:
                frame = link.next(timeout=5.0)
            except TimeoutError as error:
                print(error, "`dmlink doctor` looks for the reason.", flush=True)
                printed += 1
                continue
            if time.monotonic() >= due:
                due = time.monotonic() + 1.0
                printed += 1
                print(line(frame, link), flush=True)
    return 0


def line(frame: Frame, link: Link) -> str:
    """Return a frame in a line: number, shape, values, and how it came here."""
    stats, data = link.stats, frame.data
    values = f"{np.min(data):g} .. {np.max(data):g}, mean {np.mean(data):.4g}"
    pixel = f"{frame.x.scale:.4g} {frame.x.unit}/px" if frame.x.unit else "not calibrated"
    shape = " x ".join(str(n) for n in data.shape)
    return (
        f"frame {frame.index:6d}  {shape} {data.dtype}  {pixel}  {values}  "
        f"{stats.rate:.1f} f/s  dropped {stats.dropped}  age {link.age(frame) * 1e3:.0f} ms"
    )
