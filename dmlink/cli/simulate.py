"""`dmlink simulate`: plays a recording with a simulated microscope, for links on this computer."""

from __future__ import annotations

import argparse
import contextlib
import math
import signal
import sys
import threading

from dmlink.cli import option_types
from dmlink.cli.choice import add_choice


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("simulate", help="play a recording as a microscope's live view")
    parser.add_argument("recording", nargs="?", help="default: gold nanoparticles, made on first use")
    parser.add_argument("--fps", type=float, help="frames per second; default: as recorded, else 20")
    parser.add_argument(
        "--speed", type=_speed, default=1.0, help="2: twice as fast; max: as fast as possible without loss"
    )
    parser.add_argument(
        "--port", type=option_types.port, default=52370, help="port (52370); if in use, the next free one"
    )
    parser.add_argument(
        "--loop", action=argparse.BooleanOptionalAction, default=True, help="start again at the end"
    )
    parser.add_argument("--scale", type=float, help="pixel size, if the recording has none")
    parser.add_argument("--unit", help="unit of --scale, such as nm")
    parser.add_argument("--report", metavar="FILE", help="imitate the GMS of this gms-report.json")
    parser.add_argument("--record-to", metavar="FOLDER", help="also record to disk, like Gatan's In-Situ")
    parser.add_argument(
        "--record-fps",
        type=float,
        metavar="N",
        help="frames per second to disk, of which the view shows only some; default: as in the view",
    )
    parser.add_argument("--record-layout", choices=("raw", "tree"), default="raw", help="layout of the files")
    parser.add_argument(
        "--record-header", choices=("first", "last"), default="first", help="when to write the .dm4 (first)"
    )
    parser.add_argument(
        "--record-preallocate", action="store_true", help="give every .raw its full size from the start"
    )
    parser.add_argument(
        "--record-part", type=float, default=2048.0, metavar="MB", help="megabytes in each .raw (2048)"
    )
    add_choice(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Simulate until interrupted."""
    from dmlink import recordings
    from dmlink.data import nanoparticles
    from dmlink.simulator import Microscope
    from dmlink.simulator.in_situ import InSitu

    recording = recordings.open(
        options.recording or nanoparticles(),
        axis=options.axis,
        item=options.item,
        scale=options.scale,
        unit=options.unit,
        fps=options.fps,
    )
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    fps, fastest = recording.fps or 20.0, math.isinf(options.speed)
    rate = fps * (1.0 if fastest else options.speed)
    disk = options.record_fps or rate
    shown = recording[:: max(1, round(disk / rate))] if options.record_to else recording
    with contextlib.ExitStack() as stack:
        stack.enter_context(recording)
        microscope = stack.enter_context(
            Microscope(shown, fps, loop=options.loop, patient=fastest, report=options.report)
        )
        microscope.camera.fps = fps * options.speed
        print(microscope.start_companion(port=options.port), flush=True)
        print(f"Playing {recording!r}. Ctrl+C ends it.", flush=True)
        if options.record_to:
            in_situ = InSitu(
                recording,
                options.record_to,
                disk,
                layout=options.record_layout,
                header=options.record_header,
                preallocate=options.record_preallocate,
                part_bytes=int(options.record_part * 2**20),
                loop=options.loop,
            )
            stack.callback(lambda: print(f"{in_situ.written} frames are in {options.record_to}.", flush=True))
            stack.enter_context(in_situ)
            print(f"Recording to {options.record_to}, {disk:g} frames/s.", flush=True)
        printed = 1
        while not over.wait(0.2):
            lines = microscope.results_window
            for line in lines[printed:]:
                print(line, file=sys.stderr, flush=True)
            printed = len(lines)
    return 0


def _speed(text: str) -> float:
    """Return the speed as a factor; `inf` for "max"."""
    speed = math.inf if text == "max" else float(text)
    if not speed > 0:
        raise argparse.ArgumentTypeError(f"{text}: give a number greater than 0, or max")
    return speed
