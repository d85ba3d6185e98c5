"""LiveView: the microscope's live image in the notebook, with ROIs and the marks of cells."""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink.cell.live_cell import live_cells
from dmlink.frame import Roi
from dmlink.logbook.times import long_ago
from dmlink_widgets.controls import html_text
from dmlink_widgets.controls.contrast_controls import ContrastControls
from dmlink_widgets.controls.lookback_button import LookbackButton
from dmlink_widgets.controls.record_button import RecordButton
from dmlink_widgets.controls.toolbar import Section, button, dock_button, live_button, more, toggle, toolbar
from dmlink_widgets.controls.undo import Undo
from dmlink_widgets.drawing import prints
from dmlink_widgets.drawing.image_figure import ImageFigure
from dmlink_widgets.drawing.marks import marks_in_view, place_of, roi_colours
from dmlink_widgets.drawing.prints import Print
from dmlink_widgets.pacing.round import Html
from dmlink_widgets.panels import snapshot
from dmlink_widgets.panels.frame_rates import PAUSED, FrameRates
from dmlink_widgets.panels.panel import Panel
from dmlink_widgets.panels.side import Side
from dmlink_widgets.tools.line_panel import LinePanel
from dmlink_widgets.tools.mask_rois import MaskRois
from dmlink_widgets.tools.measurements import Measurements
from dmlink_widgets.tools.roi_choice import RoiChoice
from dmlink_widgets.tools.roi_editor import RoiEditor
from dmlink_widgets.tools.shape_editor import MASKS, ShapeEditor
from dmlink_widgets.tools.spectrum_view import SpectrumView
from dmlink_widgets.tools.statistics_panel import StatisticsPanel
from dmlink_widgets.tools.tool_buttons import ToolButtons
from dmlink_widgets.tools.view_settings import ViewSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dmlink.frame import Frame
    from dmlink.growing.link import FollowedLink
    from dmlink.link.link import Link
    from dmlink_widgets.controls.fields import Fields

STALE_FRAMES = 3  # missed frames after which a picture counts as old
STALE_SECONDS = 1.0  # s, minimum
HELP = "Live image: Ctrl+wheel zooms, drag to pan, double-click to see all of it; ? shows all keys"


_views: weakref.WeakSet[LiveView] = weakref.WeakSet()


def views_of(link: Link | FollowedLink) -> list[LiveView]:
    """Return the live views of a link."""
    return [view for view in list(_views) if view.link is link and not view.closed]


