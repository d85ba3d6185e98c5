"""Plot: draws the results of one kind, and makes the files in which they are saved."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink_widgets import widget_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import ipywidgets
    import PIL.Image
    from numpy.typing import ArrayLike

MARK = "#e6a100"  # colour of the line at an event
MOST_MARKS = 100


class Plot:
    """Draws the results of one kind.

    Attributes
    ----------
    widget : ipywidgets.Widget
        What the notebook shows.
    """

    widget: ipywidgets.Widget

    def remember(self, time: float, result: Any, *, again: bool = False) -> None:
        """Take every result, drawn or not, of a frame taken at `time` (s); on the cell's thread.

        With `again`, the frame is the last one, processed with another parameter: its result is replaced.
        """

    def mark(self, time: float) -> None:
        """Mark an event in a frame taken at `time` (s)."""

    def draw(self, result: Any, *, small: bool, lossless: bool = False) -> None:
        """Draw a result, in as few bytes as possible if `small`, or losslessly if `lossless`."""
        raise NotImplementedError

    def write(self) -> None:
        """Write the numbers and texts of the last drawn result; less often than it is drawn."""

    def draw_status(self) -> None:
        """Update the histogram and the like, once a second."""

    def picture(self) -> PIL.Image.Image:
        """Return the last drawn picture."""
        raise NotImplementedError

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return functions that return the content of a file, by file name suffix."""
        raise NotImplementedError

    def close(self) -> None:
        """Close its widgets."""
        widget_tree.close(self.widget)


def csv_file(columns: Mapping[str, ArrayLike]) -> bytes:
    """Return columns of shape (n,) as CSV (UTF-8), with their names in the first line."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True))
    return text.getvalue().encode()


def array_file(array: np.ndarray) -> bytes:
    """Return an array in NumPy's file format."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
