"""`dmlink record`: writes every frame of the live view to disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dmlink.cli import option_types
from dmlink.cli.endpoint import add_endpoint

if TYPE_CHECKING:
    import argparse

    from dmlink.recordings.writing.recorder import Recorder

TELL_SECONDS = 1.0


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("record", help="write every frame of the live view to disk (OME-Zarr)")
    add_endpoint(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, help="the recording; .ome.zarr is added")
    parser.add_argument("--roi", help="record only this ROI")
    parser.add_argument(
        "--frames", type=option_types.count, help="stop after this many frames; default: at Ctrl+C"
    )
    parser.add_argument("--seconds", type=option_types.seconds, help="stop after this many seconds")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing dmlink recording")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Record until it ends or is interrupted."""
    from dmlink.link import connect

    with connect(options.endpoint, roi=options.roi) as link:
        recorder = link.record(
            options.output,
            overwrite=options.overwrite,
            max_frames=options.frames,
            max_seconds=options.seconds,
        )
        try:
            while not recorder.wait(TELL_SECONDS):
                print(_line(recorder), file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            recorder.stop()
    print(_line(recorder))
    if recorder.state == "failed":
        print(f"dmlink: {recorder.reason}", file=sys.stderr)
        return 1
    return 0


def _line(recorder: Recorder) -> str:
    left = recorder.seconds_left
    lasts = f", {recorder.disk_left / 1e9:.0f} GB free: {left / 60:.0f} min more" if left else ""
    why = f". {recorder.reason}" if recorder.reason and recorder.state != "failed" else ""
    return (
        f"{recorder.path}: {recorder.frames} frames in {recorder.seconds:.0f} s, "
        f"{recorder.bytes / 1e6:.0f} MB, {recorder.dropped} dropped{lasts}{why}"
    )
