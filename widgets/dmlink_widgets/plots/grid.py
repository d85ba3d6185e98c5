"""PlotGrid: a plot for each of several results, in columns of equal width."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink.indm.results import MAX_SEVERAL
from dmlink.recordings.writing.file_names import FileNames
from dmlink_widgets import widget_tree
from dmlink_widgets.controls import html_text
from dmlink_widgets.drawing import prints
from dmlink_widgets.drawing.image_figure import on_screen
from dmlink_widgets.drawing.ranges import MARGIN
from dmlink_widgets.pacing.round import Html
from dmlink_widgets.plots.image import SIZE
from dmlink_widgets.plots.plot import Plot

if TYPE_CHECKING:
    from collections.abc import Callable

    import PIL.Image

    from dmlink.indm.results import Several


NARROWEST_CURVE = 500  # px; curves shrink to that so that two fit beside each other


class PlotGrid(Plot):
    """Plots in as many columns as the page has room for.

    Parameters
    ----------
    plot_for : callable
        Returns a new plot for a single result.

    Attributes
    ----------
    plots : dict of str to Plot
        The plots shown, by the name of their result.
    """

    def __init__(self, plot_for: Callable[[Any], Plot]) -> None:
        self._plot_for = plot_for
        self.plots: dict[str, Plot] = {}
        self._made: dict[tuple[str, str], Plot] = {}  # by name and kind
        self._titles: dict[str, Html] = {}
        self._lock = threading.Lock()
        self.widget = ipywidgets.GridBox(layout={"grid_gap": "8px 16px"})

    def remember(self, time: float, result: Several, *, again: bool = False) -> None:
        """Pass each result on to its plot."""
        self._arrange(result)
        for name, single in result.results.items():
            self.plots[name].remember(time, single, again=again)

    def mark(self, time: float) -> None:
        """Mark an event in each plot."""
        for plot in list(self.plots.values()):
            plot.mark(time)

    def draw(self, result: Several, *, small: bool, lossless: bool = False) -> None:
        """Draw each plot; a plot whose result is missing this time stays unchanged and says so."""
        self._arrange(result)
        for name, title in list(self._titles.items()):
            title.value = html_text.subtitle(
                name if name in result.results else f"{name} (from an earlier frame)"
            )
        for name, single in result.results.items():
            self.plots[name].draw(single, small=small, lossless=lossless)

    def write(self) -> None:
        """Write the numbers and texts of each plot."""
        for plot in list(self.plots.values()):
            plot.write()

    def draw_status(self) -> None:
        """Update the status of each plot."""
        for plot in list(self.plots.values()):
            plot.draw_status()

    def picture(self) -> PIL.Image.Image:
        """Return all plots, in two columns."""
        plots = [prints.below([prints.text_figure([n]), p.picture()]) for n, p in list(self.plots.items())]
        return prints.below([prints.beside(plots[i : i + 2]) for i in range(0, len(plots), 2)])

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return the files of each plot, named after its result."""
        names, files = FileNames(), {}
        for name, plot in self.plots.items():
            stem = names.take(name)
            files.update({f"-{stem}{end}": make for end, make in plot.files().items()})
        return files

    def close(self) -> None:
        """Close its widgets, including those of plots not currently shown."""
        with self._lock:
            super().close()
            self._close_plots()

    def _arrange(self, result: Several) -> None:
        """Create missing plots, and show those of the current kinds; called on two threads."""
        with self._lock:
            before = dict(self.plots)
            for name, single in result.results.items():
                key = name, single.kind
                self.plots[name] = self._made.get(key) or self._plot_for(single)
                self._made[key] = self.plots[name]
            # the oldest of earlier results, if there are too many: names may change with every frame
            gone = [name for name in self.plots if name not in result.results]
            for name in gone[: max(0, len(self.plots) - MAX_SEVERAL)]:
                del self.plots[name]
            if self.widget.comm is None:  # the grid was closed meanwhile
                self._close_plots()
            elif self.plots != before:
                self._show(result)
            for key in [key for key in self._made if key[0] not in self.plots]:
                self._made.pop(key).close()

    def _close_plots(self) -> None:
        for plot in self._made.values():
            plot.close()

    def _show(self, result: Several) -> None:
        width = max(_width(single) for single in result.results.values())
        columns = f"repeat(auto-fill, minmax(min(100%, {width}px), max-content))"
        self.widget.layout.grid_template_columns = columns
        before = self.widget.children
        self._titles = {name: Html(html_text.subtitle(name)) for name in self.plots}
        self.widget.children = [
            ipywidgets.VBox([self._titles[name], plot.widget]) for name, plot in self.plots.items()
        ]
        for box in before:
            title, _ = box.children
            box.children = ()
            widget_tree.close(box, title)


def _width(result: Any) -> int:
    """Return the width that a result needs on the screen, in px."""
    image = getattr(result, "image", result)
    if image.kind != "image":
        return NARROWEST_CURVE
    return on_screen(SIZE, *image.values.shape[:2])[1] + MARGIN["left"] + MARGIN["right"]
