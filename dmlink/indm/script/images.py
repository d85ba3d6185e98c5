"""Images: the newest one in a window, in grey or colour."""

from dmlink.indm.script.cell import SHOW
from dmlink.indm.windows import ColourWindow, ImageWindow


def show_image(cell, name, image, info):
    """Draw an image, and return its window."""
    kind = ColourWindow if image.values.ndim == 3 else ImageWindow
    return cell.draw(name, image.values, (image.x, image.y), kind=kind)


SHOW["image"] = show_image
