"""Side: the column beside an image, for what is opened there; below the image where there is no room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets

from dmlink_widgets.drawing.ranges import MARGIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink_widgets.controls.toolbar import Section
    from dmlink_widgets.drawing.image_figure import ImageFigure

NARROWEST, WIDEST = 300, 436  # px of the column
SMALLEST_IMAGE = 330  # px of an image with its axes, that becomes smaller for the column
GAP = 12  # px between them


class Side:
    """Sections beside a figure, which becomes smaller for them.

    Parameters
    ----------
    figure : ImageFigure
        The figure; its size is that of its image alone, in a column that is wide enough.
    sections : Section
        From top to bottom.

    Attributes
    ----------
    changed : callable
        Called when the figure has to be drawn in another size.
    width : int
        Of the column, px.
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
        """Pixels on the screen that an image with axes has within the column."""
        return self.width - MARGIN["left"] - MARGIN["right"]

    def _fit(self) -> None:
        """Share the width of the page's column."""
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
