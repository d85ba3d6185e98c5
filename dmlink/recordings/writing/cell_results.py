"""Cell results: a live cell's results and its program, stored with the recorded frames."""

from __future__ import annotations

import contextlib
import csv
from array import array
from typing import TYPE_CHECKING, Any

from dmlink.recordings.writing.ome_zarr_writer import Journal, journal_lines
from dmlink.recordings.writing.results import ResultWriter, finish

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.frame import Frame

CELLS = "cells"  # folder in a recording, with a folder for each cell
JOURNAL = "results.jsonl"
PROGRAM = "program.py"
PROGRAMS = "programs.csv"


class CellResults:
    """Writes one cell's results into a new folder: each as it arrives, and tables of them at the end.

    program.py is the program that computed them. If it changes, because a parameter was moved, the next one
    is program-2.py, and so on; programs.csv has the frame from which each was used.

    Parameters
    ----------
    folder : Path
    program : str
        Source of the cell's program, with its parameters' values.
    """

    def __init__(self, folder: Path, program: str) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        (folder / PROGRAM).write_text(program, encoding="utf-8")
        self._programs = {program: PROGRAM}  # names of their files
        self._program = program  # that computed the last result
        self._results = ResultWriter(folder)
        self._journal = Journal(folder / JOURNAL, plain=False)  # NaN is not "no value"
        self._n = 0
        self._times = array("d")

    def write(self, frame: Frame, result: Any, program: str) -> None:
        """Write the result of a frame, and the program that computed it if that has changed."""
        if program != self._program:
            self._change_program(frame, program)
        self._journal.write(self._results.line(self._n, frame.index, frame.time, result, frame.log))
        self._n += 1
        self._times.append(frame.time)

    def close(self) -> None:
        """Close the files and make the tables."""
        with contextlib.closing(self._journal):
            self._results.close(self._n, self._times)
        finish(self._folder, lambda: journal_lines(self._folder / JOURNAL), taken=[PROGRAMS])

    def _change_program(self, frame: Frame, program: str) -> None:
        if program not in self._programs:
            self._programs[program] = f"program-{len(self._programs) + 1}.py"
            (self._folder / self._programs[program]).write_text(program, encoding="utf-8")
        self._program = program
        new = not (self._folder / PROGRAMS).exists()
        with (self._folder / PROGRAMS).open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["from frame", "time", "program"])
            writer.writerow([frame.index, frame.time, self._programs[program]])
