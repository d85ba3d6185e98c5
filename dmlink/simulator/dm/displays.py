"""Displays: how images are drawn, with their ROIs, annotations and line plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from dmlink.simulator.dm.images import Image
    from dmlink.simulator.dm.registration import Registration

    Rectangle = tuple[float, float, float, float]

RASTER, LINE_PLOT = 1, 3
_KINDS = {RASTER: "raster image", 2: "surface", LINE_PLOT: "line plot"}
_ANY = (-1, -2)  # let DM choose

BOX, TEXT, IMAGE_DISPLAY, ROOT = 5, 13, 20, 24  # DM's numbers of kinds of components; the last is a guess


class Roi:
    """A region of interest: a rectangle (top, left, bottom, right) or a line (x0, y0, x1, y1) in pixels."""

    def __init__(self, number: int) -> None:
        self.id = number
        self.rectangle: Rectangle | None = None
        self.line: Rectangle | None = None
        self.volatile = True
        self.resizable = True
        self.selected = False


class Component:
    """An annotation in a display, such as a text or a box, or the root component of a document."""

    def __init__(self, kind: int, rectangle: Rectangle) -> None:
        self.kind = kind
        self.rectangle = rectangle
        self.components: list[Any] = []
        self.text = ""
        self.colour: tuple[float, float, float] | None = None


class LinePlot:
    """How a display draws as a line plot."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.contrast: tuple[float, float] | None = None
        self.styles: dict[int, int] = {}
        self.legend = True
        self.grid: tuple[float, float, float] | None = None
        self.auto_survey = (True, True)


class Display:
    """How an image is drawn.

    Attributes
    ----------
    shown : numpy.ndarray or None
        The image's memory when it was last drawn; None for the live view, of which DM draws every frame.
    updates : int
        How often it was drawn.
    """

    def __init__(self, image: Image, kind: int) -> None:
        self.image = image
        self.kind = 0
        self.change_kind(kind)
        self.shown: np.ndarray | None = None
        self.updates = 0
        self.rois: list[Roi] = []
        self.components: list[Component] = []
        self.contrast: tuple[float, float] | None = None
        self.auto_survey = True
        self.colour_table: str | Image | None = None
        self.line_plot = LinePlot(image)
        self.listeners: list[Registration] = []

    @property
    def kind_name(self) -> str:
        """The kind in words."""
        return _KINDS[self.kind]

    def change_kind(self, kind: int) -> None:
        """Draw as 1 raster image, 2 surface or 3 line plot; with a negative number, DM chooses."""
        if kind in _ANY:
            kind = LINE_PLOT if len(self.image.shape) == 1 else RASTER
        if kind not in _KINDS:
            raise ValueError(f"Display type {kind}: it must be one of {_KINDS}.")
        self.kind = kind

    def draw(self) -> None:
        """Bring the image's memory to the screen."""
        if not self.image.live:
            self.shown = self.image.memory.copy()
        self.updates += 1
