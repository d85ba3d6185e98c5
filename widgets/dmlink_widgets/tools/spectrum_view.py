"""SpectrumView: the power spectrum of a live view; click in it to measure a lattice spacing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dmlink_widgets.controls.toolbar import LateSection
from dmlink_widgets.drawing import spectrum
from dmlink_widgets.drawing.contrast import Contrast
from dmlink_widgets.drawing.image_figure import ImageFigure
from dmlink_widgets.measuring.lengths import Spacing, peak_near, spacing
from dmlink_widgets.tools.shape_editor import ShapeEditor

if TYPE_CHECKING:
    from collections.abc import Callable

    import PIL.Image

    from dmlink.frame import Axis, Frame
    from dmlink_widgets.controls.undo import Undo
    from dmlink_widgets.measuring.lengths import Point
    from dmlink_widgets.tools.shape_editor import Shape

RINGS = Contrast(percentiles=(30.0, 99.95))  # shows rings and spots rather than noise
SIZE = 320  # px, longer side


class SpectrumView:
    """A power spectrum with the spots that were clicked.

    Parameters
    ----------
    undo : Undo
        Undoes a spot.
    changed : callable
        Called when the spectrum has to be drawn.

    Attributes
    ----------
    section : LateSection
        What the notebook shows.
    shapes : ShapeEditor
        Holds the spots.
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
        """Set the maximum size of the longer side on the screen, in px."""
        self._figure.size = min(SIZE, px)

    def draw(self, pixels: Any, frame: Frame, *, small: bool, lossless: bool) -> None:
        """Draw the spectrum of these pixels of a frame."""
        self._power, y, x = spectrum.power_spectrum(pixels, frame.y, frame.x)
        self._follow(y, x)
        self._figure.draw(self._power, y, x, RINGS, small=small, lossless=lossless)
        self.shapes.label({shape.id: f"d {_d(found)}" for shape, found in self.spacings()})

    def _follow(self, y: Axis, x: Axis) -> None:
        """Keep the spots at their frequencies when the spectrum is of another part of the image."""
        before, self._axes = self._axes, (y, x)
        if before in (None, self._axes) or [axis.unit for axis in before] != [y.unit, x.unit]:
            return

        pairs = list(zip(before, (y, x), strict=True))
        fy, fx = (old.scale / new.scale for old, new in pairs)
        # points count from the corner of the first pixel, axes from its middle
        sy, sx = ((old.origin - new.origin - 0.5 * old.scale) / new.scale + 0.5 for old, new in pairs)
        self.shapes.carry("spot", (fy, fx), (sy, sx))

    def spacings(self) -> list[tuple[Shape, Spacing]]:
        """Return the frequency and spacing of each spot."""
        if self._axes is None:
            return []
        return [(shape, spacing(shape.points[0], *self._axes)) for shape in self.shapes.of("spot")]

    def forget(self) -> None:
        """Release the last image."""
        self._figure.pixels = self._power = None

    def picture(self) -> PIL.Image.Image:
        """Return the last drawn picture."""
        return self._figure.picture()

    def close(self) -> None:
        """Close its widgets."""
        self._figure.close()

    def _placed(self, point: Point) -> Point:
        return point if self._power is None else peak_near(self._power, point)


def _d(found: Spacing) -> str:
    return f"{found.d:.4g} {found.d_unit}" if math.isfinite(found.d) else ""
