"""`dmlink info PATH`: what a recording is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmlink import recordings

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command `info` to the command line."""
    parser = subparsers.add_parser("info", help="say what a recording is: shape, scale, frame rate")
    parser.add_argument("path", help="a .npy or TIFF file, an image, or a folder of images")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what the recording at `args.path` is; return the exit code."""
    with recordings.open(args.path) as recording:
        n, h, w = recording.shape
        x, y, fps = recording.x, recording.y, recording.fps
        scale = f"{x.scale:.6g} {x.unit}" if x.scale == y.scale else f"{y.scale:.6g} x {x.scale:.6g} {x.unit}"
        rows = {
            "name": recording.name,
            "shape": f"{n} frames of {h} x {w} pixels",
            "dtype": recording.dtype,
            "scale": f"{scale} per pixel" if x.unit else "not calibrated",
            "duration": f"{n / fps:.6g} s" if fps else "unknown",
            "frame rate": f"{fps:.6g} frames/s" if fps else "unknown",
        }
    for what, value in rows.items():
        print(f"{what:<12}{value}")
    return 0
