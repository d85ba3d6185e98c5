"""Cell results: a live cell's results and its program, stored with the recorded frames."""

from __future__ import annotations

import contextlib
from array import array
from typing import TYPE_CHECKING, Any

from dmlink.recordings.writing.ome_zarr_writer import Journal, journal_lines
from dmlink.recordings.writing.results import ResultWriter, finish

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.frame import Frame
    from dmlink.recordings.writing.file_names import FileNames

CELLS = "cells"  # folder in a recording, with a folder for each cell
JOURNAL = "results.jsonl"
PROGRAM = "program.py"


class CellResults:
    """Writes one cell's results into a new folder: each as it arrives, and tables of them at the end.

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
        self._results = ResultWriter(folder)
        self._journal = Journal(folder / JOURNAL, plain=False)  # NaN is not "no value"
        self._n = 0
        self._times = array("d")

    def write(self, frame: Frame, result: Any) -> None:
        """Write the result of a frame."""
        self._journal.write(self._results.line(self._n, frame.index, frame.time, result, frame.log))
        self._n += 1
        self._times.append(frame.time)

    def close(self) -> None:
        """Close the files and make the tables."""
        with contextlib.closing(self._journal):
            self._results.close(self._n, self._times)
        finish(self._folder, lambda: journal_lines(self._folder / JOURNAL))


class ProgramResults:
    """Writes one cell's results next to the program that computed them.

    A changed program, such as one with a parameter that was moved, begins another folder: NAME, NAME 2 ...

    Parameters
    ----------
    folder : Path
    name : str
        Name of the cell.
    names : FileNames
        The names that are taken in the folder.
    """

    def __init__(self, folder: Path, name: str, names: FileNames) -> None:
        self._folder, self._name, self._names = folder, name, names
        self._results: dict[str, CellResults] = {}

    def results_of(self, program: str) -> CellResults:
        """Return the results of a program; a new one is written into its folder."""
        if program not in self._results:
            number = f" {len(self._results) + 1}" if self._results else ""
            folder = self._folder / self._names.take(self._name + number)
            self._results[program] = CellResults(folder, program)
        return self._results[program]

    def close(self) -> None:
        """Close the files and make the tables."""
        with contextlib.ExitStack() as closing:
            for results in self._results.values():
                closing.callback(results.close)
