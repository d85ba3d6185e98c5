"""`%%live NAME`: the cell below runs on every frame; `%live`: what is running, stop, export."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from dmlink.cell import LiveCell
from dmlink.link import Link, connect
from dmlink_widgets.cell_panel import CellPanel

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

USAGE = "%live lists the live cells; %live NAME gives one; %live stop NAME; %live export NAME PATH"


@magics_class
class LiveMagics(Magics):
    """The magics, and the panels of the cells that they have started, by name."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.panels: dict[str, CellPanel] = {}
        self._namespace = shell.user_ns
        self._link: Link | None = None

    @magic_arguments()
    @argument("name", help="name of the cell in panels, files and DigitalMicrograph")
    @argument("--roi", help="run on this rectangle of the live view, not on the whole image")
    @argument("--timeout", type=float, default=10.0, help="seconds that a frame may take (10)")
    @cell_magic
    def live(self, line: str, cell: str) -> None:
        """Run the cell on every frame of the live view, and show its result beside it.

        It is given `frame` (2-D array), `info` (index, time, axes) and `state` (kept between frames); its
        last expression is the result. Annotated assignments are parameters: `n: (1, 10) = 3` is a slider.
        """
        options = parse_argstring(self.live, line)
        try:
            made = LiveCell(cell, options.name, self._namespace, timeout=options.timeout)
            made.start(self._find_link(), options.roi)
        except SyntaxError as error:
            raise UsageError(f"line {error.lineno}: {error.msg}: {(error.text or '').strip()}") from None
        except (ValueError, ConnectionError) as error:
            raise UsageError(str(error)) from None
        if options.name in self.panels:
            self.panels.pop(options.name).close()
        panel = self.panels[options.name] = CellPanel(made)
        display(panel)

    @line_magic("live")  # type: ignore[arg-type]  # IPython's annotation leaves out named magics
    def live_line(self, line: str) -> Any:
        """List the live cells; `NAME` gives one; `stop NAME` (or `--all`) and `export NAME PATH`."""
        words = shlex.split(line)
        if not words:
            return [panel.cell for panel in self.panels.values()]
        if len(words) == 1:
            return self._panel(words[0]).cell
        if words[0] == "stop" and len(words) == 2:
            names = list(self.panels) if words[1] == "--all" else [words[1]]
            for name in names:
                self._panel(name).cell.stop()
            return None
        if words[0] == "export" and len(words) == 3:
            return self._panel(words[1]).cell.export(words[2])
        raise UsageError(USAGE)

    def _panel(self, name: str) -> CellPanel:
        if name not in self.panels:
            there = ", ".join(self.panels) or "none"
            raise UsageError(f"There is no live cell named {name!r}; there are: {there}.")
        return self.panels[name]

    def _find_link(self) -> Link:
        """Return the notebook's newest open link, or connect to the companion of this computer."""
        links = [v for v in self._namespace.values() if isinstance(v, Link) and not v.closed]
        if links:
            return links[-1]
        if self._link is None or self._link.closed:
            self._link = connect()
        return self._link
