"""Writes gallery.md from the cells.

.venv/bin/python docs/gallery_pages.py            # the text of all cells
.venv/bin/python docs/gallery_pages.py matrix     # each cell on each kind of recording, at its defaults
.venv/bin/python docs/gallery_pages.py cost       # ms a frame, on an otherwise idle computer
.venv/bin/python docs/gallery_pictures.py [NAME]  # panels in a browser after a hundred frames, both themes
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from dmlink import LiveCell, data, gallery, recordings
from dmlink.cli import bench
from dmlink.script import requirements

HERE = Path(__file__).parent
PAGE = HERE / "gallery.md"
SIDES, RUNS = (1024, 4096), 3  # px; frames that are measured after one to warm up
KINDS = {
    "particles": data.moving_particles,
    "nanoparticles": data.nanoparticles,
    "lattice fringes": data.crystallites,
    "crystallising film": data.crystallisation,
    "Thon rings": data.thon_rings,
    "drifting film": data.drifting_film,
    "diffraction rings": data.ring_pattern,
}
# The recordings for which a cell is made; on others, its numbers have no meaning.
MADE_FOR = {
    "diffraction_profile": {"diffraction rings"},
    "drift": {"particles", "nanoparticles", "crystallising film", "drifting film", "lattice fringes"},
    "fft_colour_map": {"nanoparticles", "lattice fringes", "crystallising film"},
    "focus_astigmatism": {"Thon rings", "nanoparticles"},
    "particle_tracking": {"particles", "nanoparticles"},
    "phase_change": {"nanoparticles", "lattice fringes", "crystallising film", "Thon rings", "drifting film"},
    "virtual_detector": {"diffraction rings"},
}


def main() -> None:
    """Write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", nargs="?", default="cells", choices=["cells", "matrix", "cost"])
    options = parser.parse_args()
    parts = {"cells": cells, "matrix": matrix, "cost": cost}
    write(options.what, parts[options.what]())


def write(part: str, lines: list[str]) -> None:
    """Replace the lines between the two marks of this part of the page."""
    begin, end = f"<!-- {part}: begin -->\n", f"<!-- {part}: end -->"
    before, rest = PAGE.read_text("utf-8").split(begin)
    PAGE.write_text(f"{before}{begin}\n" + "\n".join(lines) + f"\n\n{end}{rest.split(end)[1]}", "utf-8")


def cells() -> list[str]:
    """Return the sections of all cells: what they show, how, a picture, parameters, requirements."""
    return "\n".join(section(name) for name in gallery.names()).rstrip().splitlines()


def section(name: str) -> str:
    """Return a cell's part of the page."""
    text = gallery.text(name)
    comment = text.split("\nimport")[0].split("\nfrom")[0].splitlines()
    seen, method = (" ".join(lines.split()) for lines in "\n".join(row[1:] for row in comment).split("\n\n"))
    rows = []
    for parameter in LiveCell(text, name).program.parameters.values():
        value = "auto" if parameter.value is None else f"`{parameter.value}`"
        allowed = parameter.allowed.replace("one of ", "").replace(", or None", "")
        rows.append(f"| `{parameter.name}` | {value} | {allowed} | {parameter.comment} |")
    return "\n".join(
        [
            f"## {name}",
            "",
            seen,
            "",
            *pictures(name),
            "",
            f"**Method.** {method.removeprefix('Method. ')}",
            "",
            "| parameter | default | range | unit, meaning |",
            "|---|---|---|---|",
            *rows,
            "",
            f"In DigitalMicrograph it needs {requirements.packages(text)}.",
            "",
        ]
    )


def pictures(name: str) -> list[str]:
    """Return the lines for the existing pictures of a cell."""
    there = (HERE / "images" / "gallery").glob(f"{name}-*.png")
    return [
        f"![Panel of {name}, {file.stem.rpartition('-')[2]} theme](images/gallery/{file.name})"
        for file in sorted(there, reverse=True)
    ]


def matrix() -> list[str]:
    """Return a table of how each cell, at its defaults, handles each kind of recording."""
    lines = [f"| | {' | '.join(KINDS)} |", f"|---{'|---' * len(KINDS)}|"]
    notes: dict[str, int] = {}
    for name in gallery.names():
        row = []
        for kind, make in KINDS.items():
            with recordings.open(make()) as recording:
                result, said = given(name, islice(recording, 24))
            if said and not (result and kind in MADE_FOR.get(name, KINDS)):
                number = notes.setdefault(said, len(notes) + 1)
                row.append(f"says why [{number}]")
            else:
                row.append("sensible" if kind in MADE_FOR.get(name, KINDS) else "does not apply")
        lines.append(f"| `{name}` | {' | '.join(row)} |")
        print(lines[-1], flush=True)  # noqa: T201
    return [*lines, "", *(f"{number}. {said}" for said, number in notes.items())]


def given(name: str, frames: Any) -> tuple[Any, str]:
    """Return a cell's last result at its defaults, and the last message that it printed."""
    cell, printed = LiveCell(gallery.text(name), name), io.StringIO()
    result = None
    with contextlib.redirect_stdout(printed):
        for frame in frames:
            result = cell.run(frame)
    lines = [line for line in printed.getvalue().splitlines() if not line.startswith("Looking for")]
    return result, lines[-1] if lines else ""


def cost() -> list[str]:
    """Return a table of ms a frame, on frames of the cell's own kind, mirrored at the edges up to size."""
    when = f"{time.strftime('%Y-%m-%d')}; {bench.machine()}."
    lines = [when, "", "| | 1024² | 4096² |", "|---|---|---|"]
    for name in gallery.names():
        example = gallery.example(name)
        row = [f"{milliseconds(name, example, side):.0f} ms" for side in SIDES]
        lines.append(f"| `{name}` | {' | '.join(row)} |")
        print(lines[-1], flush=True)  # noqa: T201
    return lines


def milliseconds(name: str, example: gallery.Example, side: int) -> float:
    """Return the median time for a frame of `side` x `side` px, the example padded by reflection."""
    cell = LiveCell(gallery.text(name), name)
    cell.set(**example.values)
    times = []
    with recordings.open(example.recording) as recording, contextlib.redirect_stdout(io.StringIO()):
        for i in range(RUNS + 1):
            frame = recording[min(i, len(recording) - 1)]
            more = side - frame.data.shape[0]
            large = np.pad(frame.data, (more // 2, more - more // 2), "reflect")
            begun = time.perf_counter()
            cell.run(large, frame.info)
            times.append(1e3 * (time.perf_counter() - begun))
    return median(times[1:])


if __name__ == "__main__":
    main()
