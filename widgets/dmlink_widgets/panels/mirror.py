"""Mirror: shows a cell's results in DigitalMicrograph, as fast as it can draw them there."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from dmlink.cell.file_backed import FileBackedCell

if TYPE_CHECKING:
    from dmlink.cell.live_cell import LiveCell
    from dmlink.growing.link import FollowedLink
    from dmlink.link.link import Link


class Mirror:
    """Sends each result of a cell to its link while `on`.

    Attributes
    ----------
    trouble : str
        Why the last result could not be shown; empty if it could.
    """

    def __init__(self, cell: LiveCell) -> None:
        self._cell = cell
        self._on = False
        self.trouble = ""

    @property
    def _link(self) -> Link | FollowedLink | None:
        """The link to DigitalMicrograph; a file has none."""
        return self._cell.live_link if isinstance(self._cell, FileBackedCell) else self._cell.link

    @property
    def on(self) -> bool:
        """Whether results are shown; setting it to False closes their window."""
        return self._on

    @on.setter
    def on(self, value: bool) -> None:
        was_on, self._on = self._on, value
        self.trouble = ""
        link = self._link
        if value and self._cell.latest:
            self.show(self._cell.latest[1])
        elif was_on and link and not link.closed:
            with contextlib.suppress(OSError):  # DigitalMicrograph is gone, along with the window
                link.hide(self._cell.name)

    def show(self, result: Any) -> None:
        """Show a result; DigitalMicrograph skips those that arrive faster than it draws."""
        link = self._link
        if not self._on or link is None:
            return
        try:
            link.show(self._cell.name, result)
            self.trouble = ""
        except (OSError, TypeError, ValueError) as error:
            self.trouble = f"DigitalMicrograph cannot show this result: {error}"
