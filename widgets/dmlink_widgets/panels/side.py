"""Side: the column of sections beside an image, or below it if there is no room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets

from dmlink_widgets.drawing.ranges import MARGIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink_widgets.controls.toolbar import Section
    from dmlink_widgets.drawing.image_figure import ImageFigure

NARROWEST, WIDEST = 300, 436  # px, width of the column
SMALLEST_IMAGE = 330  # px, smallest width of an image with its axes that shrinks to make room
GAP = 12  # px between image and column


class Side:
    """Sections beside a figure, which shrinks to make room for them.

    Parameters
    ----------
    figure : ImageFigure
        The figure; its size applies when the page's column is wide enough.
    sections : Section
        From top to bottom.

    Attributes
    ----------
    changed : callable
        Called when the figure has to be drawn at a different size.
    width : int
        Width of the column, px.
    widget : ipywidgets.VBox
        What the notebook shows.
    """

    def __init__(self, figure: ImageFigure, *sections: Section) -> None:
        self._figure = figure
        self._sections = sections
        self.changed: Callable[[], None] = lambda: None
        self.width = WIDEST
        self.widget = ipywidgets.VBox(list(sections))
        self.widget.add_class("dmlink-side")
        self.widget.layout.max_width = "100%"
        for section in sections:
            section.on_reveal = self._fit
        figure.overlay.observe(lambda _: self._fit(), "room")
        self._fit()

    @property
    def image_size(self) -> int:
        """Size on the screen, in px, of an image with axes that fits in the page's column."""
        return self.width - MARGIN["left"] - MARGIN["right"]

    def _fit(self) -> None:
        """Divide the width of the page's column."""
        figure, opened = self._figure, any(section.opened for section in self._sections)
        size = figure.size if isinstance(figure.size, int) else figure.size[1]
        room = figure.overlay.room or size + WIDEST + 2 * MARGIN["left"]
        left = room - size - MARGIN["left"] - MARGIN["right"] - GAP
        width = min(WIDEST, max(NARROWEST, left))
        there = room - width - GAP >= SMALLEST_IMAGE
        self.width = width if there else min(WIDEST, room)
        self.widget.layout.width = f"{self.width}px"
        figure.beside = width + GAP if opened and there else 0
        self.changed()
