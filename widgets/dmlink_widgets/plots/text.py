"""TextPlot: a result shown as text: text, a table, or points and boxes as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmlink_widgets.controls import html_text
from dmlink_widgets.drawing import prints
from dmlink_widgets.pacing.round import Html
from dmlink_widgets.plots.plot import Plot, csv_file

if TYPE_CHECKING:
    from collections.abc import Callable

    import PIL.Image


class TextPlot(Plot):
    """The newest result as text or as a table; above a table of points or boxes, their number."""

    def __init__(self) -> None:
        self.widget = Html()
        self._result: Any = None
        self._most_rows = 0  # so far: with fewer, the table keeps its height, so nothing below it moves

    def draw(self, result: Any, *, small: bool, lossless: bool = False) -> None:  # noqa: ARG002 - it is small
        """Take the result; `write` shows it."""
        self._result = result

    def write(self) -> None:
        """Show the result."""
        result = self._result
        if not hasattr(result, "columns"):
            self.widget.value = html_text.preformatted(result.text if result else "")
            return
        n = len(next(iter(result.columns.values()), ()))
        caption = f"{n} found" if result.kind in {"points", "boxes"} else ""
        self._most_rows = max(self._most_rows, n)
        self.widget.value = html_text.table(result.columns, caption, self._most_rows)

    def picture(self) -> PIL.Image.Image:
        """Return the text, or the first rows of the table."""
        result = self._result
        if result is None or not hasattr(result, "columns"):
            return prints.text_figure([result.text if result else ""])
        columns = [[name, *map(_written, values)] for name, values in result.columns.items()]
        return prints.beside(
            [prints.beside([prints.text_figure(c), prints.text_figure(["   "])]) for c in columns]
        )

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return the table as CSV, or the text."""
        result = self._result
        if hasattr(result, "columns"):
            return {".csv": lambda: csv_file(result.columns)}
        return {".txt": lambda: b"" if result is None else result.text.encode()}


def _written(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
