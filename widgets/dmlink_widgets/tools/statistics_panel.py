"""StatisticsPanel: numbers about the ROIs of a live view, updated every second, which can be saved."""

from __future__ import annotations

import collections
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink.frame import Roi
from dmlink.recordings.writing.file_names import MOST_FILES, file_name, open_new
from dmlink_widgets.controls import html_text
from dmlink_widgets.controls.toolbar import Section, button
from dmlink_widgets.measuring.statistics import Statistics, statistics
from dmlink_widgets.pacing.round import Html
from dmlink_widgets.plots.plot import csv_file
from dmlink_widgets.tools.shape_editor import MASKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.frame import Frame
    from dmlink_widgets.tools.shape_editor import ShapeEditor

WHOLE = "image"
KEPT = 36_000  # rows: an hour of ten ROIs
SEEN = 3  # rows that fit in the table


class StatisticsPanel:
    """A row for the whole image, for each ROI and each mask.

    Parameters
    ----------
    rois : callable
        Returns the ROIs by name.
    shapes : ShapeEditor
        Holds the masks.
    masks : ipywidgets.DOMWidget
        Buttons to draw masks.
    report : callable
        Called with a line for the user.

    Attributes
    ----------
    section : Section
        What the notebook shows.
    """

    def __init__(
        self,
        rois: Callable[[], dict[str, Roi]],
        shapes: ShapeEditor,
        masks: ipywidgets.DOMWidget,
        report: Callable[[str], None],
    ) -> None:
        self._rois, self._shapes, self._report = rois, shapes, report
        self._kept: collections.deque[tuple[Any, ...]] = collections.deque(maxlen=KEPT)
        self._measuring: threading.Thread | None = None
        self._measured = -1  # index of the frame
        self._source = ""
        self._table = Html()
        bar = ipywidgets.HBox(
            [
                button("save", "Save the numbers over time as CSV beside this notebook", self.save),
                button("trash", "Clear the numbers kept so far", self._kept.clear),
                masks,
            ]
        )
        self.section = Section([self._table, bar])

    def draw_status(self, frame: Frame) -> None:
        """Measure a frame on a separate thread: a large one takes a while, and would delay the pictures."""
        busy = self._measuring is not None and self._measuring.is_alive()
        if not self.section.opened or busy or not frame.data.size:
            return
        self._measuring = threading.Thread(
            target=self._measure, args=(frame,), name="dmlink-statistics", daemon=True
        )
        self._measuring.start()

    def save(self) -> None:
        """Save all measurements since the table was opened."""
        rows = list(self._kept)
        names = "frame", "time (s)", "ROI", *Statistics._fields
        columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
        stem = file_name(f"{self._source or 'view'}-statistics")
        try:
            with open_new(Path(f"{stem}_{i:03d}.csv") for i in range(1, MOST_FILES)) as file:
                file.write(csv_file(columns))
        except OSError as error:
            self._report(str(error))
        else:
            self._report(f"Saved {file.name}")

    def _measure(self, frame: Frame) -> None:
        self._source = frame.source
        found = {
            name: statistics(values, frame.y, frame.x, frame.tags.get("exposure"))
            for name, values in self._parts(frame)
        }
        if frame.index != self._measured:
            self._measured = frame.index
            self._kept.extend((frame.index, frame.time, name, *numbers) for name, numbers in found.items())
        unit = next(iter(found.values())).area_unit
        columns = {
            "ROI": list(found),
            "mean": [s.mean for s in found.values()],
            "std": [s.std for s in found.values()],
            "min": [s.minimum for s in found.values()],
            "max": [s.maximum for s in found.values()],
            "sum": [s.sum for s in found.values()],
            f"area ({unit})": [s.area for s in found.values()],
            "per s": [s.per_second for s in found.values()],
        }
        if all(s.per_second != s.per_second for s in found.values()):  # the exposure is unknown
            del columns["per s"]
        self._table.value = html_text.table(columns, f"frame {frame.index}", SEEN)

    def _parts(self, frame: Frame) -> list[tuple[str, Any]]:
        """Return the pixel values of each part, by name."""
        data = frame.data.mean(axis=2) if frame.data.ndim == 3 else frame.data  # of colours
        parts = [(WHOLE, data)]
        if frame.roi is None:
            rectangles = ((name, roi) for name, roi in self._rois().items() if roi.outline is None)
            parts += [(name, _values(data, roi)) for name, roi in rectangles]
        masks = ((shape.name, Roi.around(shape.kind, shape.points)) for shape in self._shapes.of(*MASKS))
        return [*parts, *((name, _values(data, roi)) for name, roi in masks)]


def _values(data: Any, roi: Roi) -> Any:
    top, left, bottom, right = part = roi.clamped(data.shape[:2])
    return data[top:bottom, left:right][part.mask]
