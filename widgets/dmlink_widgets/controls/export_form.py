"""ExportForm: writes a cell as a script for DigitalMicrograph, and checks it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets

from dmlink.gms_versions import PYTHON_OF_GMS
from dmlink.recordings.writing.file_names import file_name
from dmlink_widgets.controls import html_text
from dmlink_widgets.controls.toolbar import Section
from dmlink_widgets.pacing.round import Html

if TYPE_CHECKING:
    from dmlink.cell.live_cell import LiveCell
    from dmlink.program.program import Program

TARGETS = {"live view": "live", "in-situ recording": "batch"}
FRAMES = 3  # frames used to check a script
PATIENCE_SECONDS = 10.0  # s, to wait for each
LABEL = {"description_width": "48px"}


class ExportForm:
    """Name, target and GMS version of a script; writes it, and checks it in the simulated DigitalMicrograph.

    Parameters
    ----------
    cell : LiveCell
        The cell to export.

    Attributes
    ----------
    widget : Section
        What the notebook shows.
    """

    def __init__(self, cell: LiveCell) -> None:
        self._cell = cell
        self._written: tuple[Path, Program] | None = None  # the frames used by Check
        self._name = ipywidgets.Text(
            f"{file_name(cell.name)}_dm.py",
            description="File",
            tooltip="Beside this notebook, or a path",
            style=LABEL,
            layout={"width": "320px"},
        )
        self._replace = ipywidgets.Checkbox(
            description="replace an existing file", indent=False, layout={"width": "190px"}
        )
        self._target = ipywidgets.Dropdown(
            options=TARGETS, description="For", tooltip="What the script processes", style=LABEL
        )
        self._gms = ipywidgets.Dropdown(
            options={"any version": None, **{f"GMS {v}": v for v in PYTHON_OF_GMS}},
            description="in",
            tooltip="A cell that needs a newer Python than this GMS has is refused",
            style={"description_width": "20px"},
            layout={"width": "170px"},
        )
        self._write = ipywidgets.Button(
            description="Write script", icon="download", layout={"width": "120px"}
        )
        self._check = ipywidgets.Button(
            description="Check",
            icon="check",
            tooltip="Run the script in a simulated DigitalMicrograph, and compare it with the cell",
            disabled=True,
            layout={"width": "90px"},
        )
        self._answer = Html()
        self._write.on_click(lambda _: self.write())
        self._check.on_click(lambda _: self._check_aside())
        rows = [[self._name, self._replace], [self._target, self._gms], [self._write, self._check]]
        self.widget = Section([*(_row(row) for row in rows), self._answer])

    def write(self) -> None:
        """Write the script with the settings of the form, and show its path or the error."""
        program = self._cell.program
        self._check.disabled = True
        try:
            path = self._cell.export(
                Path(self._name.value.strip()),
                self._target.value,
                gms=self._gms.value,
                overwrite=self._replace.value,
            )
        except FileExistsError:
            self._say(f"{self._name.value} exists: choose another name, or tick the box to replace it.")
        except (OSError, ValueError, SyntaxError) as error:
            self._say(str(error))
        else:
            self._written = path, program
            self._check.disabled = self._target.value != "live"
            self._say(f"Saved {path.resolve()}")

    def check(self) -> None:
        """Run the written script over the next frames, and show the result."""
        link, newest = self._cell.link, self._cell.frame
        if self._written is None or link is None:
            return
        from dmlink.comparison import check  # noqa: PLC0415 - most cells are never checked

        path, program = self._written
        self._say(f"Checking {path.name} ...")
        try:
            live = [] if link.closed else [link.next(PATIENCE_SECONDS) for _ in range(FRAMES)]
            compared = check(path, live or [newest] if newest else live, program)
        except Exception as error:  # noqa: BLE001 - whatever the script or the cell raises is the answer
            self._say(f"Check of {path.name}: {error}")
            return
        verdict = "the script shows what the cell shows" if compared.equal else "NOT equal to the cell"
        self._say(f"Check of {path.name}: {len(compared)} comparisons, {verdict}.")
        if not compared.equal:
            self._answer.value += html_text.preformatted(repr(compared))

    def _check_aside(self) -> None:
        """Check on a separate thread, because it takes seconds."""
        threading.Thread(target=self.check, name="dmlink-check", daemon=True).start()

    def _say(self, text: str) -> None:
        self._answer.value = html_text.message(text)


def _row(controls: list[ipywidgets.DOMWidget]) -> ipywidgets.HBox:
    row = ipywidgets.HBox(controls)
    row.add_class("dmlink-wrap")
    return row
