"""Panel: what every panel in a notebook is: a box with a fence, drawn by the painter, closed for good."""

from __future__ import annotations

import collections
import pathlib
import time
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets

from dmlink_widgets.pacing import Fence, painter

if TYPE_CHECKING:
    from dmlink.frame import Frame


class Style(anywidget.AnyWidget):
    """Brings the style sheet and the keys along; shows nothing."""

    _esm = (pathlib.Path(__file__).parent / "panel.js").read_text("utf-8")
    _css = (pathlib.Path(__file__).parent / "panel.css").read_text("utf-8")


class Panel:
    """The base of live views and cell panels: derived ones fill `widget.children` and draw.

    Attributes
    ----------
    widget : ipywidgets.VBox
        What the notebook shows.
    fence : Fence
        Knows what the browser has painted of it.
    """

    def __init__(self) -> None:
        self.fence = Fence(self.age_of, self.in_page)
        self.fence.add_class("dmlink-fence")
        self._style = Style()
        self.widget = ipywidgets.VBox()
        self.widget.add_class("dmlink-panel")
        self.widget.add_class("dmlink-paced")
        self._paints: collections.deque[tuple[float, int]] = collections.deque(maxlen=12)

    def open(self, children: list[Any]) -> None:
        """Fill the panel with these widgets; it is drawn as soon as a page has it."""
        self.widget.children = [*children, self.fence, self._style]

    def in_page(self, there: bool) -> None:
        """Begin to draw, or end it: a page has the panel now, or none has it any more."""
        if there:
            painter.add(self, self.fence)
            painter.changed(self)
        else:
            painter.remove(self)

    def changed(self) -> None:
        """There is something new to draw; can be called from any thread."""
        painter.changed(self)

    @property
    def closed(self) -> bool:
        """Whether it was taken out of the notebook."""
        return self.widget.comm is None

    def close(self) -> None:
        """Draw no more, and take the widgets out of the notebook."""
        painter.remove(self)
        for widget in _widgets_of(self):
            widget.close()

    @property
    def painted_rate(self) -> float:
        """Drawings that the browser painted per second, over the last few seconds that it was seen."""
        now = time.monotonic()
        if self._paints and now - self._paints[-1][0] > 2.0:
            self._paints.clear()
        self._paints.append((now, self.fence.painted))
        (t0, n0), (t1, n1) = self._paints[0], self._paints[-1]
        return (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0

    def age_of(self, frame: Frame) -> float | None:
        """Return how old a frame is now, in seconds; None if nobody can tell."""
        raise NotImplementedError

    def draw(self, *, small: bool) -> Frame | None:
        """Bring the figures up to date; return the frame that they show."""
        raise NotImplementedError

    def draw_status(self) -> None:
        """Bring numbers and messages up to date."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **keywords: Any) -> Any:
        return self.widget._repr_mimebundle_(**keywords)


def _widgets_of(panel: Panel) -> list[ipywidgets.Widget]:
    """Return all that a panel and its parts hold, shown or not, but nothing of other panels within it."""
    found: dict[int, ipywidgets.Widget] = {}
    seen: set[int] = set()
    values: list[Any] = [panel]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            values += value.values()
        elif isinstance(value, list | tuple):
            values += value
        elif id(value) in seen:
            continue
        elif isinstance(value, ipywidgets.Widget):
            if value is panel.widget or "dmlink-panel" not in getattr(value, "_dom_classes", ()):
                found[id(value)] = value
                values += value.trait_values().values()
        elif type(value).__module__.startswith(__package__) and (
            value is panel or not isinstance(value, Panel)
        ):
            values += vars(value).values()
        seen.add(id(value))
    return list(found.values())
