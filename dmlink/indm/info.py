"""What a cell knows about its frame: where it comes from and what a pixel means."""

from __future__ import annotations

import contextlib
import math
from typing import Any, NamedTuple

import numpy as np

TAGS = {
    "exposure": "Acquisition:Parameters:High Level:Exposure (s)",
    "binning": "Acquisition:Parameters:High Level:Binning",
    "magnification": "Microscope Info:Indicated Magnification",
    "camera_length": "Microscope Info:STEM Camera Length",
    "high_tension": "Microscope Info:Voltage",
}


class Axis(NamedTuple):
    """A calibrated axis: the value at pixel `index` is `origin + scale * index`, in `unit`."""

    origin: float = 0.0
    scale: float = 1.0
    unit: str = ""

    def part(self, start: int) -> Axis:
        """Return the axis of a region that starts at pixel `start`."""
        return Axis(self.origin + self.scale * start, self.scale, self.unit)

    def values(self, n: int) -> np.ndarray:
        """Return the values of the first `n` pixels, shape (n,), in `unit`."""
        return self.origin + self.scale * np.arange(n)


def ascii_text(text: Any) -> str:
    """Return text that DM accepts; micro signs arrive from DM as bytes, and crash it when sent back so."""
    plain = str(text, "latin-1") if isinstance(text, bytes) else str(text or "")
    return (
        plain.translate({0xB5: "u", 0x3BC: "u", 0xC5: "A", 0x212B: "A"}).encode("ascii", "replace").decode()
    )


class Info:
    """The circumstances of one frame, as `info` in a cell.

    Attributes
    ----------
    index : int
        The frame's number since the source was first seen; gaps are frames that were not processed.
    time : float
        When the frame was copied, in seconds since the Unix epoch.
    x, y : Axis
        Horizontal and vertical calibration of the pixels that the cell gets.
    roi : tuple of int or None
        (top, left, bottom, right) in pixels of the source; None for the whole image. Its `mask` says which
        pixels of the frame lie within the ellipse, ring or polygon that is drawn there, shape (h, w), bool.
    line : tuple of float or None
        The first line drawn on the live view, (y0, x0, y1, x1) in pixels of the frame; it may extend
        beyond the frame. None if there is none.
    source : str
        The name of the image in DigitalMicrograph.
    tags : dict
        Exposure, binning and the like, if the microscope reports them.
    rois : dict
        The rectangles drawn on the live view, by name, each (top, left, bottom, right) in pixels of
        the frame, with a `mask` like that of `roi`; they may extend beyond it. DigitalMicrograph stores
        neither names nor masks: there, they are called "roi", "roi 2" ...
    log : dict
        The latest numbers of other instruments at `time`, by name; empty in DigitalMicrograph.
    again : bool
        Whether the last frame is processed once more, because a parameter has changed: what adds up over the
        frames should leave it out. Always False in DigitalMicrograph.
    """

    __slots__ = ("again", "index", "line", "log", "roi", "rois", "source", "tags", "time", "x", "y")

    def __init__(
        self,
        index: int = 0,
        time: float = 0.0,
        x: Axis = Axis(),
        y: Axis = Axis(),
        roi: tuple[int, int, int, int] | None = None,
        source: str = "",
        tags: dict[str, Any] | None = None,
        line: tuple[float, ...] | None = None,
        log: dict[str, float] | None = None,
        rois: dict[str, tuple[int, int, int, int]] | None = None,
        again: bool = False,
    ) -> None:
        self.again = again
        self.index = index
        self.time = time
        self.x = x
        self.y = y
        self.roi = roi
        self.source = source
        self.tags = {} if tags is None else tags
        self.line = line
        self.log = {} if log is None else log
        self.rois = {} if rois is None else rois

    @property
    def scale(self) -> float:
        """Size of a pixel along x, in `unit`."""
        return self.x.scale

    @property
    def origin(self) -> float:
        """Position of the first pixel along x, in `unit`."""
        return self.x.origin

    @property
    def unit(self) -> str:
        """Unit of the horizontal axis, such as "nm"; empty if the image is not calibrated."""
        return self.x.unit


def tags_of(image: Any) -> dict[str, float]:
    """Return the TAGS that an image in DigitalMicrograph has, in its units (s, mm, V)."""
    group = image.GetTagGroup()
    read = {name: group.GetTagAsDouble(path) for name, path in TAGS.items()}
    tags = {name: float(value) for name, (found, value) in read.items() if found and math.isfinite(value)}
    with contextlib.suppress(Exception):  # a pair of numbers, if there is one
        binning = image.GetTagGroup()["Acquisition"]["Parameters"]["High Level"]["Binning"]
        tags.setdefault("binning", float(binning[0]))
    return tags
