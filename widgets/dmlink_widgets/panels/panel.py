"""Panel: the base class of all panels, a box of widgets that the painter updates until it is closed."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from dmlink_widgets import widget_tree
from dmlink_widgets.controls.fields import Fields
from dmlink_widgets.controls.keys import KEYS
from dmlink_widgets.pacing.fence import Fence
from dmlink_widgets.pacing.painter import painter
from dmlink_widgets.pacing.round import InRound
from dmlink_widgets.page_widget import PageWidget
from dmlink_widgets.panels.kept_picture import KeptPicture

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.frame import Frame
    from dmlink_widgets.drawing.prints import Print


class Style(PageWidget):
    """Loads the style sheet, the keys and docking beside the notebook; shows nothing."""

    _code = (pathlib.Path(__file__).parent / "panel.js").read_text("utf-8")
    _css = (pathlib.Path(__file__).parent / "panel.css").read_text("utf-8")

    panel = traitlets.Unicode().tag(sync=True)  # model id of the panel's widget
    key_map: Any = traitlets.List([list(key) for key in KEYS]).tag(sync=True)
    dock = traitlets.Bool(False).tag(sync=True)  # whether the page docks it when it is first shown


class Panel:
    """A box of widgets. Subclasses `fill` it, and draw.

    Parameters
    ----------
    age_of : callable
        Returns how old a frame is now, in seconds; None if that is unknown.
    dock : bool
        Whether JupyterLab shows it in a pane beside the notebook.

    Attributes
    ----------
    widget : ipywidgets.VBox
        What the notebook shows.
    fence : Fence
        Tracks what the browser has painted.
    kept : KeptPicture
        Its picture, saved in the notebook.
    """

    def __init__(self, age_of: Callable[[Frame], float | None], *, dock: bool = False) -> None:
        self.fence = Fence(age_of, self.in_page)
        self.fence.on_view = self._send_all
        self.widget = ipywidgets.VBox()
        self._style = Style(panel=self.widget.model_id, dock=dock)
        self.kept = KeptPicture(self.widget.model_id, self._redrawn, self.settings, self._restore)
        self.widget.add_class("dmlink-panel")
        self.widget.add_class("dmlink-paced")

    def fill(self, children: list[Any]) -> None:
        """Show these widgets; they are drawn as soon as a page shows them."""
        self.widget.children = [*children, self.fence, self.kept, self._style]

    def in_page(self, there: bool) -> None:
        """Start drawing when a page shows the panel, and stop when none does."""
        if there:
            painter.add(self, self.fence)
            painter.changed(self)
        else:
            painter.remove(self)

    def changed(self) -> None:
        """Draw the panel as soon as its browser is ready for it; can be called from any thread."""
        painter.changed(self)

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self.widget.comm is None

    def close(self) -> None:
        """Stop drawing, and close all widgets in the box.

        A subclass closes anything else that it has created, such as a figure that is not shown.
        """
        painter.remove(self)
        widget_tree.close(self.widget)

    def draw(self, *, small: bool) -> Frame | None:  # noqa: ARG002 - a status is small
        """Update the figures, in few bytes if `small`; return the frame that they show."""
        self.draw_status()
        return None

    def draw_status(self) -> None:
        """Update numbers and messages."""
        raise NotImplementedError

    def printed(self) -> Print:
        """Return what was drawn last, to be saved in the notebook."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """Return the user's settings that the notebook keeps, as plain lists and dicts."""
        return {}

    def restore(self, fields: Fields) -> None:
        """Restore the settings with which the notebook was saved."""

    def note(self, text: str) -> None:
        """Show a line to the user."""

    def _restore(self, saved: Any) -> None:
        fields = Fields(saved)
        fields.use("docked", self._dock)
        self.restore(fields)
        if fields.note:
            self.note(fields.note)
        self.changed()

    def _dock(self, docked: Any) -> None:
        self._style.dock = docked is True

    def copy(self, text: str = "", png: bytes = b"") -> None:
        """Let the page copy a text or a picture to the user's clipboard."""
        self._style.send({"copy": text}, [png] if png else [])

    def _send_all(self) -> None:
        """Send the complete state of everything drawn: a new page may have missed part of it."""
        for widget in widget_tree.parts(self.widget):
            if isinstance(widget, InRound):
                widget.send_state()

    def _redrawn(self) -> Print:
        """Draw the current state, even if nobody sees it, and return its print."""
        if not self.closed:
            painter.draw_now(self)
        return self.printed()

    def _repr_mimebundle_(self, **keywords: Any) -> Any:
        return {**self.widget._repr_mimebundle_(**keywords), **self.kept.bundle()}
