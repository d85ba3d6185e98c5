"""Dashboard: link, live view and all live cells on one page."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import anywidget

from dmlink.cell import live_cells
from dmlink_widgets.cell_panel import CellPanel, panel_of
from dmlink_widgets.link_panel import LinkPanel
from dmlink_widgets.live_view import LiveView
from dmlink_widgets.panel import Panel
from dmlink_widgets.replay_bar import ReplayBar

if TYPE_CHECKING:
    from dmlink.cell import LiveCell
    from dmlink.frame import Frame
    from dmlink.link import Link
    from dmlink.replay import Replay


class Columns(anywidget.AnyWidget):
    """Arranges the panels of a dashboard in columns; shows nothing itself."""

    _esm = (pathlib.Path(__file__).parent / "dashboard.js").read_text("utf-8")


class Dashboard(Panel):
    """As many columns as the page is wide; cells that are started later appear by themselves.

    Parameters
    ----------
    link : Link
        For the link panel and the live view.
    size : int
        Pixels on the screen of the longer side of the live image.
    replay : Replay, optional
        Shown with its controls, if the link is that of a replay.
    """

    def __init__(self, link: Link, size: int = 512, replay: Replay | None = None) -> None:
        super().__init__()
        self.link = link
        bar = [ReplayBar(replay)] if replay else []
        self.panels: list[Panel] = [LiveView(link, size), *bar, LinkPanel(link)]
        self._cells: dict[LiveCell, CellPanel] = {}
        self._columns = Columns()
        self.widget.add_class("dmlink-dashboard")
        self._arrange()

    def age_of(self, frame: Frame) -> float:
        """Return how old a frame is now, in seconds."""
        return self.link.age(frame)

    def draw(self, *, small: bool) -> Frame | None:  # noqa: ARG002 - nothing is drawn
        """Look for new cells."""
        self.draw_status()
        return None

    def draw_status(self) -> None:
        """Take in cells that were started, and let go those whose panel was closed."""
        cells = {cell: panel for cell, panel in self._cells.items() if not panel.closed}
        for cell in live_cells():
            if cell not in cells:
                cells[cell] = panel_of(cell)
        if cells != self._cells:
            self._cells = cells
            self._arrange()

    def close(self) -> None:
        """Take it out of the notebook; cells go on."""
        super().close()
        for panel in self.panels:
            panel.close()

    def _arrange(self) -> None:
        panels = (*self.panels, *self._cells.values())
        self.open([*(panel.widget for panel in panels), self._columns])
