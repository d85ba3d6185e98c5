"""CellPanel: a live cell's output, its parameters, its counters and its errors."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink_widgets import text
from dmlink_widgets.controls import control
from dmlink_widgets.panel import Panel
from dmlink_widgets.plots import Plot, plot_for

if TYPE_CHECKING:
    from dmlink.cell import LiveCell
    from dmlink.frame import Frame

BUTTON = ipywidgets.Layout(width="96px")


class CellPanel(Panel):
    """Shows a live cell; draws its newest result whenever the browser is ready for it."""

    def __init__(self, cell: LiveCell) -> None:
        super().__init__()
        self.cell = cell
        self._plot: Plot | None = None
        self._kind = ""
        self._taken: Any = None  # the last result that the plot remembers
        self._title = ipywidgets.HTML(text.title(cell.name))
        self._notes = ipywidgets.HTML(text.log(list(cell.program.notes)))
        self._error = ipywidgets.HTML()
        self._log = ipywidgets.HTML()
        self._status = ipywidgets.HTML()
        self._said = ipywidgets.HTML()
        self._output = ipywidgets.VBox()
        self._lock = threading.RLock()
        self._values = {name: p.value for name, p in cell.parameters.items()}  # that the controls show
        self.controls = {p.name: control(p, self._set) for p in cell.parameters.values()}
        self._pause = ipywidgets.ToggleButton(description="Pause", icon="pause", layout=BUTTON)
        self._pause.observe(self._paused, "value")
        self._reset = ipywidgets.Button(
            description="Reset", icon="undo", tooltip="Empty what the cell keeps in `state`", layout=BUTTON
        )
        self._reset.on_click(lambda _: cell.reset())
        self._export = ipywidgets.Button(
            description="Export",
            icon="download",
            tooltip="Write a script for DigitalMicrograph beside this notebook",
            layout=BUTTON,
        )
        self._export.on_click(self._write)
        buttons = ipywidgets.HBox([self._pause, self._reset, self._export, self._said])
        self.open(
            [
                self._title,
                self._notes,
                self._error,
                *self.controls.values(),
                self._output,
                buttons,
                self._status,
                self._log,
            ]
        )
        self._unwatch = cell.watch(self._processed)

    def age_of(self, frame: Frame) -> float | None:
        """Return how old a frame is now, in seconds."""
        newest, age = self.cell.frame, self.cell.stats.age
        return None if newest is None or age is None else age + newest.time - frame.time

    def draw(self, *, small: bool) -> Frame | None:
        """Draw the newest result."""
        self._error.value = text.error(self.cell.error)
        latest, frame = self.cell.latest, self.cell.frame
        if latest is not None:
            self._plot_of(latest[1]).draw(latest[1], small=small)
        return frame

    def draw_status(self) -> None:
        """Say what the cell has done, how long it takes and how old its result is."""
        cell, stats = self.cell, self.cell.stats
        self._follow()
        self._error.value = text.error(cell.error)
        self._log.value = text.log(cell.log[-20:])
        state = "paused" if cell.paused else "" if cell.running else "stopped"
        self._status.value = text.status(
            state,
            f"in {stats.received:6d}",
            f"processed {stats.processed:6d}",
            f"dropped {stats.dropped:6d}",
            f"{stats.ms_per_frame:6.1f} ms per frame",
            f"painted {text.rate(self.painted_rate)}",
            f"errors {stats.errors}" if stats.errors else "",
            text.age(self.fence.age) if cell.running and not cell.paused else "",
        )

    def close(self) -> None:
        """Stop the cell and take its panel out of the notebook."""
        self._unwatch()
        self.cell.stop()
        super().close()

    def _processed(self) -> None:
        """Take a result, on the cell's thread: a strip chart shows all of them, drawn or not."""
        latest, frame = self.cell.latest, self.cell.frame
        if latest is not None and frame is not None and latest is not self._taken:
            self._taken = latest
            self._plot_of(latest[1]).take(frame.time, latest[1])
        self.changed()

    def _plot_of(self, result: Any) -> Any:
        with self._lock:  # the cell's thread and the painter both come here with the first result
            if self._plot is None or result.kind != self._kind:
                self._kind, self._plot = result.kind, plot_for(result)
                self._output.children = [self._plot.widget]
            return self._plot

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

    def _follow(self) -> None:
        """Move the controls to values that were set from elsewhere."""
        with self._lock:
            for name, parameter in self.cell.parameters.items():
                if parameter.value != self._values[name]:
                    self._values[name] = self.controls[name].value = parameter.value

    def _paused(self, change: dict[str, Any]) -> None:
        self.cell.paused = change["new"]

    def _write(self, _: Any) -> None:
        try:
            path = self.cell.export(Path(f"{self.cell.name}_dm.py"))
        except OSError as error:
            self._said.value = text.status(str(error))
        else:
            self._said.value = text.status(f"{path} is written.")
