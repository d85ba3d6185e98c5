"""FrameRates: how fast frames arrive and are processed while a live view is visible."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dmlink.cell.live_cell import live_cells
from dmlink.rate import Rate

if TYPE_CHECKING:
    from dmlink.cell.live_cell import LiveCell
    from dmlink.frame import Frame
    from dmlink.growing.link import FollowedLink
    from dmlink.link.link import Link

PAUSED = -1  # used instead of a look's number
CAMERA_FRAMES = 30  # frames over which the camera's rate is averaged
READINGS = 8  # readings of a cell's counter, one per second


class FrameRates:
    """Rates of a live view, and frames that it did not show.

    A look lasts while the view is visible and not paused. Frames between looks are not counted: nobody
    wanted to see them.

    Attributes
    ----------
    dropped : int
        Frames that arrived during a look and were not drawn.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._look = PAUSED
        self._last: int | None = None  # index of the frame drawn last in this look
        self._camera = Rate(CAMERA_FRAMES)
        self._cells: dict[LiveCell, Rate] = {}

    def count(self, frame: Frame, look: int) -> None:
        """Count a drawn frame in the look with this number."""
        if look != self._look:
            self._look, self._last = look, None
            self._camera.clear()
        if look == PAUSED or frame.index == self._last:
            return
        if self._last is not None:
            self.dropped += max(0, frame.index - self._last - 1)
            if frame.index < self._last:
                self._camera.clear()
        self._last = frame.index
        self._camera.add(frame.time, frame.index)

    @property
    def camera(self) -> float:
        """Frames per second at the source, from its own numbers and clock."""
        return self._camera.per_second()

    def processed(self, link: Link | FollowedLink) -> float | None:
        """Return the frames per second of the slowest cell on this link, None without one; once a second."""
        cells = [c for c in live_cells() if c.link is not None and c.link.endpoint == link.endpoint]
        self._cells = {cell: self._cells.get(cell) or Rate(READINGS) for cell in cells}
        now = time.perf_counter()
        for cell, rate in self._cells.items():
            rate.add(now, cell.stats.processed)
        return min((rate.per_second() for rate in self._cells.values()), default=None)
