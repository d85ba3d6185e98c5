"""CellPanel: a live cell's output, its parameters, its counters and its errors."""

from __future__ import annotations

import functools
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink.recordings.file_names import file_name
from dmlink_widgets import text
from dmlink_widgets.colour import colour_of
from dmlink_widgets.controls import control
from dmlink_widgets.mirror import Mirror
from dmlink_widgets.panel import Panel
from dmlink_widgets.plots import LENGTH, Plot, plot_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.cell import LiveCell
    from dmlink.frame import Frame

BUTTON = {"width": "90px"}
_open: weakref.WeakSet[CellPanel] = weakref.WeakSet()
LOG_LINES = 20  # of what the cell prints, that are shown
SECONDS = 2.0  # that an error stays after the last frame that had it


def panel_of(cell: LiveCell) -> CellPanel:
    """Return the panel that shows this cell already, else a new one."""
    there = (panel for panel in list(_open) if panel.cell is cell and not panel.closed)
    return next(there, None) or CellPanel(cell)


class CellPanel(Panel):
    """Shows a live cell; draws its newest result whenever the browser is ready for it.

    Parameters
    ----------
    cell : LiveCell
        Started or not; `close` stops it.
    history : int
        Results that a strip chart remembers, or a waterfall, which has at most 256.
    waterfall : bool
        Whether a profile begins as a waterfall.
    show_in_dm : bool
        Whether the results are shown in a window of DigitalMicrograph, too.
    """

    def __init__(
        self, cell: LiveCell, *, history: int = LENGTH, waterfall: bool = False, show_in_dm: bool = False
    ) -> None:
        super().__init__()
        self.cell = cell
        self._plot: Plot | None = None
        self._plots: dict[str, Plot] = {}  # by kind: a cell may give one and the other
        self._make_plot = functools.partial(
            plot_for,
            changed=self.changed,
            colour=colour_of(cell.name),
            history=history,
            waterfall=waterfall,
        )
        self._taken: Any = None  # the last result that the plot remembers
        self._mirror = Mirror(cell)
        self._title = ipywidgets.HTML(text.title(cell.name, colour_of(cell.name)))
        self._notes = ipywidgets.HTML()
        self._error = ipywidgets.HTML()
        self._log = ipywidgets.HTML()
        self._printed = ipywidgets.Accordion(  # folded or not, as the user has left it
            [self._log], titles=("printed",), selected_index=0, layout={"display": "none"}
        )
        self._status = ipywidgets.HTML()
        self._said = ipywidgets.HTML()
        self._said.add_class("dmlink-said")
        self._failed: tuple[float, str] = -SECONDS, ""  # when the last error was seen, and what it said
        self._output = ipywidgets.VBox()
        self._lock = threading.RLock()
        self._controls = ipywidgets.VBox()
        self._make_controls()
        self._pause = ipywidgets.ToggleButton(
            description="Pause", icon="pause", tooltip="Let frames pass (space bar)", layout=BUTTON
        )
        self._pause.add_class("dmlink-pause")
        self._pause.observe(self._paused, "value")
        reset = _button("Reset", "undo", "Empty what the cell keeps in `state`", self._reset)
        self._show = ipywidgets.ToggleButton(
            value=show_in_dm,
            description="Show in DM",
            icon="desktop",
            tooltip="Show the results in a window of DigitalMicrograph, too",
            layout={"width": "120px"},
        )
        self._show.observe(self._shown, "value")
        export = _button("Export", "download", "Write a script for DigitalMicrograph here", self._write)
        save = _button("Save", "floppy-o", "Save what is shown into a new file here", self._save)
        self._ending = ipywidgets.Dropdown(
            options=[("", "")], tooltip="Kind of file", layout={"width": "100px", "display": "none"}
        )
        buttons = ipywidgets.HBox([self._pause, reset, self._show, export, save, self._ending])
        buttons.layout.flex_flow = "row wrap"
        self.open(
            [
                self._title,
                self._notes,
                self._controls,  # above the error, which must not push a slider out of the hand
                self._error,
                self._output,
                buttons,
                self._status,
                self._said,
                self._printed,
            ]
        )
        self._mirror.on = show_in_dm
        self._unwatch = cell.watch(self._processed)
        _open.add(self)

    def age_of(self, frame: Frame) -> float | None:
        """Return how old a frame is now, in seconds."""
        newest, age = self.cell.frame, self.cell.stats.age
        return None if newest is None or age is None else age + newest.time - frame.time

    def draw(self, *, small: bool) -> Frame | None:
        """Draw the newest result."""
        self._error.value = self._error_text()
        latest, frame = self.cell.latest, self.cell.frame
        if latest is not None:
            self._plot_of(latest[1]).draw(latest[1], small=small, lossless=self.cell.paused)
        return frame

    def draw_status(self) -> None:
        """Say what the cell has done, how long it takes and how old its result is."""
        cell, stats = self.cell, self.cell.stats
        self._follow()
        if self._plot:
            self._plot.write()
        self._error.value = self._error_text()
        self._notes.value = text.log(list(cell.program.notes))
        self._log.value = text.log(cell.log[-LOG_LINES:])
        self._printed.layout.display = None if cell.log else "none"
        if self._mirror.trouble:
            self._said.value = text.status(self._mirror.trouble)
        state = "paused" if cell.paused else "running" if cell.running else "stopped"
        self._status.value = text.facts(
            ("", state, 7),
            ("in", str(stats.received), 5),
            ("processed", str(stats.processed), 5),
            ("dropped", str(stats.dropped), 5),
            ("shown", str(self.fence.painted), 5),
            ("per frame", f"{stats.ms_per_frame:.1f} ms", 8),
            ("painted", text.rate(self.painted_rate), 8),
            ("age", text.age(self.fence.age)[4:] if cell.running and not cell.paused else "", 7),
            ("errors", str(stats.errors or ""), 6),
        )

    def close(self) -> None:
        """Stop the cell and take its panel out of the notebook."""
        self._unwatch()
        self._mirror.on = False
        self.cell.stop()
        super().close()

    def _error_text(self) -> str:
        """Return the error; one that comes and goes with the frames stays, so that nothing flickers."""
        now = time.monotonic()
        if self.cell.error:
            self._failed = now, text.error(self.cell.error, self.cell.repeats)
        return self._failed[1] if now - self._failed[0] < SECONDS else ""

    def _processed(self) -> None:
        """Take a result, on the cell's thread: a strip chart shows all of them, drawn or not."""
        latest, frame = self.cell.latest, self.cell.frame
        if latest is not None and frame is not None and latest is not self._taken:
            self._taken = latest
            self._plot_of(latest[1]).take(frame.time, latest[1])
            self._mirror.show(latest[1])
        self.changed()

    def _plot_of(self, result: Any) -> Any:
        with self._lock:  # the cell's thread and the painter both come here with the first result
            plot = self._plots.get(result.kind) or self._make_plot(result)
            if plot is not self._plot:
                self._plot = self._plots[result.kind] = plot
                self._output.children = [plot.widget]
            return plot

    def _set(self, name: str, value: Any) -> None:
        """Hand a value from its control to the cell."""
        with self._lock:
            if value == self._values[name]:
                return
            self._values[name] = value
            try:
                self.cell.set(**{name: value})
                self._said.value = ""
            except ValueError as error:
                self._said.value = text.status(str(error))

    def _make_controls(self) -> None:
        parameters = self.cell.parameters
        self._kinds = {name: p.kind for name, p in parameters.items()}
        self._values = {name: p.value for name, p in parameters.items()}  # that the controls show
        self.controls = {name: control(p, self._set) for name, p in parameters.items()}
        self._controls.children = list(self.controls.values())

    def _follow(self) -> None:
        """Move the controls to what was set from elsewhere."""
        with self._lock:
            if {name: p.kind for name, p in self.cell.parameters.items()} != self._kinds:
                self._make_controls()  # the notebook has other names now
            for name, parameter in self.cell.parameters.items():
                if parameter.value != self._values[name]:
                    self._values[name] = self.controls[name].value = parameter.value
            if self._pause.value != self.cell.paused:
                self._pause.value = self.cell.paused
            files = self._plot.files() if self._plot else [""]
            endings = [(ending.lstrip("-"), ending) for ending in files]
            if list(self._ending.options) != endings:
                self._ending.options = endings
                self._ending.layout.display = "none" if len(endings) < 2 else ""

    def _paused(self, change: dict[str, Any]) -> None:
        self.cell.paused = change["new"]
        self.changed()

    def _reset(self) -> None:
        self.cell.reset()
        self._said.value = text.status("state is empty")

    def _shown(self, change: dict[str, Any]) -> None:
        self._mirror.on = change["new"]

    def _write(self) -> None:
        try:
            path = self.cell.export(Path(f"{file_name(self.cell.name)}_dm.py"))
        except (OSError, ValueError) as error:
            self._said.value = text.status(str(error))
        else:
            self._said.value = text.status(f"{path} is written.")

    def _save(self) -> None:
        ending = self._ending.value
        if self._plot is None or not ending:
            self._said.value = text.status("There is no result yet.")
            return
        try:
            path = new_file(file_name(self.cell.name), ending, self._plot.files()[ending]())
        except (OSError, ValueError) as error:
            self._said.value = text.status(str(error))
        else:
            self._said.value = text.status(f"{path} is written.")


def new_file(stem: str, ending: str, content: bytes) -> Path:
    """Write a file with the first number that is free: never over another one."""
    number = 1
    while True:
        path = Path(f"{stem}_{number:03d}{ending}")
        try:
            with path.open("xb") as file:
                file.write(content)
        except FileExistsError:
            number += 1
        else:
            return path


def _button(name: str, icon: str, tooltip: str, clicked: Callable[[], None]) -> ipywidgets.Button:
    button = ipywidgets.Button(description=name, icon=icon, tooltip=tooltip, layout=BUTTON)
    button.on_click(lambda _: clicked())
    return button
