"""Measurements: distances, angles and spacings as a table that can be copied.

The turn of a ruler is its angle to the previous one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink.recordings.writing.file_names import MOST_FILES, open_new
from dmlink_widgets.controls import html_text
from dmlink_widgets.controls.toolbar import Section, button
from dmlink_widgets.measuring.lengths import angle_between, length
from dmlink_widgets.pacing.round import Html
from dmlink_widgets.plots.plot import csv_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.frame import Axis
    from dmlink_widgets.measuring.lengths import Spacing
    from dmlink_widgets.tools.shape_editor import Shape, ShapeEditor

COLUMNS = "no", "what", "value", "unit", "px", "angle (deg)", "turn (deg)"
SEEN = 4  # rows that fit in the table


class Measurements:
    """A row for each ruler and each spot.

    Parameters
    ----------
    shapes, spots : ShapeEditor
        Hold the rulers, and the spots of the spectrum.
    copy : callable
        Copies a text to the user's clipboard.
    report : callable
        Called with a line for the user.

    Attributes
    ----------
    section : Section
        What the notebook shows.
    """

    def __init__(
        self,
        shapes: ShapeEditor,
        spots: ShapeEditor,
        copy: Callable[[str], None],
        report: Callable[[str], None],
    ) -> None:
        self._shapes, self._spots, self._copy, self._report = shapes, spots, copy, report
        self._rows: list[tuple[Any, ...]] = []
        self._table = Html()
        bar = ipywidgets.HBox(
            [
                button("copy", "Copy the table", self.copy),
                button("save", "Save the table as CSV beside this notebook", self.save),
                button("trash", "Remove all measurements", self.clear),
            ]
        )
        self.section = Section([self._table, bar])

    def update(self, y: Axis, x: Axis, spacings: list[tuple[Shape, Spacing]]) -> None:
        """Measure using these axes of the image."""
        rows: list[tuple[Any, ...]] = []
        labels: dict[int, str] = {}
        before = None
        for ruler in self._shapes.of("ruler"):
            found = length(ruler.points[0], ruler.points[1], y, x)
            turned = angle_between(before, found) if before else ""
            rows.append((ruler.name, "distance", found.value, found.unit, found.pixels, found.angle, turned))
            labels[ruler.id] = f"{found.value:.4g} {found.unit}"
            before = found
        self._shapes.label(labels)
        rows += [(s.name, "spacing", p.d, p.d_unit, "", p.angle, "") for s, p in spacings]
        if rows == self._rows:
            return
        if bool(rows) != bool(self._rows):
            self.section.reveal(bool(rows))
        self._rows = rows
        columns = {n: [_rounded(v) for v in column] for n, column in self._columns.items()}
        self._table.value = html_text.table(columns, "", SEEN) if rows else ""

    @property
    def csv(self) -> bytes:
        """The table as CSV."""
        return csv_file(self._columns)

    def copy(self) -> None:
        """Copy the table, separated by tabs for spreadsheets."""
        self._copy("\n".join("\t".join(map(str, line)) for line in (COLUMNS, *self._rows)))
        self._report(f"Copied {len(self._rows)} measurements")

    def save(self) -> None:
        """Save the table."""
        try:
            with open_new(Path(f"measurements_{i:03d}.csv") for i in range(1, MOST_FILES)) as file:
                file.write(self.csv)
        except OSError as error:
            self._report(str(error))
        else:
            self._report(f"Saved {file.name}")

    def clear(self) -> None:
        """Remove all measurements."""
        self._shapes.remove("ruler")
        self._spots.remove("spot")

    @property
    def _columns(self) -> dict[str, list[Any]]:
        return {name: [row[i] for row in self._rows] for i, name in enumerate(COLUMNS)}


def _rounded(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value
