"""TimelinePanel: numbers, events and gaps of a session over time; drag to see an earlier moment."""

from __future__ import annotations

import html
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets
import numpy as np

from dmlink.link.logs import Logs
from dmlink.logbook import report, strips
from dmlink.logbook.strips import GAPS
from dmlink.logbook.times import clock, long_ago, time_unit
from dmlink.recordings.writing.file_names import FileNames
from dmlink.session.session import CELL, CLIP, EVENT, PARAMETER
from dmlink_widgets import widget_tree
from dmlink_widgets.controls import html_text
from dmlink_widgets.controls.toolbar import button, live_button, toolbar
from dmlink_widgets.drawing import picture, prints
from dmlink_widgets.drawing.axes import LinearRange, axes_figure
from dmlink_widgets.drawing.colour import COLOURS
from dmlink_widgets.drawing.prints import Print
from dmlink_widgets.drawing.ranges import MARGIN
from dmlink_widgets.drawing.strips_widget import StripsWidget
from dmlink_widgets.pacing.round import Html
from dmlink_widgets.panels.live_view import views_of
from dmlink_widgets.panels.panel import Panel
from dmlink_widgets.panels.past import Past

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.frame import Frame
    from dmlink.growing.link import FollowedLink
    from dmlink.link.link import Link
    from dmlink.session import Session

POINTS = 1200  # points of a strip: the lowest and highest value in each of 600 columns
COLUMNS = 300  # columns with at most one mark of each kind: some 3 px each
STRIP_PX = 56
LEAST_SECONDS = 1.0  # shortest time shown
LEAST_STRIPS = 2
NEAR_SECONDS = 1.0  # s between the chosen time and the frame shown, beyond which the panel says so
BANDS = GAPS | {CLIP}  # marks that have a length
MARK_COLOURS = {EVENT: "#e6a100", CELL: "#7b1fa2", PARAMETER: "#00838f"}
LEGEND = [("#e6a100", "event"), ("#7b1fa2", "cell changed"), ("#00838f", "parameter changed")]
LEGEND += [("#43a047", "clip"), ("#bdbdbd", "no frames"), ("#e57373", "no link")]
MOST_IMAGES = 4
IMAGE_PX = 160
SPANS = {"All": None, "1 h": 3600.0, "10 min": 600.0, "1 min": 60.0}


