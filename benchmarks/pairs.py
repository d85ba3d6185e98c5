"""Pairs: this checkout and another, measured in turn, so that a slow hour hits both alike.

    git worktree add ../before v0.1.0
    python benchmarks/pairs.py ../before link cells gallery --pairs 7 --json pairs.json

Both run in this environment, with its packages. For each figure of `dmlink bench NAME --quick` it prints the
medians of the other checkout and of this one, the median ratio of the pairs, and how much the figures of the
other checkout vary from one pair to the next. A ratio within that spread says nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parents[1]
OF_OTHER_SIZE = ("runs", "seconds", "n", "limit")  # settings, not measurements


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("other", type=Path, help="the checkout to compare with")
    parser.add_argument("names", nargs="+", help="benchmarks, as for `dmlink bench`")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures of all runs into this new file")
    options = parser.parse_args()
    file = options.json.open("x", encoding="utf-8") if options.json else None  # fail now, not after hours
    runs: dict[str, list[tuple[dict[str, float], dict[str, float]]]] = {name: [] for name in options.names}
    try:
        for turn in range(options.pairs):
            for name, found in runs.items():
                print(f"{name}, pair {turn + 1} of {options.pairs} ...", file=sys.stderr, flush=True)
                found.append((measured(options.other.resolve(), name), measured(HERE, name)))
    finally:  # even after an interrupt or a failure: pairs take minutes
        for name, found in runs.items():
            if found:
                print("\n".join(lines(name, found)))
        if file:
            with file:
                json.dump(runs, file, indent=1)


def measured(checkout: Path, name: str) -> dict[str, float]:
    """Run a benchmark of a checkout in its own process; return its figures by their path."""
    path = os.pathsep.join([str(checkout), str(checkout / "widgets")])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        command = [sys.executable, "-m", "dmlink", "bench", name, "--quick", "--json", str(file)]
        done = subprocess.run(  # noqa: S603 - ours
            command,
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"`dmlink bench {name} --quick` failed in {checkout}:\n{done.stderr}")
        return dict(figures(json.loads(file.read_text("utf-8"))["result"]))


def figures(found: Any, place: str = "") -> list[tuple[str, float]]:
    """Return the numbers in a result by their path; for a list, its median."""
    if isinstance(found, dict):
        items = [(f"{place} / {key}" if place else str(key), value) for key, value in found.items()]
        return [
            figure
            for way, value in items
            if way.rpartition(" / ")[2] not in OF_OTHER_SIZE
            for figure in figures(value, way)
        ]
    if isinstance(found, list) and found and all(type(value) in {int, float} for value in found):
        return [(place, float(median(found)))]
    return [(place, float(found))] if type(found) in {int, float} else []


def lines(name: str, runs: list[tuple[dict[str, float], dict[str, float]]]) -> list[str]:
    """Return the table of a benchmark."""
    places = [
        place for place in runs[0][1] if all(place in before and place in after for before, after in runs)
    ]
    width = max(map(len, places))
    said = [
        f"{name}, {len(runs)} pairs",
        f"{'':{width}}  {'before':>9} {'after':>9} {'ratio':>6}  before, to itself",
    ]
    for place in places:
        befores, afters = ([run[side][place] for run in runs] for side in (0, 1))
        ratios = [after / before for before, after in zip(befores, afters, strict=True) if before]
        itself = [max(a, b) / min(a, b) for a, b in pairwise(befores) if a > 0 and b > 0]
        if not ratios or not itself:
            continue
        ratio, spread = median(ratios), max(itself)
        inside = 1 / spread <= ratio <= spread
        said.append(
            f"{place:{width}}  {median(befores):9.4g} {median(afters):9.4g} {ratio:6.2f}  "
            f"{1 / spread:.2f} to {spread:.2f}{'' if inside else '  OUTSIDE'}"
        )
    return [*said, ""]


if __name__ == "__main__":
    main()
