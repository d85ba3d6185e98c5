"""Prints: figures and panels as pictures that need neither a page nor a kernel.

They are drawn from the widgets' data, so that a print shows the same as the page.
"""

from __future__ import annotations

import functools
import io
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import PIL.ImageOps

from dmlink.logbook.times import date
from dmlink_widgets.drawing.ranges import MARGIN, nice, number_format

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dmlink.frame import Frame

MOST_BYTES = 140_000  # bytes of a PNG: less than 200 kB as base64 in a notebook
BITS = 5  # levels of each colour to which a picture is reduced if it is too large
CLOSER = 0.95  # it is then shrunk to slightly less than the size that should fit
PAPER, INK, FAINT, GRID = "#ffffff", "#212121", "#616161", "#e0e0e0"
ROI_COLOUR, HALO = "#ffd400", "#303030"
LINE_HEIGHT = 18  # px
MOST_LINES = 40  # lines of a text: about a page
TICK_PX = {"x": 72, "y": 40}  # px for each number along an axis
GAP = 8  # px


@dataclass
class Print:
    """The content of a panel's print.

    Attributes
    ----------
    title : str
        Its name.
    lines : list of str
        Text below the title: number and time of the frame, parameters, errors.
    figures : list of PIL.Image.Image
        Figures, from top to bottom.
    colour : str
        `#rrggbb` of a mark before the title; no mark if empty.
    """

    title: str
    lines: list[str] = field(default_factory=list)
    figures: list[PIL.Image.Image] = field(default_factory=list)
    colour: str = ""

    @property
    def text(self) -> str:
        """Title and lines as one text."""
        return " \u00b7 ".join(line for line in (self.title, *self.lines) if line)

    def image(self) -> PIL.Image.Image:
        """Return it as one picture."""
        mark = LINE_HEIGHT if self.colour else 0
        head = text_figure([self.title], size=14, indent=mark)
        if mark:
            PIL.ImageDraw.Draw(head).rectangle((2, 3, 13, 14), fill=self.colour)
        return below([head, text_figure(self.lines, colour=FAINT), *self.figures])


def frame_line(frame: Frame | None) -> str:
    """Return a frame's number and time: the date for a live frame, seconds for one from a recording."""
    if frame is None:
        return f"no frame yet, {date(time.time())}"
    return f"frame {frame.index}, {date(frame.time)}"


def whole_png(page: Print) -> bytes:
    """Return a PNG of all its pixels."""
    return _encoded(page.image())


def png(page: Print) -> bytes:
    """Return a PNG of at most `MOST_BYTES`, with fewer grey levels, then fewer pixels if necessary."""
    image = page.image()
    data = _encoded(image)
    if len(data) > MOST_BYTES:
        data = _encoded(PIL.ImageOps.posterize(image, BITS))
    while len(data) > MOST_BYTES:
        scale = CLOSER * math.sqrt(MOST_BYTES / len(data))
        image = image.resize((max(1, int(image.width * scale)), max(1, int(image.height * scale))))
        data = _encoded(PIL.ImageOps.posterize(image, BITS))
    return data


def text_figure(
    lines: Iterable[str], *, size: int = 12, colour: str = INK, indent: int = 0
) -> PIL.Image.Image:
    """Return lines of text as a picture."""
    parts = [part for line in lines for part in line.split("\n")][:MOST_LINES]
    font = _font(size)
    width = max([math.ceil(font.getlength(part)) for part in parts] or [0])
    image = PIL.Image.new("RGB", (width + indent + 2, LINE_HEIGHT * len(parts)), PAPER)
    draw = PIL.ImageDraw.Draw(image)
    for i, part in enumerate(parts):
        draw.text((indent, LINE_HEIGHT * (i + 0.5)), part, colour, font, anchor="lm")
    return image


def below(images: Sequence[PIL.Image.Image]) -> PIL.Image.Image:
    """Return pictures stacked vertically."""
    images = [image for image in images if image.width and image.height]
    height = sum(image.height + GAP for image in images)
    page = PIL.Image.new("RGB", (max(image.width for image in images) + 2 * GAP, height + GAP), PAPER)
    top = GAP
    for image in images:
        page.paste(image, (GAP, top))
        top += image.height + GAP
    return page


def beside(images: Sequence[PIL.Image.Image]) -> PIL.Image.Image:
    """Return pictures side by side; an empty one if there are none."""
    images = images or [PIL.Image.new("RGB", (1, 1), PAPER)]
    page = PIL.Image.new("RGB", (sum(i.width for i in images), max(i.height for i in images)), PAPER)
    left = 0
    for image in images:
        page.paste(image, (left, 0))
        left += image.width
    return page


