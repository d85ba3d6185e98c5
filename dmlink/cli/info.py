"""`dmlink info PATH`: describes a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmlink.cli.choice import add_choice

if TYPE_CHECKING:
    import argparse

    from dmlink.frame import Axis
    from dmlink.recordings import Recording

#: How many characters of a tag, and entries of a list, to show.
LONGEST, SHORT = 80, 3


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the command `info` to the command line."""
    parser = subparsers.add_parser("info", help="describe a recording: shape, scale, frame rate")
    parser.add_argument("path", help="a file or folder, such as .dm4, .raw, .mrc, .tif, .ser, .emd, .zarr")
    add_choice(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Describe the recording at `args.path`; return the exit code."""
    from dmlink import recordings

    with recordings.open(args.path, axis=args.axis, item=args.item) as recording:
        rows = _own(recording)
        for name, value in recording.tags.items():  # a file's tag may have the name of a row of ours
            key = " ".join(str(name).split())
            rows[f"{key} (tag)" if key.casefold() in rows else key] = _tag(value)
    width = max(map(len, rows)) + 2
    for name, value in rows.items():
        print(f"{name:<{width}}{value}")
    return 0


def _own(recording: Recording) -> dict[str, str]:
    """Return dmlink's own rows about a recording."""
    from dmlink.summary import size

    n, h, w = recording.shape
    lacking = f", {recording.expected} expected" if recording.expected > n else ""
    rows = {
        "name": recording.name,
        "shape": f"{n} {'frame' if n == 1 else 'frames'} of {h} x {w} pixels{lacking}",
        "dtype": f"{recording.dtype}, {size(n * h * w * recording.dtype.itemsize)}",
        "scale": _scale(recording.y, recording.x),
        "duration": _duration(recording),
        "frame rate": _rate(recording),
    }
    if recording.y.origin or recording.x.origin:
        rows["origin"] = (
            f"y {_value(recording.y.origin, recording.y)}, x {_value(recording.x.origin, recording.x)}"
        )
    if not recording.timed and any(d.name or d.axis.unit for d in recording.dimensions if d.name != "frame"):
        rows["frames"] = " x ".join(_dimension(d) for d in recording.dimensions)
    if recording.items:
        rows["items"] = ", ".join(f"{i} {name}" for i, name in enumerate(recording.items)) + " (--item)"
    for i, note in enumerate(recording.notes):
        rows["note" if i == 0 else f"note {i + 1}"] = note
    return rows


def _duration(recording: Recording) -> str:
    if not recording.fps:
        return "unknown"
    n = len(recording)
    return f"{n / recording.fps:.6g} s"


def _rate(recording: Recording) -> str:
    import numpy as np

    from dmlink.recordings.steps import even_steps

    if not recording.fps:
        return "unknown"
    rate = f"{recording.fps:.6g} frames/s"
    if even_steps(recording.times):
        return rate
    steps = np.diff(recording.times)
    return f"{rate} on average, {steps.min():.3g} to {steps.max():.3g} s apart"


def _dimension(dimension: Any) -> str:
    """Return name, length and step of a dimension that counts the frames."""
    text = f"{dimension.name or 'frames'} ({dimension.size})"
    if dimension.values is not None:
        return f"{text} not evenly spaced {dimension.axis.unit}".rstrip()
    return f"{text} {dimension.axis.scale:.6g} {dimension.axis.unit} apart" if dimension.axis.unit else text


def _value(value: float, axis: Axis) -> str:
    return f"{value:.6g} {axis.unit}".rstrip()


def _tag(value: Any) -> str:
    """Return a tag on one line; for long lists and groups, the number of entries."""
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
