"""Curves: the place in a figure where curves are painted.

bqplot draws the axes, but no curves that follow each other: its Lines takes two long texts apart number by
number, the path that was and the one that will be, to go from one to the other in no time.
"""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from dmlink_widgets.round import Drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = pathlib.Path(__file__).parent


class Curves(Drawn):
    """Paints curves in its `area`: top, left, height, width in px.

    `points` are the x and y of each point in px from the upper left corner, float32; `lengths` tells how many
    belong to each curve, `colours` its colour.
    """

    _esm = (HERE / "curves.js").read_text("utf-8")
    _css = (HERE / "curves.css").read_text("utf-8")

    area = traitlets.List([0, 0, 1, 1]).tag(sync=True)
    points = traitlets.Bytes(b"").tag(sync=True)
    lengths: Any = traitlets.List([]).tag(sync=True)
    colours: Any = traitlets.List([]).tag(sync=True)

    def __init__(self, area: tuple[int, int, int, int]) -> None:
        super().__init__(area=list(area))
        self.add_class("dmlink-curves")

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
