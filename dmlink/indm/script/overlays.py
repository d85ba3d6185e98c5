"""Overlays: an image in a window, with points and boxes drawn on it."""

from dmlink.indm.script.cell import SHOW
from dmlink.indm.script.images import show_image
from dmlink.indm.script.marks import Marks


def show_overlay(cell, name, overlay, info):
    """Draw an image and its marks."""
    window = show_image(cell, name, overlay.image, info)
    if window.image is not None:
        cell.windows.setdefault(f"{name} marks", Marks(name)).draw(window.image, overlay.marks)


SHOW["overlay"] = show_overlay
