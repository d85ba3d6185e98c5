"""WrittenResult: words, tables, and places as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from dmlink_widgets import text
from dmlink_widgets.plots.history import table

if TYPE_CHECKING:
    from collections.abc import Callable


class WrittenResult:
    """A result that is read; of places also how many there are."""

    def __init__(self) -> None:
        self.widget = ipywidgets.HTML()
        self._result: Any = None

    def take(self, time: float, result: Any) -> None:
        """Nothing to remember: only the newest is shown."""

    def draw(self, result: Any, *, small: bool, lossless: bool = False) -> None:  # noqa: ARG002 - it is small
        """Write it."""
        self._result = result
        columns = columns_of(result)
        if columns is None:
            self.widget.value = text.written(result.text)
            return
        n = len(next(iter(columns.values()), ()))
        found = f"{n} found" if result.kind in {"points", "boxes"} else ""
        self.widget.value = text.table(columns, found)

    def write(self) -> None:
        """All of it is words, and drawn."""

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return what can be saved, by the end of the file's name."""
        if self._result is None or columns_of(self._result) is None:
            return {".txt": lambda: str(getattr(self._result, "text", "")).encode()}
        return {".csv": lambda: table(columns_of(self._result) or {})}


def columns_of(result: Any) -> dict[str, np.ndarray] | None:
    """Return the columns of a table, or of places (in pixels); None of words."""
    if result.kind == "table":
        return dict(result.columns)
    if result.kind == "points":
        columns = {"y": result.yx[:, 0], "x": result.yx[:, 1]}
    elif result.kind == "boxes":
        columns = dict(zip(("top", "left", "bottom", "right"), result.tlbr.T, strict=True))
    else:
        return None
    labels = getattr(result, "labels", ())
    return {"label": np.array(labels), **columns} if len(labels) else columns
