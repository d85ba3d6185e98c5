"""Frame and Roi: plain immutable values, passed from the microscope to the cells."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dmlink.indm.info import Axis, Info, ascii_text
from dmlink.indm.outline import Outline, box_around, checked_outline, outline_around

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = ["Axis", "Frame", "Info", "Line", "MaskedRoi", "Outline", "Roi"]


class Roi(NamedTuple):
    """A rectangle of pixels in DigitalMicrograph's order; `bottom` and `right` are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.bottom - self.top, self.right - self.left

    @property
    def mask(self) -> np.ndarray:
        """Which of its pixels count, shape (height, width), bool: all of a rectangle's."""
        return np.ones(self.shape, bool)

    @property
    def outline(self) -> Outline | None:
        """The ellipse, ring or polygon in it; None for a rectangle."""
        return None

    @classmethod
    def around(cls, kind: str, points: Sequence[tuple[float, float]]) -> MaskedRoi:
        """Return the ROI of an ellipse, a ring or a polygon.

        Parameters
        ----------
        kind : {"ellipse", "ring", "polygon"}
        points : sequence of (y, x)
            In pixels from the upper left corner of the image: two corners of an ellipse's box; the centre of
            a ring, a point on its outer and one on its inner circle; the corners of a polygon.

        Raises
        ------
        ValueError
            If there is no such kind, or the points do not form one.
        """
        places = checked_outline(kind, [tuple(map(float, point)) for point in points]).points
        box = box_around(kind, places)
        return MaskedRoi(*box, outline=outline_around(kind, places, box))

    def seen_from(self, other: Roi | None) -> Roi:
        """Return this rectangle in pixels of `other`, or of the source if that is None."""
        top, left = other[:2] if other else (0, 0)
        return Roi(self.top - top, self.left - left, self.bottom - top, self.right - left)

    def clamped(self, shape: tuple[int, int]) -> Roi:
        """Return the part inside an image of `shape` (h, w), at least one pixel (at its edge if outside)."""
        top, left = (min(max(0, int(v)), n - 1) for v, n in zip(self[:2], shape, strict=True))
        bottom = min(max(top + 1, int(self.bottom)), shape[0])
        right = min(max(left + 1, int(self.right)), shape[1])
        return Roi(top, left, bottom, right)


class MaskedRoi(Roi):
    """A rectangle in which an ellipse, a ring or a polygon is drawn; see `Roi.around`.

    When the rectangle is moved or resized in DigitalMicrograph, the outline follows.
    """

    _outline: Outline

    def __new__(cls, top: int, left: int, bottom: int, right: int, *, outline: Outline) -> Self:
        """Return the rectangle with this outline in it."""
        roi = super().__new__(cls, top, left, bottom, right)
        roi._outline = outline
        return roi

    def __getnewargs_ex__(self) -> tuple[tuple[int, ...], dict[str, Outline]]:
        """Let it be copied and pickled with its outline."""
        return tuple(self), {"outline": self._outline}

    @property
    def outline(self) -> Outline:
        """The ellipse, ring or polygon in it."""
        return self._outline

    @property
    def mask(self) -> np.ndarray:
        """Which of its pixels have their centres within the outline, shape (height, width), bool."""
        return self._outline.inside(self.shape)

    def seen_from(self, other: Roi | None) -> Roi:
        """Return this rectangle in pixels of `other`, with its outline."""
        return MaskedRoi(*super().seen_from(other), outline=self._outline)

    def clamped(self, shape: tuple[int, int]) -> Roi:
        """Return the part inside an image of `shape` (h, w); the outline keeps its place."""
        part = super().clamped(shape)
        return MaskedRoi(*part, outline=self._outline.within(self, part))


