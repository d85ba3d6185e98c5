"""OverlayResult: an image with places drawn over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink.recordings.file_names import file_name
from dmlink_widgets import text
from dmlink_widgets.colour import COLOURS
from dmlink_widgets.markers import places
from dmlink_widgets.plots.history import table
from dmlink_widgets.plots.image import SIZE, ImageResult
from dmlink_widgets.plots.written import columns_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.indm.results import Overlay


class OverlayResult:
    """Marks over an image: points as circles, boxes as rectangles, tails as lines, labels beside them."""

    def __init__(self, changed: Callable[[], None], colour: str = COLOURS[0], size: int = SIZE) -> None:
        self.image = ImageResult(changed, size)
        self._marks: tuple[Any, ...] = ()
        self._colours = [colour, *(c for c in COLOURS if c != colour)]
        self._found = ipywidgets.HTML()
        self.widget = ipywidgets.VBox([self.image.widget, self._found])

    def take(self, time: float, result: Overlay) -> None:
        """Nothing to remember: only the newest is shown."""

    def draw(self, result: Overlay, *, small: bool, lossless: bool = False) -> None:
        """Draw the image, then the marks."""
        self._marks = result.marks
        self.image.draw(result.image, small=small, lossless=lossless)
        self.image.figure.overlay.marks = [
            {"name": _name(mark), "colour": colour, **places(mark)} for mark, colour in self._coloured
        ]

    def write(self) -> None:
        """Say how many marks there are."""
        self.image.write()
        self._found.value = text.legend(
            [(colour, f"{len(_where(mark))} {_name(mark)}") for mark, colour in self._coloured]
        )

    @property
    def _coloured(self) -> list[tuple[Any, str]]:
        return list(zip(self._marks, self._colours * (1 + len(self._marks)), strict=False))

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return what can be saved, by the end of the file's name."""
        found = {
            f"-{file_name(_name(mark))}-{i}.csv": lambda mark=mark: table(columns_of(mark) or {})
            for i, mark in enumerate(self._marks, start=1)
        }
        return {**self.image.files(), **found}


def _where(mark: Any) -> Any:
    return mark.yx if mark.kind == "points" else mark.tlbr


def _name(mark: Any) -> str:
    return str(mark.name or mark.kind)
