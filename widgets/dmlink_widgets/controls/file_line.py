"""FileLine: whether a panel shows the live view's results or the file's, and how far that is processed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmlink.cell.file_backed import FileBackedCell
from dmlink_widgets.controls import html_text
from dmlink_widgets.pacing.round import Html

if TYPE_CHECKING:
    from dmlink.cell.live_cell import LiveCell


class FileLine:
    """One line in the panel of a `FileBackedCell`, and below it what is wrong; hidden for other cells.

    Attributes
    ----------
    widget : Html
        What the notebook shows.
    """

    def __init__(self, cell: LiveCell) -> None:
        self._cell = cell if isinstance(cell, FileBackedCell) else None
        self.widget = Html(layout={"display": "" if self._cell else "none"})
        self.widget.add_class("dmlink-file")

    def draw(self) -> None:
        """Bring the line up to date."""
        cell = self._cell
        if cell is None or cell.following is None or cell.written is None:
            return
        f = cell.following
        stats = cell.written.stats
        counts = f"{f.seen:,} of {f.written:,} frames"
        facts = [
            ("shown", "live, provisional", 17) if cell.provisional else ("shown", "file", 17),
            ("file", counts, 2 * len(f"{f.written:,}") + 11),
            ("", "stopped" if f.closed else f.state, 11),
            ("behind", f"{f.behind:,}, {f.lag:.1f} s" if f.behind and not f.closed else "", 12),
            ("errors", str(stats.errors or ""), 4),
        ]
        wrong = [cell.live_ended, f.reason, cell.difference]
        if cell.provisional and cell.written.error:
            wrong.append(f"On the file: {cell.written.error}")
        text = "\n".join(filter(None, wrong))
        self.widget.value = html_text.status(*facts) + (html_text.preformatted(text) if text else "")
