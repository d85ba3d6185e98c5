"""Drawn window: shows one result of a link in DigitalMicrograph."""

from __future__ import annotations

from typing import Any, Sequence

from dmlink.indm.chart import Chart
from dmlink.indm.info import Axis
from dmlink.indm.results import Drawn, Profile, Scalar
from dmlink.indm.windows import ColourWindow, ImageWindow


class ResultWindow:
    """Opens with the first result and shows the newest; once the user has closed it, it stays closed."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._window: ImageWindow | None = None
        self._closed = False
        self._chart = Chart(0)

    @property
    def closed(self) -> bool:
        """Whether the user has closed it."""
        if self._window is not None and self._window.closed:
            self._closed = True
        return self._closed

    def take(self, result: Drawn) -> None:
        """Keep a number for the strip chart; of other kinds, only the result that is drawn matters."""
        if isinstance(result, Scalar):
            values = list(result.series.values())
            if len(self._chart) != len(values):
                self._chart = Chart(len(values))
            self._chart.add(values)

    def draw(self, result: Drawn) -> None:
        """Draw a result passed to `take`."""
        if self.closed:
            return
        if isinstance(result, Scalar):
            self._draw(ImageWindow, self._chart.columns, (self._chart.axis, Axis()), result.unit, line=True)
        elif isinstance(result, Profile):
            self._draw(ImageWindow, result.values, (result.x,), result.value_unit, line=True)
        else:
            kind = ColourWindow if result.values.ndim == 3 else ImageWindow
            self._draw(kind, result.values, (result.x, result.y))

    def close(self) -> None:
        """Close the window and let DM free its image."""
        self._release(delete=not self.closed)

    def release(self) -> None:
        """Release the image; an open window stays open but is no longer updated."""
        self._release(delete=False)

    def _release(self, *, delete: bool) -> None:
        if self._window is not None:
            self._window.release(delete)
        self._window = None

    def _draw(
        self,
        kind: type[ImageWindow],
        values: Any,
        axes: Sequence[Axis],
        unit: str = "",
        *,
        line: bool = False,
    ) -> None:
        if self._window is None or self._window.like != (values.shape, line):
            self.close()
            try:
                self._window = kind(self.title, values, line)
            except RuntimeError:
                self._closed = True  # reported once, because it would fail for every frame
                raise
        self._window.write(values, axes, unit)
