"""EventPlot: the last event; the panel lists all events."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

from dmlink_widgets.controls import html_text
from dmlink_widgets.drawing import prints
from dmlink_widgets.pacing.round import Html
from dmlink_widgets.plots.plot import Plot, csv_file

if TYPE_CHECKING:
    from collections.abc import Callable

    import PIL.Image

    from dmlink.indm.results import Event

MOST_EVENTS = 10_000
NOTHING = "no event yet"


class EventPlot(Plot):
    """The last event; it stays until the next one."""

    def __init__(self) -> None:
        self._times: collections.deque[float] = collections.deque(maxlen=MOST_EVENTS)
        self._texts: collections.deque[str] = collections.deque(maxlen=MOST_EVENTS)
        self.widget = Html(html_text.preformatted(NOTHING))

    def remember(self, time: float, result: Event, *, again: bool = False) -> None:
        """Keep an event."""
        if result.happened:
            if again and self._times and time == self._times[-1]:
                self._times.pop()
                self._texts.pop()
            self._times.append(time)
            self._texts.append(result.text)

    def draw(self, result: Any, *, small: bool, lossless: bool = False) -> None:  # noqa: ARG002 - it is small
        """Show the last event."""
        self.widget.value = html_text.preformatted(self._texts[-1] if self._texts else NOTHING)

    def picture(self) -> PIL.Image.Image:
        """Return the last event."""
        return prints.text_figure([self._texts[-1] if self._texts else NOTHING])

    def files(self) -> dict[str, Callable[[], bytes]]:
        """Return the events as CSV."""
        return {".csv": lambda: csv_file({"time (s)": self._times, "event": self._texts})}
