"""A picture of windows of the simulated DigitalMicrograph, as they would stand on its screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmlink.simulator.windows import OpenWindow

SIZE = 320  # pixels of a window's content
BAR = 24  # height of its title
GAP = 12
LINE_PLOT = 3
BACK, FRAME, TITLE, PAPER, INK, MARK = "#6b7785", "#2b3440", "#ffffff", "#ffffff", "#1f4e8c", "#ffcc00"


def draw(windows: Sequence[OpenWindow], path: str | Path) -> None:
    """Write a PNG with all these windows, three in a row, with title, axes and marks."""
    columns = max(1, min(3, len(windows)))
    rows = max(1, -(-len(windows) // columns))
    size = (GAP + columns * (SIZE + GAP), GAP + rows * (SIZE + 2 * BAR + GAP))
    desk = Image.new("RGB", size, BACK)
    for i, window in enumerate(windows):
        x, y = GAP + i % columns * (SIZE + GAP), GAP + i // columns * (SIZE + 2 * BAR + GAP)
        desk.paste(_window(window), (x, y))
    desk.save(Path(path), "PNG")


def _window(window: OpenWindow) -> Image.Image:
    whole = Image.new("RGB", (SIZE, SIZE + 2 * BAR), FRAME)
    pen = ImageDraw.Draw(whole)
    font = ImageFont.load_default(13)
    pen.text((8, 4), window.name, TITLE, font)
    content = _plot(window) if window.kind == LINE_PLOT else _image(window)
    whole.paste(content, ((SIZE - content.width) // 2, BAR + (SIZE - content.height) // 2))
    size = " x ".join(map(str, window.data.shape[1::-1]))
    axis = window.axes[0]
    says = f"{size}   {axis.scale:.4g} {axis.unit or 'pixels'} per pixel"
    pen.text((8, SIZE + BAR + 4), says, TITLE, font)
    return whole


def _plot(window: OpenWindow) -> Image.Image:
    """Draw rows as lines, between their smallest and largest value."""
    sheet = Image.new("RGB", (SIZE - 8, SIZE - 8), PAPER)
    pen = ImageDraw.Draw(sheet)
    values = np.nan_to_num(np.atleast_2d(window.data).astype(float))
    low, high = float(values.min()), float(values.max())
    across = np.linspace(10, sheet.width - 10, max(2, values.shape[1]))
    for row, colour in zip(values, (INK, "#c0392b", "#1e8449", "#7d3c98") * len(values), strict=False):
        heights = sheet.height - 24 - (row - low) / ((high - low) or 1) * (sheet.height - 48)
        pen.line(list(zip(across.tolist(), heights.tolist(), strict=False)), colour, 2)
    font = ImageFont.load_default(12)
    unit = window.intensity.unit
    pen.text((6, 4), f"{high:.4g} {unit}", "#444444", font)
    pen.text((6, sheet.height - 18), f"{low:.4g} {unit}", "#444444", font)
    return sheet


def _image(window: OpenWindow) -> Image.Image:
    """Draw an image, grey ones between the 1st and the 99th percentile, with its annotations."""
    data = window.data
    if data.ndim == 2:
        values = np.nan_to_num(data.astype(float), posinf=0.0, neginf=0.0)
        low, high = np.percentile(values, [1, 99])
        data = np.clip((values - low) / ((high - low) or 1), 0, 1) * 255
    zoom = (SIZE - 8) / max(data.shape[:2])
    size = (max(1, round(data.shape[1] * zoom)), max(1, round(data.shape[0] * zoom)))
    drawn = Image.fromarray(data.astype(np.uint8)).convert("RGB").resize(size, Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(drawn)
    for kind, (top, left, bottom, right) in window.marks:
        if kind == 5:  # a box
            pen.rectangle([left * zoom, top * zoom, right * zoom, bottom * zoom], outline=MARK, width=2)
    return drawn