class Axes:
    """A figure with its axes, to draw into.

    Parameters
    ----------
    height, width : int
        Size of the area within the axes, px.
    ends : dict
        The values at the lower left and the upper right end of "x" and of "y"; an axis may be descending.
    labels : dict of str to str
        Labels of "x" and "y".
    log : bool
        Whether y is logarithmic.
    grid : bool
        Whether lines run across at the ticks.
    """

    def __init__(
        self,
        height: int,
        width: int,
        ends: dict[str, tuple[float, float]],
        labels: dict[str, str],
        *,
        log: bool = False,
        grid: bool = False,
    ) -> None:
        self.size = height, width
        self.corner = MARGIN["top"], MARGIN["left"]
        full = (width + MARGIN["left"] + MARGIN["right"], height + MARGIN["top"] + MARGIN["bottom"])
        self.image = PIL.Image.new("RGB", full, PAPER)
        self.draw = PIL.ImageDraw.Draw(self.image)
        self._frame(ends, labels, log=log, grid=grid)

    def paste(self, picture: PIL.Image.Image, box: tuple[float, float, float, float]) -> None:
        """Put a picture at (top, left, height, width), px within the axes, and clip it at the axes."""
        top, left, height, width = box
        inner = PIL.Image.new("RGB", (self.size[1], self.size[0]), PAPER)
        large = width >= 3 * picture.width
        how = PIL.Image.Resampling.NEAREST if large else PIL.Image.Resampling.BILINEAR
        size = max(1, round(width)), max(1, round(height))
        inner.paste(picture.convert("RGB").resize(size, how), (round(left), round(top)))
        self.image.paste(inner, (self.corner[1], self.corner[0]))

    def at(self, points: np.ndarray) -> list[tuple[float, float]]:
        """Return points [[x, y], ...], px within the axes, as positions in the picture."""
        return [(float(x) + self.corner[1], float(y) + self.corner[0]) for x, y in points]

    def curve(self, points: np.ndarray, colour: str) -> None:
        """Draw a curve through points of shape (n, 2), px within the axes; NaN is a gap."""
        gaps = np.flatnonzero(np.isnan(points).any(axis=1))
        for piece in np.split(points, gaps):
            whole = piece[~np.isnan(piece).any(axis=1)]
            if len(whole) > 1:
                self.draw.line(self.at(whole), colour, 2)

    def shape(self, points: np.ndarray, colour: str, *, closed: bool = True) -> None:
        """Draw a line through points of shape (n, 2), visible on any grey."""
        places = self.at(np.vstack([points, points[:1]]) if closed else points)
        self.draw.line(places, HALO, 4)
        self.draw.line(places, colour, 2)

    def write(self, x: float, y: float, text: str, colour: str) -> None:
        """Write a text that starts at (x, y), px within the axes."""
        (place,) = self.at(np.array([[x, y]]))
        self.draw.text(place, text, colour, _font(12), anchor="ls", stroke_width=2, stroke_fill=HALO)

    def bar(self, px: float, text: str) -> None:
        """Draw a scale bar of this length, px, in the lower left corner."""
        bottom = self.corner[0] + self.size[0] - 14
        left = self.corner[1] + 14
        self.draw.rectangle((left - 1, bottom - 5, left + px + 1, bottom + 1), HALO)
        self.draw.rectangle((left, bottom - 4, left + px, bottom), PAPER)
        self.draw.text(
            (left + px / 2, bottom - 9), text, PAPER, _font(13), anchor="ms", stroke_width=2, stroke_fill=HALO
        )

    def _frame(
        self, ends: dict[str, tuple[float, float]], labels: dict[str, str], *, log: bool, grid: bool
    ) -> None:
        (h, w), (top, left) = self.size, self.corner
        bottom, right = top + h, left + w
        font = _font(12)
        for at, text in axis_ticks("x", ends["x"], w):
            x = left + at
            if grid:
                self.draw.line((x, top, x, bottom), GRID)
            self.draw.line((x, bottom, x, bottom + 4), INK)
            self.draw.text((x, bottom + 6), text, INK, font, anchor="ma")
        for at, text in decades(ends["y"], h) if log else axis_ticks("y", ends["y"], h):
            y = bottom - at
            if grid:
                self.draw.line((left, y, right, y), GRID)
            self.draw.line((left - 4, y, left, y), INK)
            self.draw.text((left - 7, y), text, INK, font, anchor="rm")
        self.draw.line((left, top, left, bottom, right, bottom), INK)
        self.draw.text((left + w / 2, bottom + 24), labels["x"], INK, font, anchor="ma")
        name = PIL.Image.new("RGB", (math.ceil(font.getlength(labels["y"])) + 2, LINE_HEIGHT), PAPER)
        PIL.ImageDraw.Draw(name).text((1, LINE_HEIGHT / 2), labels["y"], INK, font, anchor="lm")
        turned = name.rotate(90, expand=True)
        self.image.paste(turned, (0, max(0, round(top + h / 2 - turned.height / 2))))


def axis_ticks(name: str, ends: tuple[float, float], px: int) -> list[tuple[float, str]]:
    """Return (px from the start of the axis, number) of round numbers."""
    first, last = ends
    low, high = sorted(ends)
    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        return []
    step = nice((high - low) / max(1, px // TICK_PX[name]))
    written = number_format(low, high)
    values = np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1) * step
    return [((v - first) / (last - first) * px, format(float(v) + 0.0, written)) for v in values]


def decades(ends: tuple[float, float], px: int) -> list[tuple[float, str]]:
    """Return (px from the start of the axis, number) of powers of ten."""
    low, high = (round(math.log10(end)) for end in ends)
    return [((n - low) / max(1, high - low) * px, f"1e{n}") for n in range(low, high + 1)]


def _encoded(image: PIL.Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=4)
    return file.getvalue()


@functools.cache
def _font(size: int) -> Any:
    return PIL.ImageFont.load_default(size)
