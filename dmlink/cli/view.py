"""`dmlink view`: shows the live view's numbers in the terminal, one line per second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dmlink.cli.endpoint import add_endpoint

if TYPE_CHECKING:
    import argparse

    from dmlink.frame import Frame
    from dmlink.link.link import Link


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("view", help="print the live view's numbers in the terminal")
    add_endpoint(parser)
    parser.add_argument("--roi", help="use only this ROI")
    parser.add_argument("--lines", type=int, help="stop after this many lines")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a line per second."""
    from dmlink.link import connect

    with connect(options.endpoint, roi=options.roi) as link:
        print(link)
        printed, due = 0, 0.0
        while options.lines is None or printed < options.lines:
            try:
                frame = link.next(timeout=5.0)
            except TimeoutError as error:
                print(error, "Run `dmlink doctor` to find out why.", flush=True)
                printed += 1
                continue
            if time.monotonic() >= due:
                due = time.monotonic() + 1.0
                printed += 1
                print(line(frame, link), flush=True)
    return 0


def line(frame: Frame, link: Link) -> str:
    """Return a frame as a line: number, shape, values, rate, dropped frames and age."""
    stats, data = link.stats, frame.data
    values = f"{data.min():g} .. {data.max():g}, mean {data.mean():.4g}"
    pixel = f"{frame.x.scale:.4g} {frame.x.unit}/px" if frame.x.unit else "not calibrated"
    shape = " x ".join(str(n) for n in data.shape)
    return (
        f"frame {frame.index:6d}  {shape} {data.dtype}  {pixel}  {values}  "
        f"{stats.rate:.1f} f/s  dropped {stats.dropped}  age {link.age(frame) * 1e3:.0f} ms"
    )
