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