class LiveView(Panel):
    """The newest frame of a link over axes in its units, with its ROIs and the marks of live cells.

    Parameters
    ----------
    link : Link
        Source of the frames.
    size : int
        Pixels on the screen of the longer side of the image.
    below : sequence of Panel
        Shown under the image, and closed with the view.
    dock : bool
        Whether JupyterLab shows it in a pane beside the notebook.

    Attributes
    ----------
    below : tuple of Panel
        As given.
    shapes : ShapeEditor
        The line, rulers and masks over the image.
    """

    def __init__(
        self, link: Link | FollowedLink, size: int = 512, below: Sequence[Panel] = (), *, dock: bool = False
    ) -> None:
        super().__init__(link.age, dock=dock)
        self.link = link
        self.below = tuple(below)
        self._past: Frame | None = None  # shown instead of the newest one
        self._frame: Frame | None = None
        self._reader = link.reader()
        self._rates = FrameRates()
        self._fault = ""  # why the user's last request failed
        self._unwatch: Callable[[], None] | None = None
        self._undo = Undo()
        self._title = Html(html_text.title(next((s.name for s in link.sources()), "Live view")))
        self._light = Html()
        self._error = Html()
        self._status = Html()
        counts = Section([self._status])
        self._message = Html()
        self._message.add_class("dmlink-message")
        self.shapes = ShapeEditor(self._undo, self._changed_shape)
        self._figure = ImageFigure(
            size,
            self._change_viewport,
            self._take_action,
            description=HELP,
            can_draw=not link.roi,
            tools=self.shapes.overlay,
        )
        self._overlay = self._figure.overlay
        self._contrast = ContrastControls(self.changed, self._undo)
        self._rois = RoiEditor(link, self._overlay, self.changed, self._show_fault, self._undo)
        self._spectrum = SpectrumView(self._undo, self.changed)
        self._line = LinePanel(link, self.shapes, self.changed, self._show_message)
        self._masks = MaskRois(link, self.shapes, self._show_message)
        self._measurements = Measurements(self.shapes, self._spectrum.shapes, self.copy, self._show_message)
        self._tools = ToolButtons(self.shapes)
        self._statistics = StatisticsPanel(link.rois, self.shapes, self._tools.masks, self._show_message)
        self._choice = RoiChoice(link, self._show_fault)
        more_tools = Section([self._rarer_buttons()])
        self._side = Side(
            self._figure,
            more_tools,
            self._contrast.widget,
            self._spectrum.section,
            self._line.section,
            self._measurements.section,
            self._rois.controls.widget,
        )
        self._side.changed = self._changed_size
        column = [self._figure.widget, *(panel.widget for panel in below), self._statistics.section]
        images = ipywidgets.HBox([ipywidgets.VBox(column), self._side.widget])
        images.add_class("dmlink-images")
        stage = ipywidgets.Box([images, self._error])
        stage.add_class("dmlink-stage")  # an error covers the image without moving anything
        self._live = live_button("Live: show the newest frame again", lambda: self.look_at(None))
        self._live.layout.display = "none"
        _views.add(self)
        head = ipywidgets.HBox(
            [self._title, self._light, self._live, self._make_buttons(link, counts, more_tools)]
        )
        head.add_class("dmlink-head")
        self.fill([head, self._choice.widget, stage, counts, self._message])
        self.kept.key = f"view {next((source.name for source in link.sources()), '')}"

    def _make_buttons(
        self, link: Link | FollowedLink, counts: Section, more_tools: Section
    ) -> ipywidgets.HBox:
        self._record = RecordButton(link, self._show_message)
        self._lookback = LookbackButton(link, self._show_message)
        self._pause = toggle(
            "pause", "Pause: ignore new frames (space)", lambda _: self.changed(), "dmlink-pause"
        )
        self._draw_roi = toggle(
            "object-ungroup", "Draw an ROI with the mouse (r)", lambda _: None, "dmlink-draw"
        )
        self._draw_roi.disabled = not self._overlay.can_draw
        # linked inside the page, so that it works while the kernel is busy
        self._drawing_link = ipywidgets.jslink((self._overlay, "drawing"), (self._draw_roi, "value"))
        self._fft = toggle(
            "bullseye",
            "Power spectrum (FFT) of the image or its ROI (f)",
            self._show_spectrum,
            "dmlink-spectrum",
        )
        tools = {
            "contrast": toggle("adjust", "Contrast and colours (c)", self._open_contrast, "dmlink-contrast"),
            "spectrum": self._fft,
            "statistics": toggle(
                "table",
                "Statistics of the ROIs, and masks (s)",
                self._statistics.section.reveal,
                "dmlink-statistics",
            ),
        }
        for name, tool in tools.items():
            tool.observe(functools.partial(self._closed_tool, name), "value")
        self._settings = ViewSettings(self._overlay, self._contrast, self.shapes, self._choice, tools)
        return toolbar(
            self._pause,
            self._draw_roi,
            self._tools.line,
            self._tools.ruler,
            *tools.values(),
            button(
                "camera",
                "Save this frame as a TIFF beside this notebook (t)",
                self._save,
                "dmlink-save-frame",
            ),
            self._lookback.widget,
            self._record.widget,
            dock_button(),
            more(counts),
            toggle(
                "ellipsis-h", "More: undo, copy, save the picture, ROIs by number, keys", more_tools.reveal
            ),
        )

    @property
    def paused(self) -> bool:
        """Whether new frames are ignored; can be set."""
        return bool(self._pause.value)

    @paused.setter
    def paused(self, value: bool) -> None:
        self._pause.value = bool(value)

    def look_at(self, frame: Frame | None) -> None:
        """Show a past frame and its age; None goes back to the newest one."""
        if frame is None and self._past is not None:
            self._frame = None
        self._past = frame
        self._live.layout.display = "none" if frame is None else None
        self.changed()

    def snapshot(self) -> Frame:
        """Return the frame shown, or else the newest one.

        Raises
        ------
        RuntimeError
            If no frame has arrived yet.
        """
        frame = self._frame or self.link.newest
        if frame is None:
            raise RuntimeError(f"No frame has arrived yet: {self.link!r}.")
        return frame

    def in_page(self, there: bool) -> None:
        """Start or stop following the link, as a page begins or stops showing the view."""
        if self._unwatch:
            self._unwatch()
        self._unwatch = self.link.watch(self._receive) if there else None
        self._lookback.in_page(there)
        if not there and not self.paused:
            self._frame, self._reader = None, self.link.reader()  # old readers hold frames
            self._figure.pixels = None
            self._spectrum.forget()
        super().in_page(there)

    def draw(self, *, small: bool) -> Frame | None:
        """Draw the newest frame, the ROIs as DigitalMicrograph has them, and the marks of cells."""
        moved = self._frame is None if self._past is None else self._frame is not self._past
        if self._past is not None:
            self._frame = self._past
        elif not self.paused:
            self._frame = self._reader.poll() or self._frame
        elif self._frame is None:
            self._frame = self.link.newest
        frame = self._frame
        if moved:  # the number of a past frame comes with its picture
            self._light.value = self._light_html()
        if frame is not None and frame.data.size:
            looking = self.fence.visible and not self.paused
            self._rates.count(frame, self.fence.appearances if looking else PAUSED)
            contrast = self._contrast.contrast
            self._figure.draw(frame.data, frame.y, frame.x, contrast, small=small, lossless=self.paused)
            if self._fft.value:
                self._spectrum.draw(self._selected_pixels(frame), frame, small=small, lossless=self.paused)
            self._line.draw(frame, small=small)
            self._measurements.update(frame.y, frame.x, self._spectrum.spacings())
            self._overlay.colours = roi_colours(self.link, frame.source, live_cells())
            self._overlay.place = place_of(self.link, frame.source)
            marks = marks_in_view(frame, self.link, live_cells())
            if self._past is not None:
                self._overlay.marks = [mark for mark in marks if mark["behind"] == 0]
            elif not self.paused or all(mark["behind"] >= 0 for mark in marks):
                self._overlay.marks = marks  # marks of later frames do not belong on a paused picture
        self._follow_rois()
        return frame

    def draw_status(self) -> None:
        """Show the number and age of the visible frame, and how many were lost on the way."""
        link, frame = self.link, self._frame
        trouble = f"{link.state}: {link.reason}" if link.state in {"waiting", "lost"} else ""
        if frame is not None and not frame.data.size:
            trouble = f"Frame {frame.index} has no pixels: its shape is {frame.data.shape}."
        self._error.value = html_text.error(trouble or self._fault)
        self._record.follow()
        self._follow_rois()
        self._rois.show_selected()
        self._light.value = self._light_html()
        if frame is None:
            return
        self._contrast.draw(self._figure, frame.value_unit)
        self._line.draw_status()
        self._statistics.draw_status(frame)
        self._title.value = html_text.title(frame.source)
        processed = self._rates.processed(link)
        if self.paused or self._past is not None:
            self._status.value = html_text.status(("frame", str(frame.index), 6))
            return
        self._status.value = html_text.status(
            ("frame", "" if self.below else str(frame.index), 6),  # a replay has its own count
            ("camera", html_text.rate(self._rates.camera), 8),
            ("received", html_text.rate(link.stats.rate), 8),
            ("processed", "" if processed is None else html_text.rate(processed), 8),
            ("painted", html_text.rate(self.fence.rate), 8),
            ("dropped", str(self._rates.dropped), 5),
            ("age", html_text.age(self.fence.age), 7),
        )

    def _light_html(self) -> str:
        """Return the state of the picture in a few words."""
        link, age, rate = self.link, self.fence.age, self.fence.rate
        if link.state in {"lost", "closed"}:
            return html_text.light("lost", link.state, html_text.old(age))
        if self._frame is None:
            return html_text.light("idle", link.state, "no frame yet")
        if self._past is not None:
            old = long_ago(link.age(self._past))
            return html_text.light("waiting", f"this is frame {self._past.index}, {old} old")
        if self.paused:
            return html_text.light("waiting", "paused", f"frame {self._frame.index}")
        stale = max(STALE_SECONDS, STALE_FRAMES / self._rates.camera if self._rates.camera else 0.0)
        if age is None or age > stale:
            return html_text.light("idle", "no new frames", html_text.old(age))
        return html_text.light("live", "live", html_text.rate(rate), html_text.old(age))

    def settings(self) -> dict[str, Any]:
        """Return contrast, zoom, what is open, rulers and ROIs."""
        return self._settings.saved()

    def restore(self, fields: Fields) -> None:
        """Restore them; ROIs already in DigitalMicrograph are not moved until the user presses a button."""
        self._settings.restore(fields)

    def note(self, text: str) -> None:
        """Show a line below the view."""
        self._show_message(text)

    def printed(self) -> Print:
        """Return the image with its ROIs, and the spectrum if it is shown."""
        frame = self._frame
        figures = [self._figure.picture()] if frame else []
        if frame and self._fft.value:
            figures = [prints.beside([*figures, self._spectrum.picture()])]
        if frame and self.shapes.line:
            figures.append(self._line.picture())
        title = frame.source if frame else "Live view"
        return Print(title, [prints.frame_line(frame)], figures)

    def close(self) -> None:
        """Remove the view from the notebook; the link stays open."""
        self.in_page(there=False)
        for panel in self.below:
            panel.close()
        self._figure.close()
        self._spectrum.close()
        self._line.close()
        self._drawing_link.close()
        super().close()

    def _receive(self) -> None:
        if not self.paused:
            self.changed()

    def _change_viewport(self) -> None:
        self.changed()  # the next frame may never come

    def _take_action(self, message: dict[str, Any]) -> None:
        self._rois.take_action(message)

    def _follow_rois(self) -> None:
        self._masks.follow()
        if self._rois.follow() and self._fft.value:
            self.changed()

    def _selected_pixels(self, frame: Frame) -> Any:
        """Return the pixels of the selected ROI, or the visible part of the frame."""
        roi = self._rois.selected or Roi(*self._figure.visible(*frame.data.shape[:2]))
        top, left, bottom, right = roi.clamped(frame.data.shape[:2])
        return frame.data[top:bottom, left:right]

    def _changed_shape(self, kind: str) -> None:
        if kind == "line":
            self._line.send(self._frame)
        elif kind in MASKS:
            self._masks.send(self._frame)
        self.changed()

    def _closed_tool(self, name: str, change: dict[str, Any]) -> None:
        """Let a tool that was closed be opened again by undo."""
        if not change["new"]:
            self._undo.add(f"closed {name}", lambda: setattr(change["owner"], "value", True))

    def _open_contrast(self, opened: bool) -> None:
        self._contrast.widget.reveal(opened)
        self._contrast.draw(self._figure, self._frame.value_unit if self._frame else "")

    def _show_spectrum(self, shown: bool) -> None:
        self._spectrum.section.reveal(shown)
        self.changed()

    def _changed_size(self) -> None:
        self._spectrum.fit(self._side.image_size)
        self.changed()

    def _rarer_buttons(self) -> ipywidgets.HBox:
        """Return the buttons of the More menu."""
        row = ipywidgets.HBox(
            [
                button("undo", "Undo the last change (Ctrl+Z)", self._take_back, "dmlink-undo", words="Undo"),
                button("copy", "Copy the picture as it is (k)", self._copy, "dmlink-copy", words="Copy"),
                button(
                    "picture-o",
                    "Save the picture as PNG and SVG (w)",
                    self._save_picture,
                    "dmlink-save-picture",
                    words="Save picture",
                ),
                toggle("list", "Edit ROIs by number", self._rois.controls.widget.reveal),
                button("keyboard-o", "Show the keys (?)", lambda: None, "dmlink-keys", words="Keys"),
            ]
        )
        row.add_class("dmlink-wrap")
        return row

    def _take_back(self) -> None:
        try:
            what = self._undo.undo()
        except (OSError, ValueError) as error:
            self._show_fault(str(error))
        else:
            self._show_fault("")
            self._show_message(f"Undone: {what}" if what else "There is nothing to undo.")
            self.changed()

    def _copy(self) -> None:
        self.copy(png=prints.whole_png(self.printed()))
        self._show_message("Copied the picture")

    def _save_picture(self) -> None:
        try:
            paths = snapshot.save_picture(self.snapshot(), self._figure)
        except (OSError, RuntimeError) as error:
            self._show_fault(str(error))
        else:
            self._show_fault("")
            self._show_message(f"Saved {' and '.join(str(path) for path in paths)}")

    def _show_fault(self, fault: str) -> None:
        self._fault = fault
        self._error.value = html_text.error(fault)

    def _show_message(self, text: str) -> None:
        self._message.value = html_text.message(text)

    def _save(self) -> None:
        try:
            path = snapshot.save(self.snapshot())
        except (OSError, RuntimeError) as error:
            self._show_fault(str(error))
        else:
            self._show_fault("")
            self._show_message(f"Saved {path}")
