"""OverlayPlot: an image with marks drawn over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink.recordings.writing.file_names import file_name
from dmlink_widgets.controls import html_text
from dmlink_widgets.drawing import prints
from dmlink_widgets.drawing.colour import COLOURS
from dmlink_widgets.drawing.marks import mark
from dmlink_widgets.pacing.round import Html
from dmlink_widgets.plots.image import SIZE, ImagePlot
from dmlink_widgets.plots.plot import Plot, csv_file

if TYPE_CHECKING:
    from collections.abc import Callable

    import PIL.Image

    from dmlink.indm.results import Boxes, Overlay, Points


class OverlayPlot(Plot):
    """Marks over an image: points as circles, boxes as rectangles, tails as lines, with labels."""

    def __init__(self, changed: Callable[[], None], colour: str = COLOURS[0], size: int = SIZE) -> None:
        self.image = ImagePlot(changed, size)
        self._marks: tuple[Points | Boxes, ...] = ()
        self._colours = [colour, *(c for c in COLOURS if c != colour)]
        self._legend = Html()
        self.widget = ipywidgets.VBox([self.image.widget, self._legend])

    def draw(self, result: Overlay, *, small: bool, lossless: bool = False) -> None:
        """Draw the image, then the marks."""
        self._marks = result.marks
        self.image.draw(result.image, small=small, lossless=lossless)
        self.image.figure.overlay.marks = [
            {"name": _name(places), "colour": colour, **mark(places)} for places, colour in self._coloured
        ]

    def write(self) -> None:
        """Write the limits of the contrast, and the number of marks of each kind."""
        self.image.write()
        self._legend.value = html_text.legend(
            [(colour, f"{_count(places)} {_name(places)}") for places, colour in self._coloured]
        )

    def draw_status(self) -> None:
        """Show the histogram of the image."""
        self.image.draw_status()

    def picture(self) -> PIL.Image.Image:
        """Return the image with its marks, and their number."""
        counts = ", ".join(f"{_count(places)} {_name(places)}" for places in self._marks)
        return prints.below([self.image.picture(), prints.text_figure([counts])])

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return the files of the image, and the coordinates of each mark as CSV."""
        tables = {
            f"-{file_name(_name(places))}-{i}.csv": lambda places=places: csv_file(places.columns)
            for i, places in enumerate(self._marks, start=1)
        }
        return {**self.image.files(), **tables}

    def close(self) -> None:
        """Close its widgets."""
        self.image.close()
        super().close()

    @property
    def _coloured(self) -> list[tuple[Any, str]]:
        return list(zip(self._marks, self._colours * (1 + len(self._marks)), strict=False))


def _count(places: Any) -> int:
    return len(places.yx if places.kind == "points" else places.tlbr)


def _name(places: Any) -> str:
    return str(places.name or places.kind)
