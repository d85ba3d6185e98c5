"""SvgAxes: a figure with its axes as SVG, for papers and slides: sharp at any size, with editable text."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

from dmlink_widgets.drawing.prints import FAINT, HALO, INK, PAPER, axis_ticks
from dmlink_widgets.drawing.ranges import MARGIN

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image


class SvgAxes:
    """Takes the same arguments as prints.Axes.

    Parameters
    ----------
    height, width : int
        Size of the area within the axes, px.
    ends : dict
        The values at the lower left and the upper right end of "x" and of "y"; an axis may be descending.
    labels : dict of str to str
        Labels of "x" and "y".
    """

    def __init__(
        self, height: int, width: int, ends: dict[str, tuple[float, float]], labels: dict[str, str]
    ) -> None:
        self.size = height, width
        self._inside: list[str] = []  # clipped at the axes
        self._around: list[str] = []
        for at, text in axis_ticks("x", ends["x"], width):
            self._line(at, height, at, height + 4)
            self._text(at, height + 17, text, "middle")
        for at, text in axis_ticks("y", ends["y"], height):
            self._line(-4, height - at, 0, height - at)
            self._text(-7, height - at + 4, text, "end")
        self._text(width / 2, height + 36, labels["x"], "middle")
        y = height / 2
        self._text(-52, y, labels["y"], "middle", f' transform="rotate(-90 -52 {y:.1f})"')
        self._line(0, 0, 0, height)
        self._line(0, height, width, height)

    def paste(self, picture: PIL.Image.Image, box: tuple[float, float, float, float]) -> None:
        """Put a picture at (top, left, height, width), px within the axes, and clip it at the axes."""
        top, left, height, width = box
        file = io.BytesIO()
        picture.convert("RGB").save(file, "PNG")
        data = base64.b64encode(file.getvalue()).decode()
        how = "pixelated" if width >= 3 * picture.width else "auto"
        self._inside.append(
            f'<image x="{left:.2f}" y="{top:.2f}" width="{width:.2f}" height="{height:.2f}" '
            f'preserveAspectRatio="none" style="image-rendering: {how}" href="data:image/png;base64,{data}"/>'
        )

    def shape(self, points: np.ndarray, colour: str, *, closed: bool = True) -> None:
        """Draw a line through points of shape (n, 2), visible on any grey."""
        path = "M" + "L".join(f"{x:.2f},{y:.2f}" for x, y in points) + ("Z" if closed else "")
        for stroke, wide in ((HALO, 4), (html.escape(colour), 2)):
            self._inside.append(f'<path d="{path}" fill="none" stroke="{stroke}" stroke-width="{wide}"/>')

    def write(self, x: float, y: float, text: str, colour: str) -> None:
        """Write a text that starts at (x, y), px within the axes."""
        halo = f'stroke="{HALO}" stroke-width="3" paint-order="stroke"'
        self._inside.append(
            f'<text x="{x:.1f}" y="{y:.1f}" fill="{html.escape(colour)}" {halo}>{html.escape(text)}</text>'
        )

    def bar(self, px: float, text: str) -> None:
        """Draw a scale bar of this length, px, in the lower left corner."""
        y = self.size[0] - 18
        self._inside.append(
            f'<rect x="14" y="{y}" width="{px:.2f}" height="5" fill="{PAPER}" stroke="{HALO}"/>'
            f'<text x="{14 + px / 2:.1f}" y="{y - 6}" text-anchor="middle" fill="{PAPER}" stroke="{HALO}" '
            f'stroke-width="3" paint-order="stroke">{html.escape(text)}</text>'
        )

    @property
    def svg(self) -> bytes:
        """The figure as a file."""
        (h, w), top, left = self.size, MARGIN["top"], MARGIN["left"]
        width, height = w + left + MARGIN["right"], h + top + MARGIN["bottom"]
        text = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="{-left} {-top} {width} {height}" font-family="sans-serif" font-size="12">'
            f'<rect x="{-left}" y="{-top}" width="{width}" height="{height}" fill="{PAPER}"/>'
            f'<svg width="{w}" height="{h}" overflow="hidden">{"".join(self._inside)}</svg>'
            f"{''.join(self._around)}</svg>"
        )
        return text.encode()

    def _line(self, x0: float, y0: float, x1: float, y1: float) -> None:
        self._around.append(
            f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{FAINT}"/>'
        )

    def _text(self, x: float, y: float, text: str, anchor: str, turned: str = "") -> None:
        place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turned}'
        self._around.append(f'<text {place} fill="{INK}">{html.escape(text)}</text>')
