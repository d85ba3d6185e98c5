"""OverlayResult: an image with places drawn over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets
import numpy as np

from dmlink_widgets import text
from dmlink_widgets.colour import COLOURS
from dmlink_widgets.plots.figure import drawable
from dmlink_widgets.plots.history import table
from dmlink_widgets.plots.image import ImageResult
from dmlink_widgets.plots.written import columns_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.indm.info import Axis
    from dmlink.indm.results import Overlay

MOST = 2000  # places that are drawn; more are a grey carpet, and slow


class OverlayResult:
    """Marks over an image: points as circles, boxes as rectangles, tails as lines, labels beside them."""

    def __init__(self, changed: Callable[[], None], colour: str = COLOURS[0], size: int = 384) -> None:
        self._image = ImageResult(changed, size)
        self._marks: tuple[Any, ...] = ()
        scales = self._image.plot.scales
        colours = [colour, *(c for c in COLOURS if c != colour)]
        self._points = [
            bqplot.Scatter(x=[], y=[], scales=scales, colors=[c], fill=False, stroke_width=2, default_size=64)
            for c in colours
        ]
        self._lines = [bqplot.Lines(x=[], y=[], scales=scales, colors=[c], stroke_width=1.5) for c in colours]
        self._labels = [
            bqplot.Label(
                x=[], y=[], text=[], scales=scales, colors=[c], default_size=12, x_offset=7, y_offset=-7
            )
            for c in colours
        ]
        self._image.plot.figure.marks = [*self._lines, *self._points, *self._labels]
        self._found = ipywidgets.HTML()
        self.widget = ipywidgets.VBox([self._image.widget, self._found])

    def take(self, time: float, result: Overlay) -> None:
        """Nothing to remember: only the newest is shown."""

    def draw(self, result: Overlay, *, small: bool, lossless: bool = False) -> None:
        """Draw the image, then the marks."""
        image = result.image
        self._marks = result.marks
        self._image.draw(image, small=small, lossless=lossless)
        y, x = drawable(image.y), drawable(image.x)
        for i in range(len(self._points)):
            mark = result.marks[i] if i < len(result.marks) else None
            self._draw_mark(i, mark, y, x)
        counts = [
            f"{len(columns['x' if m.kind == 'points' else 'top'])} {m.name or m.kind}"
            for m in result.marks
            if (columns := columns_of(m)) is not None
        ]
        self._found.value = text.status(*counts)

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return what can be saved, by the end of the file's name."""
        places = {
            f"-{mark.name or mark.kind}-{i}.csv": lambda mark=mark: table(columns_of(mark) or {})
            for i, mark in enumerate(self._marks, start=1)
        }
        return {**self._image.files(), **places}

    def _draw_mark(self, i: int, mark: Any, y: Axis, x: Axis) -> None:
        points, outline = np.empty((0, 2)), np.empty((0, 2))
        labels: list[str] = []
        corners = np.empty((0, 2))
        if mark is not None and mark.kind == "points":
            # the middle of pixel 0 is half a pixel from the edge where the axis begins
            points = corners = mark.yx[:MOST] + 0.5
            outline = _joined([np.asarray(tail) + 0.5 for tail in mark.tails[:MOST]])
        elif mark is not None:
            outline = _joined([_corners(box) for box in mark.tlbr[:MOST]])
            corners = mark.tlbr[:MOST, [0, 3]]
        if mark is not None:
            labels = [str(said) for said in mark.labels[:MOST]]
        _place(self._points[i], points, y, x)
        _place(self._lines[i], outline, y, x)
        with self._labels[i].hold_sync():
            _place(self._labels[i], corners[: len(labels)], y, x)
            self._labels[i].text = labels


def _place(mark: Any, yx: np.ndarray, y: Axis, x: Axis) -> None:
    """Move a mark of bqplot to places in pixels; one that has none, and had none, is left alone."""
    if len(yx) or len(mark.x):
        with mark.hold_sync():
            mark.x = x.origin + x.scale * yx[:, 1]
            mark.y = y.origin + y.scale * yx[:, 0]


def _corners(box: np.ndarray) -> np.ndarray:
    top, left, bottom, right = box
    return np.array([[top, left], [top, right], [bottom, right], [bottom, left], [top, left]])


def _joined(lines: list[np.ndarray]) -> np.ndarray:
    """Return polylines of shape (m, 2) as one, with gaps between them."""
    parts = [part for line in lines for part in (line, [[np.nan, np.nan]])]
    return np.concatenate(parts) if parts else np.empty((0, 2))
