"""SpectrumView: the power spectrum of what a live view shows; a click in it measures a lattice spacing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dmlink_widgets.controls.toolbar import LateSection
from dmlink_widgets.drawing import spectrum
from dmlink_widgets.drawing.contrast import Contrast
from dmlink_widgets.drawing.image_figure import ImageFigure
from dmlink_widgets.measuring.lengths import Spacing, peak_near, spacing
from dmlink_widgets.panels.shape_editor import ShapeEditor

if TYPE_CHECKING:
    from collections.abc import Callable

    import PIL.Image

    from dmlink.frame import Axis, Frame
    from dmlink_widgets.controls.undo import Undo
    from dmlink_widgets.measuring.lengths import Point
    from dmlink_widgets.panels.shape_editor import Shape

RINGS = Contrast(percentiles=(30.0, 99.95))  # shows the rings and spots of a spectrum, not its noise
SIZE = 320  # px of its longer side


class SpectrumView:
    """A power spectrum with its spots.

    Parameters
    ----------
    undo : Undo
        Takes back a spot.
    changed : callable
        Called when it has to be drawn.

    Attributes
    ----------
    section : LateSection
        What the notebook shows.
    shapes : ShapeEditor
        Has the spots.
    """

    def __init__(self, undo: Undo, changed: Callable[[], None]) -> None:
        self.shapes = ShapeEditor(undo, lambda _: changed(), tool="spot")
        self.shapes.placed = self._placed
        self._figure = ImageFigure(
            SIZE, changed, description="Power spectrum", scale_bar=False, tools=self.shapes.overlay
        )
        self._power: Any = None
        self._axes: tuple[Axis, Axis] | None = None
        self.section = LateSection([self._figure.widget])

    def fit(self, px: int) -> None:
        """Let the longer side have at most so many pixels on the screen."""
        self._figure.size = min(SIZE, px)

    def draw(self, pixels: Any, frame: Frame, *, small: bool, lossless: bool) -> None:
        """Draw the spectrum of these pixels of a frame."""
        self._power, y, x = spectrum.power_spectrum(pixels, frame.y, frame.x)
        self._axes = y, x
        self._figure.draw(self._power, y, x, RINGS, small=small, lossless=lossless)
        self.shapes.label({shape.id: f"d {_d(found)}" for shape, found in self.spacings()})

    def spacings(self) -> list[tuple[Shape, Spacing]]:
        """Return each spot with what it means."""
        if self._axes is None:
            return []
        return [(shape, spacing(shape.points[0], *self._axes)) for shape in self.shapes.of("spot")]

    def forget(self) -> None:
        """Let go of what was drawn."""
        self._figure.pixels = self._power = None

    def picture(self) -> PIL.Image.Image:
        """Return what was drawn last."""
        return self._figure.picture()

    def close(self) -> None:
        """Close its widgets."""
        self._figure.close()

    def _placed(self, point: Point) -> Point:
        return point if self._power is None else peak_near(self._power, point)


def _d(found: Spacing) -> str:
    return f"{found.d:.4g} {found.d_unit}" if math.isfinite(found.d) else ""
