"""SeveralResults: one plot for each of the results that a cell gives at once, in an even grid."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink.recordings.file_names import FileNames
from dmlink_widgets import text
from dmlink_widgets.figure import MARGIN, PLOT_SIZE
from dmlink_widgets.image_figure import on_screen
from dmlink_widgets.plots.image import SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.indm.results import Several


class SeveralResults:
    """The plots in columns of the same width, as many as the page has room for."""

    def __init__(self, plot_for: Callable[[Any], Any]) -> None:
        self._plot_for = plot_for
        self.plots: dict[str, Any] = {}
        self._made: dict[tuple[str, str], Any] = {}  # by name and kind
        self._lock = threading.Lock()
        self.widget = ipywidgets.GridBox(layout={"grid_gap": "8px 16px"})

    def take(self, time: float, result: Several) -> None:
        """Let each plot remember its result."""
        self._arrange(result)
        for name, part in result.results.items():
            self.plots[name].take(time, part)

    def draw(self, result: Several, *, small: bool, lossless: bool = False) -> None:
        """Draw each plot; one whose result is missing this time stays as it is."""
        self._arrange(result)
        for name, part in result.results.items():
            self.plots[name].draw(part, small=small, lossless=lossless)

    def write(self) -> None:
        """Let each plot write its words."""
        for plot in list(self.plots.values()):
            plot.write()

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return what can be saved, by the end of the file's name."""
        names, files = FileNames(), {}
        for name, plot in self.plots.items():
            stem = names.take(name)
            files.update({f"-{stem}{end}": make for end, make in plot.files().items()})
        return files

    def _arrange(self, result: Several) -> None:
        """Make the plots that are missing, or are of another kind now; two threads come here."""
        with self._lock:
            self._make(result)

    def _make(self, result: Several) -> None:
        before = dict(self.plots)
        for name, part in result.results.items():
            key = name, part.kind
            self.plots[name] = self._made.get(key) or self._plot_for(part)
            self._made[key] = self.plots[name]
        if self.plots == before:
            return
        width = max(_width(part) for part in result.results.values())
        columns = f"repeat(auto-fill, minmax(min(100%, {width}px), max-content))"
        self.widget.layout.grid_template_columns = columns
        self.widget.children = [
            ipywidgets.VBox([ipywidgets.HTML(text.part(name)), plot.widget])
            for name, plot in self.plots.items()
        ]


def _width(part: Any) -> int:
    """Return how wide a result is on the screen, in px."""
    image = getattr(part, "image", part)
    if image.kind != "image":
        return PLOT_SIZE[0]
    return on_screen(SIZE, *image.values.shape[:2])[1] + MARGIN["left"] + MARGIN["right"]
