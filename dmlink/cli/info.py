"""`dmlink info PATH`: what a recording is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmlink import recordings
from dmlink.summary import size

if TYPE_CHECKING:
    import argparse

    from dmlink.frame import Axis

#: A tag's characters, and entries of a list, that are shown.
LONGEST, SHORT = 80, 3


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command `info` to the command line."""
    parser = subparsers.add_parser("info", help="say what a recording is: shape, scale, frame rate")
    parser.add_argument("path", help="a file or folder, such as .dm4, .raw, .mrc, .tif, .ser, .emd, .zarr")
    parser.add_argument("--axis", type=_number, help="the dimension that counts the frames: number or name")
    parser.add_argument("--item", type=_number, help="which of several images in the file: number or name")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what the recording at `args.path` is; return the exit code."""
    with recordings.open(args.path, axis=args.axis, item=args.item) as recording:
        n, h, w = recording.shape
        fps = recording.fps
        lacking = f", {recording.expected} announced" if recording.expected > n else ""
        rows = {
            "name": recording.name,
            "shape": f"{n} {'frame' if n == 1 else 'frames'} of {h} x {w} pixels{lacking}",
            "dtype": f"{recording.dtype}, {size(n * h * w * recording.dtype.itemsize)}",
            "scale": _scale(recording.y, recording.x),
            "duration": f"{n / fps:.6g} s" if fps else "unknown",
            "frame rate": f"{fps:.6g} frames/s" if fps else "unknown",
        }
        rows |= {name: _tag(value) for name, value in recording.tags.items()}
    width = max(map(len, rows)) + 2
    for what, value in rows.items():
        print(f"{what:<{width}}{value}")
    return 0


def _tag(value: Any) -> str:
    """Return what a tag says, on one line; of long lists and of groups how much there is."""
    if isinstance(value, list) and len(value) <= SHORT:
        value = ", ".join(map(str, value)) or "none"
    if isinstance(value, dict | list):
        return f"({len(value)} {'entry' if len(value) == 1 else 'entries'})"
    return " ".join(str(value).split())[:LONGEST]


def _scale(y: Axis, x: Axis) -> str:
    """Return the calibration of rows and columns."""
    if not (y.unit or x.unit):
        return "not calibrated"
    if (y.scale, y.unit) == (x.scale, x.unit):
        return f"{x.scale:.6g} {x.unit} per pixel"
    return f"{y.scale:.6g} {y.unit or 'rows'} x {x.scale:.6g} {x.unit or 'columns'} per pixel"


def _number(text: str) -> int | str:
    """Return an option as a number where it is one."""
    return int(text) if text.lstrip("-").isdecimal() else text
