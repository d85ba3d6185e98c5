"""Dashboard: link, live view and all live cells on one page."""

from __future__ import annotations

import pathlib
import threading
from typing import TYPE_CHECKING

from dmlink.cell.live_cell import live_cells
from dmlink.growing import Following
from dmlink.link.link import Link
from dmlink_widgets.drawing import prints
from dmlink_widgets.drawing.prints import Print
from dmlink_widgets.page_widget import PageWidget
from dmlink_widgets.panels.cell_panel import CellPanel, panel_of
from dmlink_widgets.panels.follow_bar import FollowBar
from dmlink_widgets.panels.link_panel import LinkPanel
from dmlink_widgets.panels.live_view import LiveView
from dmlink_widgets.panels.panel import Panel
from dmlink_widgets.panels.replay_bar import ReplayBar
from dmlink_widgets.panels.timeline_panel import TimelinePanel, writer

if TYPE_CHECKING:
    from dmlink.cell.live_cell import LiveCell
    from dmlink.frame import Frame
    from dmlink.growing.link import FollowedLink
    from dmlink.playback import Replay


class Columns(PageWidget):
    """Arranges the panels of a dashboard in columns; shows nothing itself."""

    _code = (pathlib.Path(__file__).parent / "dashboard.js").read_text("utf-8")


class Dashboard(Panel):
    """Panels in as many columns as the page has room for; cells started later are added automatically.

    Parameters
    ----------
    link : Link
        For the link panel and the live view.
    size : int
        Pixels on the screen of the longer side of the live image.
    replay : Replay or Following, optional
        If the link belongs to a replay or a growing recording, its controls or counts are shown.

    Attributes
    ----------
    panels : list of Panel
        All panels except those of cells; they are closed with the dashboard.
    """

    def __init__(
        self, link: Link | FollowedLink, size: int = 512, replay: Replay | Following | None = None
    ) -> None:
        super().__init__(link.age)
        self.link = link
        bar = [FollowBar(replay) if isinstance(replay, Following) else ReplayBar(replay)] if replay else []
        about = [LinkPanel(link)] if isinstance(link, Link) else []
        self.panels: list[Panel] = [LiveView(link, size, bar), TimelinePanel(link, writer(link)), *about]
        self._cells: dict[LiveCell, CellPanel] = {}
        self._lock = threading.Lock()  # between the painter and the thread that closes the dashboard
        self._columns = Columns()
        self.widget.add_class("dmlink-dashboard")
        self._arrange()

    def draw_status(self) -> None:
        """Add the panels of newly started cells, and drop closed ones."""
        with self._lock:
            cells = {cell: panel for cell, panel in self._cells.items() if not panel.closed}
            for cell in live_cells():
                if cell not in cells:
                    cells[cell] = panel_of(cell)
            if cells != self._cells and not self.closed:
                self._cells = cells
                self._arrange()

    def draw(self, *, small: bool) -> Frame | None:
        """Draw the panels inside; while visible, each is also drawn on its own."""
        for panel in (*self.panels, *self._cells.values()):
            panel.draw(small=small)
        return None

    def printed(self) -> Print:
        """Return all panels, in two columns."""
        pages = [panel.printed().image() for panel in (*self.panels, *self._cells.values())]
        rows = [prints.beside(pages[i : i + 2]) for i in range(0, len(pages), 2)]
        return Print("Dashboard", [], rows)

    def close(self) -> None:
        """Remove the dashboard from the notebook; cells and their panels continue."""
        with self._lock:
            self.fill([self._columns])
            super().close()
        for panel in self.panels:
            panel.close()

    def _arrange(self) -> None:
        panels = (*self.panels, *self._cells.values())
        self.fill([*(panel.widget for panel in panels), self._columns])
