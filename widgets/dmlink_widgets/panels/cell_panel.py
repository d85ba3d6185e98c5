"""CellPanel: a live cell's result, parameters, counts and errors."""

from __future__ import annotations

import collections
import functools
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink.cell.file_backed import FileBackedCell
from dmlink.indm.results import events_in
from dmlink.recordings.writing.file_names import MOST_FILES, file_name, open_new
from dmlink_widgets import widget_tree
from dmlink_widgets.controls import html_text
from dmlink_widgets.controls.clips_row import ClipsRow
from dmlink_widgets.controls.event_list import EventList
from dmlink_widgets.controls.export_form import ExportForm
from dmlink_widgets.controls.file_line import FileLine
from dmlink_widgets.controls.parameter_controls import parameter_control
from dmlink_widgets.controls.toolbar import Section, dock_button, more, toolbar
from dmlink_widgets.drawing import prints
from dmlink_widgets.drawing.colour import colour_of
from dmlink_widgets.drawing.marks import place_of, source_of
from dmlink_widgets.drawing.prints import Print
from dmlink_widgets.pacing.round import Html
from dmlink_widgets.panels.mirror import Mirror
from dmlink_widgets.panels.moments import frame_of_event
from dmlink_widgets.panels.panel import Panel
from dmlink_widgets.plots import LENGTH, Plot, plot_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.cell.live_cell import LiveCell
    from dmlink.frame import Frame
    from dmlink_widgets.controls.fields import Fields

BUTTON = {"width": "76px"}  # six buttons and a short list fit into the narrowest column of a dashboard
LOG_LINES = 20  # lines of the cell's output that are shown
LAMPS = {"running": "live", "failing": "lost", "paused": "waiting", "stopped": "idle"}
UNSEEN_SECONDS = 30.0  # s from the removal of its output until a cell stops
WRITE_SECONDS = 0.25  # between two updates of numbers and texts: each makes the page lay itself out
ERROR_SECONDS = 2.0  # s that an error stays visible after the last frame that raised it
MOST_WAITING = 10_000  # results that arrive while one is drawn

_panels: weakref.WeakSet[CellPanel] = weakref.WeakSet()


def panel_of(cell: LiveCell) -> CellPanel:
    """Return the panel that already shows this cell, or a new one."""
    found = (panel for panel in list(_panels) if panel.cell is cell and not panel.closed)
    return next(found, None) or CellPanel(cell)