class TimelinePanel(Panel):
    """The session of a link: drag to look back, wheel to zoom, double-click to see all, Escape for live.

    Parameters
    ----------
    link : Link
        The link whose session is shown.
    report : callable, optional
        Writes the report and returns its path; if omitted, there is no button.
    """

    def __init__(self, link: Link | FollowedLink, report: Callable[[], Any] | None = None) -> None:
        super().__init__(link.age)
        self.link = link
        self._past = Past(link)
        self._report = report
        self._window: tuple[float, float] | None = None  # fixed by the user's zoom
        self._span: float | None = None  # s up to now; None for all
        self._pointed: float | None = None  # s
        self._shown: float | None = None  # the time for which a frame was last searched
        self._found: tuple[Frame, str] | None = None
        self._limits = (0.0, 1.0)
        self._spans = ipywidgets.ToggleButtons(options=list(SPANS), tooltips=list(SPANS))
        self._spans.style.button_width = "72px"
        self._spans.observe(lambda change: self._choose_span(change["new"]), "value")
        self._live = live_button("Live: show the newest frame again (Escape)", self.go_live)
        self._live.disabled = True
        self._about = Html()
        self._legend = Html(html_text.legend(LEGEND))
        self._numbers = Html()
        self._images: list[Any] = [ipywidgets.Image(format="png") for _ in range(MOST_IMAGES)]
        for image in self._images:
            image.layout.display, image.layout.max_width = "none", f"{IMAGE_PX}px"
        then = ipywidgets.HBox(self._images)
        then.add_class("dmlink-then")
        self._message = Html()
        self._figure = axes_figure({"x": bqplot.LinearScale(), "y": bqplot.LinearScale()})
        self._unseen = self._figure.axes[1:]  # closed separately: the figure no longer refers to it
        self._figure.axes = self._figure.axes[:1]
        self._x = LinearRange(self._figure.axes[0])
        self._strips = StripsWidget(right=MARGIN["right"])
        self._strips.on_msg(lambda _, message, __: self.take(message))
        self._plot = ipywidgets.Box([self._figure, self._strips])
        self._plot.add_class("dmlink-plot")
        self._plot.layout.width = self._figure.layout.width = "100%"
        self._set_rows(LEAST_STRIPS)
        title = Html(html_text.title("Timeline"))
        buttons = [self._live, self._spans]
        if report:
            buttons.append(button("file-text-o", "Write a report of the session, one HTML file", self._write))
        head = ipywidgets.HBox([title, self._about, toolbar(*buttons)])
        head.add_class("dmlink-head")
        self.widget.add_class("dmlink-timeline")
        self.fill([head, self._plot, self._legend, self._numbers, then, self._message])

    @property
    def session(self) -> Session:
        """The session that is shown."""
        return self.link.session

    def go_live(self) -> None:
        """Show the newest frame again."""
        self._pointed = self._shown = self._found = None
        for view in views_of(self.link):
            view.look_at(None)
        self.changed()

    def look_at(self, when: float) -> None:
        """Show the moment at this time (s, as in `frame.time`)."""
        self._pointed = when
        self.changed()

    def take(self, message: dict[str, Any]) -> None:
        """Respond to the user's action on the strips."""
        begin, end = self._limits
        if "at" in message:
            self.look_at(begin + float(message["at"]) * (end - begin))
        elif "zoom" in message:
            factor, around = float(message["zoom"]), float(message["around"])
            middle = begin + around * (end - begin)
            first, last = self._all()
            span = min(max(LEAST_SECONDS, (end - begin) * factor), last - first)
            start = min(max(first, middle - around * span), last - span)
            self._window = (start, start + span) if span < last - first else None
        elif "pan" in message:
            first, last = self._all()
            shift = float(message["pan"]) * (end - begin)
            shift = min(max(shift, first - begin), last - end)
            self._window = begin + shift, end + shift
        elif "all" in message:
            self._window, self._span = None, None
        elif "live" in message:
            self.go_live()
        self.changed()

    def draw(self, *, small: bool) -> Frame | None:  # noqa: ARG002 - it is small
        """Draw the strips, and find the frame for the chosen time."""
        begin, end = self._limits = self._now_shown()
        session, logs = self.session, getattr(self.link, "logs", None) or Logs()
        shown = strips.strips(session, logs, begin, end, POINTS)
        self._set_rows(max(LEAST_STRIPS, len(shown)))
        scale, unit = time_unit(end - begin)
        first = session.began or 0.0
        self._x.set((begin - first) / scale, (end - first) / scale)
        if self._x.axis.label != f"time ({unit})":
            self._x.axis.label = f"time ({unit})"
        curves = [np.stack([(s.times - begin) / (end - begin), s.levels], axis=1) for s in shown]
        marks = strips.marks(session, begin, end, COLUMNS)
        with self._strips.hold_sync():
            self._strips.rows = [
                [
                    s.label,
                    f"{s.low:.5g}",
                    f"{s.high:.5g}",
                    colour,
                    len(c),
                ]
                for s, c, colour in zip(shown, curves, COLOURS * 4, strict=False)
            ]
            self._strips.points = np.concatenate([np.empty((0, 2)), *curves]).astype("<f4").tobytes()
            self._strips.bands = [
                [m.kind, *(max(0.0, min(1.0, (t - begin) / (end - begin))) for t in (m.begin, m.end)), m.text]
                for m in marks
                if m.kind in BANDS
            ]
            self._strips.marks = [
                [
                    (m.begin - begin) / (end - begin),
                    MARK_COLOURS[m.kind],
                    f"{clock(m.begin)} {m.cell}: {m.text}",
                ]
                for m in marks
                if m.kind not in BANDS
            ]
            pointed = self._pointed
            self._strips.cursor = -1.0 if pointed is None else (pointed - begin) / (end - begin)
        if pointed is not None and pointed != self._shown:
            self._show_past(pointed)
        self.draw_status()
        return None

    def draw_status(self) -> None:
        """Update the text; the strips grow every second."""
        self._live.disabled = self._pointed is None
        self._about.value = self._about_html()
        self._strips.said = self._said()
        if self._pointed is None:
            self._show_numbers(self.session.newest)
            self._show_images(None)
        newest = self.session.newest
        if self._window is None and newest is not None and newest > self._limits[1]:
            self.changed()

    def printed(self) -> Print:
        """Return the text about the moment shown."""
        return Print("Timeline", [self._said()], [prints.text_figure([s.name for s in self.session.tracks])])

    def close(self) -> None:
        """Remove the timeline from the notebook; views of the past become live again."""
        if self._pointed is not None:
            self.go_live()
        super().close()
        widget_tree.close(*self._unseen)

    def _all(self) -> tuple[float, float]:
        session = self.session
        spans = [span for track in session.tracks if (span := track.span)]
        begins = [t for t in (session.began, *(b for b, _ in spans)) if t is not None]
        ends = [t for t in (session.newest, *(e for _, e in spans)) if t is not None]
        if not begins or not ends:
            return 0.0, LEAST_SECONDS
        return min(begins), max(*ends, min(begins) + LEAST_SECONDS)

    def _now_shown(self) -> tuple[float, float]:
        first, last = self._all()
        if self._window:
            return self._window
        return (max(first, last - self._span) if self._span else first), last

    def _choose_span(self, name: str) -> None:
        self._span, self._window = SPANS[name], None
        self.changed()

    def _set_rows(self, n: int) -> None:
        height = n * STRIP_PX
        if self._strips.area[2] != height:
            self._strips.area = [MARGIN["top"], MARGIN["left"], height]
            self._figure.layout.height = f"{height + MARGIN['top'] + MARGIN['bottom']}px"

    def _show_past(self, when: float) -> None:
        """Show the frame nearest to that time in the views, and the cells' results from then."""
        self._shown = when
        self._found = self._past.nearest(when)
        for view in views_of(self.link):
            view.look_at(self._found[0] if self._found else None)
        near = self._found is not None and abs(self._found[0].time - when) <= NEAR_SECONDS
        self._show_numbers(self._found[0].time if self._found and near else when)
        self._show_images(when)

    def _show_numbers(self, when: float | None) -> None:
        moments = self.session.at(when) if when is not None else {}
        units = {track.name: track.unit for track in self.session.tracks}
        values = [(name, moment.value, units[name]) for name, moment in moments.items()]
        values += self._logs_at(when)
        body = "".join(
            f"<span>{html.escape(name)} <b>{value:.6g}</b> {html.escape(unit)}</span>"
            for name, value, unit in values
        )
        self._numbers.value = f'<div class="dmlink-numbers">{body}</div>'

    def _logs_at(self, when: float | None) -> list[tuple[str, float, str]]:
        logs = getattr(self.link, "logs", None)
        if logs is None or when is None:
            return []
        units = {name: log.unit for name, log in logs.all().items()}
        return [(name, value, units.get(name, "")) for name, value in logs.at(when).items()]

    def _show_images(self, when: float | None) -> None:
        found = self.session.pictures.images_at(when)[:MOST_IMAGES] if when is not None else []
        for place, image in zip(self._images, [*found, *[None] * MOST_IMAGES], strict=False):
            place.layout.display = "none" if image is None else None
            if image is not None:
                place.value, _ = picture.render(image.values, IMAGE_PX, lossless=True)
                place.layout.width = f"{IMAGE_PX}px"

    def _said(self) -> str:
        """Return a text about the moment shown, and how far from it the nearest available frame is."""
        if self._pointed is None:
            return "live"
        at = f"{clock(self._pointed)}"
        if self._found is None:
            return f"{at}: no frame is left from this time, only numbers"
        frame, where = self._found
        old = long_ago(self.link.age(frame))
        apart = frame.time - self._pointed
        off = (
            f", {long_ago(abs(apart))} {'after' if apart > 0 else 'before'}"
            if abs(apart) > NEAR_SECONDS
            else ""
        )
        return f"{at}: this is frame {frame.index}, {old} old, from {where}{off}"

    def _about_html(self) -> str:
        return html_text.light("live" if self._pointed is None else "waiting", self._said())

    def _write(self) -> None:
        try:
            path = self._report() if self._report else ""
        except (OSError, ValueError) as error:
            self._message.value = html_text.error(str(error))
        else:
            self._message.value = html_text.message(f"Report written: {path}")


def writer(link: Link | FollowedLink) -> Callable[[], Any]:
    """Return a function that writes a link's report under a new name in the notebook's folder."""

    def write() -> Any:
        taken = FileNames(path.name for path in Path.cwd().iterdir())
        name = taken.take(time.strftime("report-%Y%m%d-%H%M%S"), [".html"])
        return report(f"{name}.html", link).absolute()

    return write
