"""Frame and Roi: plain immutable values that travel from the microscope to the cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from dmlink.indm.info import Axis, Info

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Axis", "Frame", "Info", "Line", "Roi"]


class Roi(NamedTuple):
    """A rectangle of pixels, as DigitalMicrograph gives it: `bottom` and `right` are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.bottom - self.top, self.right - self.left

    def clamped(self, shape: tuple[int, int]) -> Roi:
        """Return the part inside an image of `shape` (h, w): at least one pixel, at its edge if need be."""
        top, left = (min(max(0, int(v)), n - 1) for v, n in zip(self[:2], shape, strict=True))
        bottom = min(max(top + 1, int(self.bottom)), shape[0])
        right = min(max(left + 1, int(self.right)), shape[1])
        return Roi(top, left, bottom, right)


class Line(NamedTuple):
    """A line from one place to another, in pixels of a frame."""

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
        Number of the frame at its source; gaps are frames that were dropped on the way.
    time : float
        When the frame was taken (recording) or copied (live), in seconds.
    y, x : Axis
        Calibration of the rows and of the columns.
    roi : Roi or None
        Where in the source the pixels come from; None for the whole image.
    source : str
        Name of the image or of the recording.
    tags : dict
        Exposure, binning and the like.
    dropped : int
        Frames of the source between the previous frame received and this one.
    block : str
        Name of the shared memory that holds the pixels, for workers; empty for ordinary memory.
    line : Line or None
        The first line that is drawn on the live view, in pixels of this frame; None if there is none.
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

    @property
    def info(self) -> Info:
        """What a cell is told about this frame."""
        line = tuple(self.line) if self.line else None  # as in an exported script, where there is no Line
        return Info(self.index, self.time, self.x, self.y, self.roi, self.source, self.tags, line)

    def __repr__(self) -> str:
        h, w = self.data.shape[:2]
        pixel = f", {self.x.scale:.4g} {self.x.unit}/px" if self.x.unit else ""
        return f"<Frame {self.index} of {self.source!r}: {h} x {w} {self.data.dtype}{pixel}>"

    def _repr_html_(self) -> str:
        from dmlink.summary import pixel_size, summary  # noqa: PLC0415 - workers make frames, and need no pictures

        h, w = self.data.shape[:2]
        facts = {
            "size": f"{h} x {w} {self.data.dtype}",
            "pixel": pixel_size(self.x),
            "time": f"{self.time:.3f} s",
            "ROI": str(tuple(self.roi)) if self.roi else "",
            "dropped before": str(self.dropped or ""),
        }
        return summary(f"Frame {self.index} of {self.source}", facts, self.data)
