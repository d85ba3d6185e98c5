"""ClipsRow: the clips that a cell has saved, and how much disk space they may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink.summary import size
from dmlink_widgets.controls import html_text
from dmlink_widgets.pacing.round import Html

if TYPE_CHECKING:
    from dmlink.cell.live_cell import LiveCell

GB = 1e9


class ClipsRow:
    """A line shown only for cells that keep clips.

    Attributes
    ----------
    widget : ipywidgets.HBox
        What the notebook shows.
    """

    def __init__(self, cell: LiveCell) -> None:
        self._cell = cell
        self._text = Html()
        self._most = ipywidgets.BoundedFloatText(
            10.0,
            min=0.0,
            max=1e6,
            step=1.0,
            tooltip="GB that the clips in this folder may take; the limit is stored with the folder",
            layout={"width": "84px"},
        )
        self._most.observe(self._set, "value")
        self.widget = ipywidgets.HBox([self._text, self._most, ipywidgets.Label("GB")])
        self.widget.layout.display = "none"
        self.widget.add_class("dmlink-tools")
        self._known = 0

    def draw(self) -> None:
        """Show the counts."""
        budget = self._cell.clips_budget
        self.widget.layout.display = "none" if budget is None else ""
        if budget is None:
            return
        if budget.total != self._known:
            self._known = budget.total
            self._most.value = budget.total / GB
        finished, writing = len(self._cell.clips), self._cell.clip_writing
        n = f"{finished} clip{'' if finished == 1 else 's'}"
        going = f"saving {writing[0].name}, {writing[1]} frames" if writing else ""
        self._text.value = html_text.message(n, going, f"folder {budget.folder}: {size(budget.used)} of")

    def _set(self, change: dict[str, Any]) -> None:
        budget, total = self._cell.clips_budget, int(change["new"] * GB)
        if budget is not None and total != budget.total:
            try:
                budget.total = self._known = total
            except OSError as error:
                self._text.value = html_text.message(str(error))
