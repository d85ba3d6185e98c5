"""Picture: draws windows of the simulated DigitalMicrograph as they would appear on its screen."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dmlink.simulator.dm.displays import BOX, LINE_PLOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmlink.simulator.dm.windows import OpenWindow

SIZE = 320  # pixels of a window's content
BAR = 24  # height of its title
GAP = 12
LINE = 14  # pixels from line to line in the Results window
BACK, FRAME, TITLE, PAPER, INK, GREY = "#6b7785", "#2b3440", "#ffffff", "#ffffff", "#1f4e8c", "#444444"
MARK, ROI = "#ffcc00", "#ff5040"


def draw(windows: Sequence[OpenWindow], path: str | Path, results: Sequence[str] = ()) -> None:
    """Write a PNG with all these windows, two or three in a row, with title, axes, ROIs and marks.

    `results` are the lines of the Results window, of which the last are drawn; without lines, it is left out.
    """
    drawn = [_window(window) for window in windows]
    if results:
        drawn.append(_framed("Results", _results(results), ""))
    columns = 2 if len(drawn) == 4 else max(1, min(3, len(drawn)))
    rows = max(1, -(-len(drawn) // columns))
    size = (GAP + columns * (SIZE + GAP), GAP + rows * (SIZE + 2 * BAR + GAP))
    desk = Image.new("RGB", size, BACK)
    for i, window in enumerate(drawn):
        x, y = GAP + i % columns * (SIZE + GAP), GAP + i // columns * (SIZE + 2 * BAR + GAP)
        desk.paste(window, (x, y))
    desk.save(Path(path), "PNG")


def _window(window: OpenWindow) -> Image.Image:
    content = _plot(window) if window.kind == LINE_PLOT else _image(window)
    size = " x ".join(map(str, window.data.shape[1::-1]))
    axis = window.axes[0]
    return _framed(window.name, content, f"{size}   {axis.scale:.4g} {axis.unit or 'pixels'} per pixel")


def _framed(title: str, content: Image.Image, below: str) -> Image.Image:
    whole = Image.new("RGB", (SIZE, SIZE + 2 * BAR), FRAME)
    pen = ImageDraw.Draw(whole)
    font = ImageFont.load_default(13)
    pen.text((8, 4), title, TITLE, font)
    whole.paste(content, ((SIZE - content.width) // 2, BAR + (SIZE - content.height) // 2))
    pen.text((8, SIZE + BAR + 4), below, TITLE, font)
    return whole


def _results(results: Sequence[str]) -> Image.Image:
    """Draw lines of text in a monospaced font, so that tables line up."""
    sheet = Image.new("RGB", (SIZE - 8, SIZE - 8), PAPER)
    font = ImageFont.load_default_imagefont()
    across, down = (sheet.width - 12) // int(font.getbbox("m")[2]), (sheet.height - 12) // LINE
    lines = [part for line in results for part in textwrap.wrap(line, across, drop_whitespace=False) or [""]]
    pen = ImageDraw.Draw(sheet)
    for row, line in enumerate(lines[-down:]):
        pen.text((6, 6 + row * LINE), line, "#222222", font)
    return sheet


def _plot(window: OpenWindow) -> Image.Image:
    """Draw rows as lines, scaled to their smallest and largest value."""
    sheet = Image.new("RGB", (SIZE - 8, SIZE - 8), PAPER)
    pen = ImageDraw.Draw(sheet)
    values = np.nan_to_num(np.atleast_2d(window.data).astype(float))
    low, high = float(values.min()), float(values.max())
    across = np.linspace(10, sheet.width - 10, max(2, values.shape[1]))
    for row, colour in zip(values, (INK, "#c0392b", "#1e8449", "#7d3c98") * len(values), strict=False):
        heights = sheet.height - 40 - (row - low) / ((high - low) or 1) * (sheet.height - 64)
        pen.line(list(zip(across.tolist(), heights.tolist(), strict=False)), colour, 2)
    font = ImageFont.load_default(12)
    unit = window.intensity.unit
    pen.text((6, 4), f"{high:.4g} {unit}", GREY, font)
    pen.text((6, sheet.height - 34), f"{low:.4g} {unit}", GREY, font)
    axis = window.axes[0]
    ends = (axis.origin, axis.origin + axis.scale * (values.shape[1] - 1))
    for end, x, anchor in zip(ends, (6, sheet.width - 6), ("la", "ra"), strict=True):
        pen.text((x, sheet.height - 18), f"{end:.4g} {axis.unit}", GREY, font, anchor=anchor)
    return sheet


def _image(window: OpenWindow) -> Image.Image:
    """Draw an image with its ROIs and annotations; a grey one between its 1st and 99th percentile."""
    data = window.data
    if data.ndim == 2:
        values = np.nan_to_num(data.astype(float), posinf=0.0, neginf=0.0)
        low, high = np.percentile(values, [1, 99])
        data = np.clip((values - low) / ((high - low) or 1), 0, 1) * 255
    zoom = (SIZE - 8) / max(data.shape[:2])
    size = (max(1, round(data.shape[1] * zoom)), max(1, round(data.shape[0] * zoom)))
    drawn = Image.fromarray(data.astype(np.uint8)).convert("RGB").resize(size, Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(drawn)
    boxes = [(place, MARK) for kind, place in window.marks if kind == BOX]
    for (top, left, bottom, right), colour in [(place, ROI) for place in window.rectangles] + boxes:
        pen.rectangle([left * zoom, top * zoom, right * zoom, bottom * zoom], outline=colour, width=2)
    return drawn
