"""Windows: documents as the user of DigitalMicrograph sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dmlink.simulator.dm.displays import LINE_PLOT

if TYPE_CHECKING:
    import numpy as np

    from dmlink.frame import Axis
    from dmlink.simulator.dm.displays import Display, Rectangle


@dataclass(frozen=True)
class OpenWindow:
    """A window as the user sees it.

    Attributes
    ----------
    name, image_id : str, int
        The text in the title bar; ID of the image.
    data : numpy.ndarray
        Copy of the pixels at the last UpdateImage or ShowImage: (h, w), (h, w, 3) for RGB, or (n,).
    kind : int
        Display type: 1 raster image, 2 surface, 3 line plot.
    axes : tuple of Axis
        Calibration in DM's order: x, y ...
    intensity : Axis
        Calibration of the values.
    contrast : tuple of float or None
        Limits set by SetContrastLimits; those of the line plot if the display is one.
    updates : int
        How often it was drawn.
    texts : tuple of str
        Text annotations.
    marks : tuple of (int, tuple of float)
        Type (5 box, 13 text) and rectangle (top, left, bottom, right) of every annotation.
    rectangles : tuple of (float, float, float, float)
        ROIs that are rectangles: top, left, bottom, right.
    """

    name: str
    image_id: int
    data: np.ndarray
    kind: int
    axes: tuple[Axis, ...]
    intensity: Axis
    contrast: tuple[float, float] | None
    updates: int
    texts: tuple[str, ...]
    marks: tuple[tuple[int, Rectangle], ...]
    rectangles: tuple[Rectangle, ...]


def snapshot(name: str, display: Display) -> OpenWindow:
    """Return the present state of the window with this name."""
    image = display.image
    return OpenWindow(
        name=name,
        image_id=image.id,
        data=(image.memory if display.shown is None else display.shown).copy(),
        kind=display.kind,
        axes=tuple(image.axes),
        intensity=image.intensity,
        contrast=display.line_plot.contrast if display.kind == LINE_PLOT else display.contrast,
        updates=display.updates,
        texts=tuple(component.text for component in display.components if component.text),
        marks=tuple((component.kind, component.rectangle) for component in display.components),
        rectangles=tuple(roi.rectangle for roi in display.rois if roi.rectangle),
    )
