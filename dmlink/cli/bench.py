"""`dmlink bench`: how fast dmlink is on this computer."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmlink import __version__

if TYPE_CHECKING:
    import argparse

INSTALLED = Path(__file__).parents[1] / "benchmarks"
FOLDER = INSTALLED if INSTALLED.is_dir() else Path(__file__).parents[2] / "benchmarks"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("bench", help="measure how fast dmlink is on this computer")
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(names()) or 'none'}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    parser.add_argument("--overwrite", action="store_true", help="replace that file if it exists")
    parser.add_argument("--quick", action="store_true", help="a shorter version: fewer runs and sizes")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, and print the tables."""
    tell(options.name, options.json, overwrite=options.overwrite, quick=options.quick)
    return 0


def tell(name: str, file: Path | None, *, overwrite: bool = False, **options: Any) -> None:
    """Run a benchmark with these options; print its tables, and write its figures to a file.

    Raises
    ------
    FileExistsError
        If the file exists and must not be replaced.
    """
    if file and file.exists() and file.stat().st_size and not overwrite:  # empty: an interrupted run left it
        raise FileExistsError(f"{file} exists. Choose another name, or move it (dmlink bench: --overwrite).")
    if file:
        file.touch()  # so that it fails now rather than after hours
    report = measure(name, **options)
    if file:
        file.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print("\n".join(lines(report)))


def names() -> list[str]:
    """Return the names of all benchmarks."""
    return sorted(p.stem for p in FOLDER.glob("*.py") if "\ndef run(" in p.read_text("utf-8"))


def measure(name: str, *, quick: bool = False, **options: Any) -> dict[str, Any]:
    """Run a benchmark, with options of its own; return its figures, and where and when they were taken."""
    benchmark, yardstick = _module(name), _imported("yardstick")
    begun, before = time.monotonic(), yardstick.readings()
    date = time.strftime("%Y-%m-%d %H:%M")
    given = [f"--{what} {value}" for what, value in options.items() if value is not None]
    command = " ".join([f"python -m benchmarks.{name}", *given]) if given else f"dmlink bench {name}"
    result = benchmark.run(quick=quick, **options)
    return {
        "benchmark": name,
        "command": command + (" --quick" if quick else ""),
        "date": date,
        "seconds": round(time.monotonic() - begun),
        "machine": machine(),
        "yardstick": [before, yardstick.readings()],
        "result": result,
    }


def lines(report: dict[str, Any]) -> list[str]:
    """Return a report as it is printed."""
    about = f"{report['command']}, {report['date']}, {report['seconds']} s; {report['machine']}"
    tables: list[str] = _module(report["benchmark"]).lines(report["result"])
    return [about, _imported("yardstick").line(*report["yardstick"]), *tables]


def machine() -> str:
    """Return what the figures depend on: cores, system, versions."""
    import numpy as np

    system = f"{platform.system()} {platform.release()}"
    with contextlib.suppress(OSError):  # not Linux
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {system}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, dmlink {__version__}"
    )


def _module(name: str) -> Any:
    if name not in names():
        raise ValueError(f"There is no benchmark {name!r}; available: {', '.join(names()) or 'none'}.")
    return _imported(name)


def _imported(name: str) -> Any:
    if FOLDER == INSTALLED:
        return import_module(f"dmlink.benchmarks.{name}")
    if str(FOLDER.parent) not in sys.path:
        sys.path.insert(0, str(FOLDER.parent))
    return import_module(f"benchmarks.{name}")
