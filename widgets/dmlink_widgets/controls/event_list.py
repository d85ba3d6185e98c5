"""EventList: the events of a cell, and the frame of the selected one."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from dmlink.logbook.times import clock
from dmlink_widgets.controls import html_text
from dmlink_widgets.drawing import picture
from dmlink_widgets.pacing.round import Html
from dmlink_widgets.page_widget import PageWidget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dmlink.cell.happening import Happening
    from dmlink.frame import Frame

HERE = pathlib.Path(__file__).parent
MOST_ROWS = 50  # of the newest events
SIZE = 320  # px, longer side of the frame shown


class Lines(PageWidget):
    """A line for each event: frame number, its time (s), the same as a time of day, and the text."""

    _code = (HERE / "event_list.js").read_text("utf-8")
    _css = (HERE / "event_list.css").read_text("utf-8")

    rows: Any = traitlets.List([]).tag(sync=True)
    caption = traitlets.Unicode("").tag(sync=True)
    count = traitlets.Int(0).tag(sync=True)
    chosen: Any = traitlets.List([]).tag(sync=True)  # frame number and time of the selected line


class EventList:
    """A list that takes no space until there is an event.

    Parameters
    ----------
    find : callable
        Returns (the frame of an event, where it comes from) if it is still available, else None.

    Attributes
    ----------
    widget : ipywidgets.VBox
        What the notebook shows.
    """

    def __init__(self, find: Callable[[Happening], tuple[Frame, str] | None]) -> None:
        self._find = find
        self._events: Sequence[Happening] = ()
        self._lines = Lines()
        self._lines.on_msg(lambda _, message, __: self._take(message))
        self._about = Html()
        self._image = ipywidgets.Image(format="png", layout={"display": "none", "max_width": "100%"})
        self._image.layout.width = self._image.layout.max_height = f"{SIZE}px"
        self._image.layout.object_fit = "contain"
        self.widget = ipywidgets.VBox([self._lines, self._about, self._image])

    def draw(self, events: Sequence[Happening], n: int) -> None:
        """Show the newest of these events, the last of `n`."""
        if len(events) == len(self._events) and events[-1:] == self._events[-1:]:
            return
        self._events = events
        newest = events[: -MOST_ROWS - 1 : -1]
        with self._lines.hold_sync():
            self._lines.rows = [[e.frame, e.time, clock(e.time), e.text] for e in newest]
            self._lines.caption = "1 event" if n == 1 else f"{n} events"
            self._lines.count = n

    def show(self, event: Happening | None) -> None:
        """Show the frame of an event, or hide it."""
        found = self._find(event) if event else None
        self._lines.chosen = [event.frame, event.time] if event else []
        self._image.layout.display = "inline" if found else "none"
        if event is None:
            self._about.value = ""
        elif found is None:
            self._about.value = html_text.message(
                f"Frame {event.frame} is no longer available: no look-back and no clip has it."
            )
        else:
            frame, where = found
            self._image.value, _ = picture.render(frame.data, SIZE, lossless=True)
            self._about.value = html_text.message(
                f"frame {event.frame}, {clock(event.time)}: {event.text}", f"from {where}"
            )

    def _take(self, message: dict[str, Any]) -> None:
        """Show the event that was clicked."""
        wanted = message.get("show")
        found = (e for e in self._events if wanted and [e.frame, e.time] == wanted)
        self.show(next(found, None))