class CellPanel(Panel):
    """Shows a live cell; draws its newest result whenever the browser is ready for it.

    Parameters
    ----------
    cell : LiveCell
        Started or not; `close` stops it.
    history : int
        Results that a strip chart keeps; a waterfall keeps as many, but at most 256.
    waterfall : bool
        Whether a profile is initially shown as a waterfall.
    show_in_dm : bool
        Whether the results are also shown in a window of DigitalMicrograph.
    ends_unseen : bool
        Whether the cell stops half a minute after its output was removed from the notebook, unless its
        results are shown in DigitalMicrograph, it is lossless, or it has a file.

    Attributes
    ----------
    cell : LiveCell
        The cell.
    controls : dict of str to ipywidgets.Widget
        The controls of its parameters, by name.
    """

    def __init__(
        self,
        cell: LiveCell,
        *,
        history: int = LENGTH,
        waterfall: bool = False,
        show_in_dm: bool = False,
        ends_unseen: bool = False,
    ) -> None:
        super().__init__(self._age_of)
        self.cell = cell
        self._ran = cell.running
        self.kept.key = f"cell {cell.name}"
        self._written = {name: p.value for name, p in cell.parameters.items()}
        self._in_page = False
        self._ends_unseen = ends_unseen
        self._stopping: threading.Timer | None = None  # runs after its output was removed
        self._lock = threading.RLock()  # between the cell's thread, the painter and the main thread
        self._plot: Plot | None = None  # currently shown
        self._plots: dict[str, Plot] = {}  # by kind of result: a cell may return several kinds in turn
        self._make_plot = functools.partial(
            plot_for,
            changed=self.changed,
            colour=colour_of(cell.name),
            history=history,
            waterfall=waterfall,
        )
        # Results arrive while others are drawn. They wait, so that everything drawn is from one frame.
        self._waiting: collections.deque[tuple[Frame, Any]] = collections.deque(maxlen=MOST_WAITING)
        self._newest: tuple[Frame, Any] | None = cell.newest  # for the plots to remember
        self._taken: tuple[Frame, Any] | None = None  # the last result from the cell
        self._charted = -1, -1  # link, and its newest frame in the charts, if the newest come first
        self._drawing = False
        self._drawn: Frame | None = None  # whose result was drawn last
        self._written_in = 0  # the turn in which its numbers and texts were written
        self._provisional = isinstance(cell, FileBackedCell) and cell.provisional
        self._file = FileLine(cell)
        self._mirror = Mirror(cell)
        self._title = Html()
        self._light = Html()
        self._notes = Html()
        self._error = Html()
        self._last_error: tuple[float, str] = -ERROR_SECONDS, ""  # when it was seen, and as HTML
        self._log = Html()
        self._log_section = ipywidgets.Accordion(
            [self._log], titles=("printed",), selected_index=0, layout={"display": "none"}
        )
        self._status = Html()
        counts = Section([self._status])
        self._message = Html()
        self._message.add_class("dmlink-message")
        self._output = ipywidgets.VBox()
        self._which = Html(html_text.status())  # frame being shown
        self._events = EventList(functools.partial(frame_of_event, cell))
        self._clips = ClipsRow(cell)
        self._controls_box = ipywidgets.VBox()
        self._make_controls()
        buttons = self._make_buttons(show_in_dm=show_in_dm)
        head = ipywidgets.HBox([self._title, self._light, toolbar(dock_button(), more(counts))])
        head.add_class("dmlink-head")
        stage = ipywidgets.Box([self._output, self._error])
        stage.add_class("dmlink-stage")  # an error covers the result without moving anything
        self.fill(
            [
                head,
                self._file.widget,
                self._notes,
                self._controls_box,
                stage,
                self._which,
                self._events.widget,
                self._clips.widget,
                buttons,
                self._export.widget,
                counts,
                self._message,
                self._log_section,
            ]
        )
        self._title.value = self._title_html()
        self._mirror.on = show_in_dm
        self._unwatch = cell.watch(self._take_result)
        _panels.add(self)

    @property
    def state(self) -> str:
        """State of the cell: "running", "failing" (on the newest frame), "paused" or "stopped"."""
        if not self.cell.running:
            return "stopped"
        if self.cell.paused:
            return "paused"
        return "failing" if self._error_html() else "running"

    @property
    def where(self) -> str:
        """The image and ROI that the cell runs on, and whether a page shows it."""
        link = self.cell.link
        roi = f"ROI {link.roi!r}" if link and link.roi else "the whole image"
        at = link.endpoint.address if link else "no link"
        return f"{roi} at {at}" + ("" if self._in_page else ", not shown")

    def in_page(self, there: bool) -> None:
        """Start drawing when a page shows the panel; stop the cell soon after its output was removed."""
        super().in_page(there)
        self._in_page = there
        if self._stopping:
            self._stopping.cancel()
        if self._ends_unseen and self.fence.removed and not there and not self.closed:
            self._stopping = threading.Timer(UNSEEN_SECONDS, self._stop_unseen)
            self._stopping.daemon = True
            self._stopping.start()

    def _stop_unseen(self) -> None:
        """Stop a cell whose output is gone, unless its results go elsewhere."""
        cell = self.cell
        kept = cell.options.mode == "lossless" or isinstance(cell, FileBackedCell)
        if self._mirror.on or kept or not cell.running:
            return
        cell.stop()
        self._show_message("Stopped: its output was removed. Press Start to resume.")

    def draw(self, *, small: bool) -> Frame | None:
        """Draw the newest result; its numbers and texts, with the frame number, change less often."""
        self._error.value = self._error_html()
        with self._lock:
            self._drawing, newest = True, self._newest
        try:
            if newest is None:
                return None
            frame, result = newest
            self._plot_for(result).draw(result, small=small, lossless=self.cell.paused)
            self._drawn = frame
            turn = int(
                time.monotonic() / WRITE_SECONDS
            )  # the same for all panels, which then change together
            if turn != self._written_in or self.cell.paused:
                self._written_in = turn
                self._write()
            return frame
        finally:
            with self._lock:
                self._drawing = False
                self._remember()

    def _write(self) -> None:
        """Write the numbers and texts of the last drawn result, and its frame number."""
        if self._plot and self._drawn:
            self._plot.write()
            self._which.value = html_text.status(("frame", str(self._drawn.index), 7))

    def draw_status(self) -> None:
        """Show the counts, the time per frame and the age of the result."""
        cell, stats = self.cell, self.cell.stats
        self._follow()
        self._write()
        if self._plot:
            self._plot.draw_status()
        self._error.value = self._error_html()
        self._notes.value = html_text.log(list(cell.program.notes))
        self._log.value = html_text.log(cell.log[-LOG_LINES:])
        self._events.draw(cell.events, cell.event_count)
        self._clips.draw()
        self._file.draw()
        if cell.clips_reason:
            self._show_message(cell.clips_reason)
        self._log_section.layout.display = None if cell.log else "none"
        if self._mirror.trouble:
            self._show_message(self._mirror.trouble)
        state = self.state
        live = state in {"running", "failing"}
        words = (html_text.rate(self.fence.rate), html_text.old(self.fence.age)) if live else ()
        self._light.value = html_text.light(LAMPS[state], state, *words)
        self._title.value = self._title_html()
        self._status.value = html_text.status(
            ("in", str(stats.received), 5),
            ("processed", str(stats.processed), 5),
            ("dropped", str(stats.dropped), 5),
            ("shown", str(self.fence.painted), 5),
            ("per frame", f"{stats.ms_per_frame:.1f} ms", 8),
            ("painted", html_text.rate(self.fence.rate) if live else "", 8),
            ("age", html_text.age(self.fence.age) if live else "", 7),
            ("errors", str(stats.errors or ""), 6),
        )

    def _title_html(self) -> str:
        """Return the cell's name, colour and ROI."""
        cell = self.cell
        title = html_text.title(cell.name, colour_of(cell.name))
        if cell.link is None or not cell.link.roi:
            return title
        return title + html_text.roi_button(cell.link.roi, place_of(cell.link, source_of(cell)))

    def settings(self) -> dict[str, Any]:
        """Return each parameter that was changed, as [value in the cell, value]."""
        now = {name: p.value for name, p in self.cell.parameters.items()}
        written = self._written.items()
        return {"parameters": {n: [was, now[n]] for n, was in written if n in now and now[n] != was}}

    def restore(self, fields: Fields) -> None:
        """Restore the parameters, except those that the cell's text now sets to another value."""
        fields.use_each("parameters", self._restore_parameter)

    def note(self, text: str) -> None:
        """Show a line below the result."""
        self._show_message(text)

    def _restore_parameter(self, name: str, given: Any) -> None:
        was, value = given
        if self._written[name] == was:
            self.cell.set(**{name: value})

    def printed(self) -> Print:
        """Return the last drawn result, with the parameters and any error."""
        cell = self.cell
        values = ", ".join(f"{name} = {p.value!r}" for name, p in cell.parameters.items())
        with self._lock:
            figures = [self._plot.picture()] if self._plot else []
        lines = [prints.frame_line(cell.frame), *filter(None, [values, cell.error])]
        return Print(cell.name, lines, figures, colour_of(cell.name))

    def close(self) -> None:
        """Stop the cell and remove its panel from the notebook."""
        self._unwatch()
        if self._stopping:
            self._stopping.cancel()
        self._mirror.on = False
        self.cell.stop()
        with self._lock:
            super().close()
            for plot in self._plots.values():
                plot.close()

    def _age_of(self, frame: Frame) -> float | None:
        newest, age = self.cell.frame, self.cell.stats.age
        return None if newest is None or age is None else age + newest.time - frame.time

    def _error_html(self) -> str:
        """Return the error; it stays for a while, so that an error on some frames does not flicker."""
        now = time.monotonic()
        if self.cell.error:
            self._last_error = now, html_text.error(self.cell.error, self.cell.repeats)
        return self._last_error[1] if now - self._last_error[0] < ERROR_SECONDS else ""

    def _take_result(self) -> None:
        """Take the newest result, on the cell's thread."""
        newest = self.cell.newest
        if newest is not None and newest is not self._taken:
            self._taken = newest
            with self._lock:
                self._waiting.append(newest)
                if not self._drawing:
                    self._remember()
            self._mirror.show(newest[1])
        self.changed()
        ran, self._ran = self._ran, self.cell.running
        if ran and not self._ran:  # the kernel may have ended when the notebook is saved
            threading.Thread(target=self.kept.send_now, name="dmlink-kept", daemon=True).start()

    def _remember(self) -> None:
        """Let the plots remember the results that wait: a strip chart shows all, drawn or not."""
        self._change_source()
        while self._waiting:
            before, self._newest = self._newest, self._waiting.popleft()
            frame, result = self._newest
            link = self.cell.link
            if link and link.newest_first:  # charts go from left to right
                number, index = self._charted
                if number == link.number and frame.index < index:
                    continue
                self._charted = link.number, frame.index
            self._remember_one(frame.time, result, again=before is not None and frame is before[0])

    def _remember_one(self, taken: float, result: Any, *, again: bool = False) -> None:
        """Let the plot of its kind remember a result of a frame taken at this time; see `Plot.remember`."""
        plot = self._plot_for(result)
        plot.remember(taken, result, again=again)
        if events_in(result):
            plot.mark(taken)

    def _change_source(self) -> None:
        """Replace what the plots remember if the results are now the file's, or the live view's again."""
        cell = self.cell
        if not isinstance(cell, FileBackedCell) or cell.provisional == self._provisional or not cell.latest:
            return
        provisional, history, newest = cell.provisional, cell.history, cell.newest
        before, self._plots = self._plots, {}
        for taken, result in history:
            self._remember_one(taken, result)
        for plot in before.values():
            plot.close()
        if newest and history and newest[1] is history[-1][1]:  # otherwise `_take_result` follows
            self._taken = newest
        self._newest, self._provisional = newest, provisional
        self._waiting.clear()

    def _plot_for(self, result: Any) -> Plot:
        with self._lock:
            plot = self._plots.get(result.kind) or self._make_plot(result)
            if self.closed:
                plot.close()
            elif plot is not self._plot:
                self._plot = self._plots[result.kind] = plot
                self._output.children = [plot.widget]
            return plot

    def _make_buttons(self, *, show_in_dm: bool) -> ipywidgets.HBox:
        self._pause = ipywidgets.ToggleButton(
            description="Pause", icon="pause", tooltip="Pause: ignore new frames (space)", layout=BUTTON
        )
        self._pause.add_class("dmlink-pause")
        self._pause.observe(self._set_paused, "value")
        reset = _button("Reset", "undo", "Reset: clear `state`", self._reset)
        self._show = ipywidgets.ToggleButton(
            value=show_in_dm,
            description="Show in DM",
            icon="desktop",
            tooltip="Also show the results in a window of DigitalMicrograph",
            layout={"width": "116px"},
        )
        self._show.observe(self._set_show, "value")
        self._export = ExportForm(self.cell)
        export = ipywidgets.ToggleButton(
            description="Export",
            icon="download",
            tooltip="Export as a DigitalMicrograph script",
            layout={"width": "88px"},
        )
        export.observe(lambda change: self._export.widget.reveal(change["new"]), "value")
        save = _button("Save", "floppy-o", "Save the result to a new file", self._save)
        self._ending = ipywidgets.Dropdown(
            options=[("", "")], tooltip="File type", layout={"width": "max-content", "display": "none"}
        )
        self._stop = _button("Stop", "stop", "Stop the cell; its last result stays", self._start_or_stop)
        buttons = ipywidgets.HBox([self._stop, self._pause, reset, self._show, export, save, self._ending])
        buttons.layout.flex_flow = "row wrap"
        return buttons

    def _make_controls(self) -> None:
        parameters = self.cell.parameters
        self._kinds = {name: p.kind for name, p in parameters.items()}
        self._values = {name: p.value for name, p in parameters.items()}  # shown by the controls
        self.controls = {name: parameter_control(p, self._set) for name, p in parameters.items()}
        before = self._controls_box.children
        self._controls_box.children = list(self.controls.values())
        widget_tree.close(*before)

    def _set(self, name: str, value: Any) -> None:
        """Set a parameter of the cell to the value of its control."""
        with self._lock:
            if value == self._values[name]:
                return
            self._values[name] = value
            try:
                self.cell.set(**{name: value})
                self._show_message("")
            except ValueError as error:
                self._show_message(str(error))

    def _follow(self) -> None:
        """Update the controls with values set elsewhere."""
        with self._lock:
            if self.closed:
                return
            if {name: p.kind for name, p in self.cell.parameters.items()} != self._kinds:
                self._make_controls()  # the notebook has changed the cell's parameters
            for name, parameter in self.cell.parameters.items():
                if parameter.value != self._values[name]:
                    self._values[name] = self.controls[name].value = parameter.value
            if self._pause.value != self.cell.paused:
                self._pause.value = self.cell.paused
            running = self.cell.running
            self._pause.disabled = not running
            self._stop.description, self._stop.icon = ("Stop", "stop") if running else ("Start", "play")
            files = self._plot.files() if self._plot else [""]
            endings = [(ending.lstrip("-"), ending) for ending in files]
            if list(self._ending.options) != endings:
                self._ending.options = endings
                self._ending.layout.display = "none" if len(endings) < 2 else ""

    def _set_paused(self, change: dict[str, Any]) -> None:
        self.cell.paused = change["new"]
        self.changed()

    def _set_show(self, change: dict[str, Any]) -> None:
        self._mirror.on = change["new"]

    def _reset(self) -> None:
        self.cell.reset()
        self._show_message("`state` is cleared.")

    def _start_or_stop(self) -> None:
        """Start or stop the cell."""
        cell = self.cell
        try:
            if cell.running:
                cell.stop()
            elif cell.link is not None:
                cell.start(cell.link)
            self._show_message("")
        except (OSError, ValueError) as error:
            self._show_message(str(error))
        self.draw_status()

    def _save(self) -> None:
        ending = self._ending.value
        if self._plot is None or not ending:
            self._show_message("There is no result yet.")
            return
        stem = file_name(self.cell.name)
        try:
            content = self._plot.files()[ending]()
            with open_new(Path(f"{stem}_{i:03d}{ending}") for i in range(1, MOST_FILES)) as file:
                file.write(content)
        except (OSError, ValueError) as error:
            self._show_message(str(error))
        else:
            self._show_message(f"Saved {file.name}")

    def _show_message(self, text: str) -> None:
        self._message.value = html_text.message(text) if text else ""


def _button(name: str, icon: str, tooltip: str, clicked: Callable[[], None]) -> ipywidgets.Button:
    button = ipywidgets.Button(description=name, icon=icon, tooltip=tooltip, layout=BUTTON)
    button.on_click(lambda _: clicked())
    return button
