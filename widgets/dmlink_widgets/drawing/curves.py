"""Curves: paints curves over the axes of a figure.

bqplot draws the axes, but is too slow for curves that change many times per second: its Lines parses the old
and the new path number by number, for an animation of zero duration.
"""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from dmlink_widgets.pacing.round import RoundWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = pathlib.Path(__file__).parent


class Curves(RoundWidget):
    """Paints curves in its `area`: top, left, height, width in px; narrower if the page has no room.

    `points` are the x and y of all points in px from the upper left corner, float32; `lengths` the numbers
    of points of the curves, `colours` their colours.
    """

    _classes = ("dmlink-curves",)
    _code = (HERE / "curves.js").read_text("utf-8")
    _css = (HERE / "curves.css").read_text("utf-8")

    area = traitlets.List([0, 0, 1, 1]).tag(sync=True)
    right = traitlets.Int(0).tag(sync=True)  # px beside the area
    points = traitlets.Bytes(b"").tag(sync=True)
    lengths: Any = traitlets.List([]).tag(sync=True)
    colours: Any = traitlets.List([]).tag(sync=True)

    def __init__(self, area: tuple[int, int, int, int], right: int = 0) -> None:
        super().__init__(area=list(area), right=right)

    def draw(self, curves: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> None:
        """Draw curves: colour, x and y of shape (n,) from 0 to 1 along the axes; NaN is a gap."""
        _, _, height, width = self.area
        points = [np.stack([x * width, (1 - y) * height], axis=1) for _, x, y in curves]
        with self.hold_sync():
            self.colours = [colour for colour, _, _ in curves]
            self.lengths = [len(each) for each in points]
            self.points = np.concatenate([np.empty((0, 2)), *points]).astype("<f4").tobytes()

    def __repr__(self) -> str:
        return f"<Curves with {self.lengths} points>"