class Line(NamedTuple):
    """A line from one point to another, in pixels of a frame."""

    y0: float
    x0: float
    y1: float
    x1: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frame:
    """One frame of a live view or of a recording.

    Attributes
    ----------
    data : numpy.ndarray
        The pixels, shape (h, w), read-only, in the data type of the source.
    index : int
        Number of the frame in its source; a gap means that frames are missing.
    time : float
        When the frame was taken (recording) or copied (live), in seconds.
    y, x : Axis
        Calibration of the rows and of the columns.
    roi : Roi or None
        The part of the source that the pixels are from; None for the whole image.
    source : str
        Name of the image or of the recording.
    tags : dict
        Exposure, binning and the like.
    dropped : int
        Number of source frames between the previous frame received and this one.
    block : str
        Name of the shared-memory slot that holds the pixels, for workers; empty for ordinary memory.
    line : Line or None
        The first line drawn on the live view, in pixels of this frame; None without a line.
    log : dict
        The newest number in each of the link's logs at `time`, by name.
    rois : dict
        The live view's ROIs by name, each a Roi in pixels of this frame; it can extend beyond the frame.
    value_unit : str
        Unit of the values, such as "e-"; empty if it is unknown.
    """

    data: np.ndarray
    index: int = 0
    time: float = 0.0
    y: Axis = Axis()
    x: Axis = Axis()
    roi: Roi | None = None
    source: str = ""
    tags: dict[str, Any] = field(default_factory=dict)
    dropped: int = 0
    block: str = ""
    line: Line | None = None
    log: dict[str, float] = field(default_factory=dict)
    rois: dict[str, Roi] = field(default_factory=dict)
    value_unit: str = ""

    @property
    def info(self) -> Info:
        """The frame's `info`, as cells get it."""
        line = tuple(self.line) if self.line else None  # as in an exported script, which has no Line
        # Exported scripts spell units in ASCII; this way a cell sees the same unit wherever it runs.
        y, x = (a if a.unit.isascii() else a._replace(unit=ascii_text(a.unit)) for a in (self.y, self.x))
        return Info(
            self.index, self.time, x, y, self.roi, self.source, self.tags, line, self.log, dict(self.rois)
        )

    def within(self, place: Roi, data: np.ndarray) -> Frame:
        """Return this frame cut to `place`, in pixels of it; `data` are the pixels there."""
        top, left, *_ = place
        line = self.line and Line(*(v - d for v, d in zip(self.line, [top, left] * 2, strict=True)))
        return replace(
            self,
            data=data,
            y=self.y.part(top),
            x=self.x.part(left),
            roi=place.seen_from(self.roi and Roi(-self.roi.top, -self.roi.left, 0, 0)),
            rois={name: roi.seen_from(place) for name, roi in self.rois.items()},
            line=line,
        )

    def to_hyperspy(self) -> Any:
        """Return the frame as a HyperSpy signal (h, w) with calibrated axes.

        Raises
        ------
        ImportError
            If HyperSpy is not installed.
        """
        from dmlink.exchange import hyperspy_signal, signal_axis  # noqa: PLC0415 - only if needed

        axes = [
            signal_axis(name, a, n)
            for name, a, n in zip("yx", (self.y, self.x), self.data.shape, strict=True)
        ]
        return hyperspy_signal(self.data, axes, f"{self.source} {self.index}".strip())

    def __repr__(self) -> str:
        h, w = self.data.shape[:2]
        pixel = f", {self.x.scale:.4g} {self.x.unit}/px" if self.x.unit else ""
        return f"<Frame {self.index} of {self.source!r}: {h} x {w} {self.data.dtype}{pixel}>"

    def _repr_html_(self) -> str:
        from dmlink.summary import pixel_size, summary  # noqa: PLC0415 - workers do not need it

        h, w = self.data.shape[:2]
        facts = {
            "size": f"{h} x {w} {self.data.dtype}",
            "pixel": pixel_size(self.x),
            "time": f"{self.time:.3f} s",
            "ROI": str(tuple(self.roi)) if self.roi else "",
            "dropped before": str(self.dropped or ""),
        }
        return summary(f"Frame {self.index} of {self.source}", facts, self.data)
