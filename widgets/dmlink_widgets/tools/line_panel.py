"""LinePanel: the profile along the line over a live view."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from dmlink.frame import Line
from dmlink.indm.results import Profile
from dmlink.recordings.writing.file_names import MOST_FILES, file_name, open_new
from dmlink_widgets import widget_tree
from dmlink_widgets.controls.toolbar import LateSection, button
from dmlink_widgets.measuring.lengths import length
from dmlink_widgets.measuring.line_profile import line_profile
from dmlink_widgets.plots.profile import ProfilePlot

if TYPE_CHECKING:
    from collections.abc import Callable

    import PIL.Image

    from dmlink.frame import Frame
    from dmlink.growing.link import FollowedLink
    from dmlink.link.link import Link
    from dmlink_widgets.tools.shape_editor import ShapeEditor

WIDEST = 1000  # px across the line
NEAR = 0.01  # pixels by which a line may differ after a round trip through DigitalMicrograph
MOST_SENT = 1000  # lines sent whose return is still expected


class LinePanel:
    """A profile of each frame along the line, which is shared with DigitalMicrograph and cells.

    Parameters
    ----------
    link : Link
        Source of the frames, and destination of the line.
    shapes : ShapeEditor
        Holds the line.
    changed : callable
        Called when the profile has to be drawn.
    report : callable
        Called with a line for the user.

    Attributes
    ----------
    section : LateSection
        What the notebook shows.
    """

    def __init__(
        self,
        link: Link | FollowedLink,
        shapes: ShapeEditor,
        changed: Callable[[], None],
        report: Callable[[str], None],
    ) -> None:
        self._link, self._shapes, self._changed, self._report = link, shapes, changed, report
        self._plot = ProfilePlot(changed, "#b8860b")
        self._sent: list[Line | None] = []  # to DigitalMicrograph, oldest first
        self._last: Line | None = None  # as it was sent or shown last
        self._seen: Line | None = None  # line of the last frame
        self._source = ""
        self._remembered: tuple[int, float] | None = None  # number and time of the waterfall's last frame
        self._width = ipywidgets.BoundedIntText(
            1, min=1, max=WIDEST, tooltip="Pixels across the line that are averaged", layout={"width": "72px"}
        )
        self._width.observe(self._set_width, "value")
        bar = ipywidgets.HBox(
            [
                ipywidgets.Label("width (px)"),
                self._width,
                button("save", "Save the profile as CSV beside this notebook", self.save),
                button("trash", "Remove the line", lambda: shapes.set_line(None)),
            ]
        )
        bar.add_class("dmlink-wrap")
        self._bar = bar
        self.section = LateSection([bar, self._plot.widget])

    def send(self, frame: Frame | None) -> None:
        """Send the line to DigitalMicrograph."""
        shape = self._shapes.line
        top, left = (frame.roi.top, frame.roi.left) if frame and frame.roi else (0, 0)
        line = None
        if shape:
            (y0, x0), (y1, x1) = shape.points
            line = Line(y0 - 0.5 + top, x0 - 0.5 + left, y1 - 0.5 + top, x1 - 0.5 + left)
        self._sent = [*self._sent[-MOST_SENT:], line]
        self._last = line
        self.section.reveal(shape is not None)
        self._changed()
        try:
            self._link.set_line(line)
        except (OSError, ValueError) as error:
            self._report(f"The line exists only in this view: {error}")

    def draw(self, frame: Frame, *, small: bool) -> None:
        """Update the line from a frame, and draw the frame's profile along it."""
        self._follow(frame)
        shape = self._shapes.line
        if shape is None:
            return
        self._source = frame.source
        start, end = shape.points
        values = line_profile(frame.data, start, end, shape.width)
        measured = length(start, end, frame.y, frame.x)
        self._shapes.label({shape.id: f"{measured.value:.4g} {measured.unit}"})
        step = measured.value / (len(values) - 1) or 1.0
        if not np.isfinite(values).any():  # it lies outside the image
            return
        profile = Profile(values, step, unit=measured.unit, name="profile")
        this = frame.index, frame.time
        if this != self._remembered:  # it may be drawn again, with another contrast
            self._remembered = this
            self._plot.remember(frame.time, profile)
        self._plot.draw(profile, small=small)

    def draw_status(self) -> None:
        """Update numbers and texts."""
        self._plot.draw_status()

    def save(self) -> None:
        """Save the profile."""
        stem = file_name(f"{self._source or 'view'}-profile")
        try:
            with open_new(Path(f"{stem}_{i:03d}.csv") for i in range(1, MOST_FILES)) as file:
                file.write(self._plot.files()[".csv"]())
        except OSError as error:
            self._report(str(error))
        else:
            self._report(f"Saved {file.name}")

    def picture(self) -> PIL.Image.Image:
        """Return the last drawn profile."""
        return self._plot.picture()

    def close(self) -> None:
        """Close its widgets."""
        self._plot.close()
        widget_tree.close(self._bar)

    def _follow(self, frame: Frame) -> None:
        """Show the line as drawn in DigitalMicrograph or in another view."""
        line, before = frame.line, self._seen
        self._seen = line
        if line == before:
            return
        top, left = (frame.roi.top, frame.roi.left) if frame.roi else (0, 0)
        whole = line and Line(line.y0 + top, line.x0 + left, line.y1 + top, line.x1 + left)
        for i, sent in enumerate(self._sent):
            if _same(sent, whole):  # this is our own line coming back
                del self._sent[: i + 1]
                if self._sent or _same(self._last, whole):  # otherwise another view's was shown meanwhile
                    return
                break
        self._last = whole
        y0, x0, y1, x1 = (v + 0.5 for v in line or (0, 0, 0, 0))
        self._shapes.show_line(((y0, x0), (y1, x1)) if line else None)
        self.section.reveal(line is not None)

    def _set_width(self, change: dict[str, Any]) -> None:
        self._shapes.set_width(float(change["new"]))
        self._changed()


def _same(one: Line | None, other: Line | None) -> bool:
    if one is None or other is None:
        return one is other
    return all(abs(a - b) < NEAR for a, b in zip(one, other, strict=True))
