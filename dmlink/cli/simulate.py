"""`dmlink simulate`: a simulated microscope that plays a recording, for links on this computer."""

from __future__ import annotations

import argparse
import math
import signal
import sys
import threading

from dmlink import recordings
from dmlink.data import nanoparticles


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("simulate", help="play a recording as a microscope's live view")
    parser.add_argument("recording", nargs="?", help="default: gold nanoparticles, made on first use")
    parser.add_argument("--fps", type=float, help="frames per second; default: as recorded, else 20")
    parser.add_argument(
        "--speed", type=_speed, default=1.0, help="twice as fast: 2; as fast as possible, losing none: max"
    )
    parser.add_argument("--port", type=int, default=52370, help="the next free one is taken if it is in use")
    parser.add_argument(
        "--loop", action=argparse.BooleanOptionalAction, default=True, help="begin again at the end"
    )
    parser.add_argument("--scale", type=float, help="size of a pixel, if the recording does not say it")
    parser.add_argument("--unit", help="unit of --scale, such as nm")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Simulate until interrupted."""
    from dmlink.simulator import Microscope  # noqa: PLC0415 - replaces DigitalMicrograph in this process

    recording = recordings.open(
        options.recording or nanoparticles(), scale=options.scale, unit=options.unit, fps=options.fps
    )
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    fps, fastest = recording.fps or 20.0, math.isinf(options.speed)
    with recording, Microscope(recording, fps, loop=options.loop, patient=fastest) as microscope:
        microscope.camera.fps = fps * options.speed
        print(microscope.start_companion(port=options.port), flush=True)
        print(f"Playing {recording!r}. Ctrl+C ends it.", flush=True)
        said = 1
        while not over.wait(0.2):
            lines = microscope.results_window
            for line in lines[said:]:
                print(line, file=sys.stderr, flush=True)
            said = len(lines)
    return 0


def _speed(text: str) -> float:
    """Return the factor that is written; `inf` for "max"."""
    speed = math.inf if text == "max" else float(text)
    if not speed > 0:
        raise argparse.ArgumentTypeError(f"{text}: give a number above zero, or max")
    return speed
