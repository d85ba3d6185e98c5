"""`dmlink doctor`: why no frames arrive, what a self-test report means, what this computer can handle."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

from dmlink import __version__
from dmlink.cli.endpoint import given

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("doctor", help="find out why no frames arrive, or what a GMS can do")
    parser.add_argument(
        "what",
        nargs="*",
        type=given,
        help="dmlink://..., or - to read it from standard input; default: the last companion here. Or "
        "gms-report.json files that the self-test wrote",
    )
    parser.add_argument("--roi", help="also check this ROI of the live view")
    parser.add_argument(
        "--speed",
        nargs="?",
        const=".",
        metavar="FOLDER",
        help="instead, measure for 20 s how many frames per second this computer handles: over a link, into "
        "cells, and onto the disk of FOLDER (default: the current one)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print each finding; the exit code is 0 if frames arrive, or could."""
    print(f"dmlink {__version__}, Python {platform.python_version()}, {platform.platform()}")
    if options.speed is not None:
        if options.what or options.roi:
            raise ValueError("--speed measures only this computer; it takes no endpoint, ROI or report.")
        return _measure(Path(options.speed))
    reports = [what for what in options.what if what.lower().endswith(".json")]
    if reports:
        if len(reports) < len(options.what):
            raise ValueError("Give an endpoint, or reports of the self-test, not both.")
        return max([_explain(path) for path in reports])
    if len(options.what) > 1:
        raise ValueError(f"There are {len(options.what)} endpoints; give only one.")
    return _examine(options.what[0] if options.what else None, options.roi)


def _examine(endpoint: str | None, roi: str | None) -> int:
    from dmlink.link.diagnosis import examine

    for ok, text in examine(endpoint, roi):
        print("  ok  " if ok else "FAULT ", text, flush=True)
        if not ok:
            return 1
    return 0


def _measure(folder: Path) -> int:
    from dmlink.cli.capacity import measure

    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; create it, or choose another one.")
    measure(folder.resolve(), lambda text: print("      ", text, flush=True))
    return 0


def _explain(path: str) -> int:
    from dmlink.gms_report import read_report

    report = read_report(path)
    gms, python = (
        ".".join(map(str, version)) or "of unknown version" for version in (report.gms, report.python)
    )
    thread = "on the main thread" if report.main_thread else "in the background"
    print(
        f"{path}: GMS {gms}, Python {python}, NumPy {report.numpy or 'unknown'}, {report.system}, "
        f"self-test run {thread}"
    )
    for sentence in report.sentences():
        print("      ", sentence)
    for doubt in report.doubts:
        print("DOUBT ", doubt)
    if report.fault:
        print("FAULT ", report.fault)
    return int(bool(report.fault))
