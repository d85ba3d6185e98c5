"""`%%live NAME`: the cell below runs on every frame; `%live`: what is running, stop, export, debug, load."""

from __future__ import annotations

import ast
import logging
import shlex
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from dmlink import gallery
from dmlink.capture import RESULTS
from dmlink.cell import LiveCell
from dmlink.link import Link, connect
from dmlink.replay import Replay
from dmlink_widgets.cell_panel import CellPanel

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

    from dmlink.program import Program

USAGE = (
    "%live lists the live cells; %live NAME gives one; %live stop NAME (or --all); "
    "%live export NAME PATH [--overwrite]; %live debug NAME; %live load gallery/NAME"
)


def _unquoted(word: str) -> str:
    """Return a word of the magic's line; names of images and rectangles may have spaces."""
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"" else word


@magics_class
class LiveMagics(Magics):
    """The magics, and the panels of the cells that they have started, by name."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._next_input = shell.set_next_input
        self.panels: dict[str, CellPanel] = {}
        self._namespace = shell.user_ns
        self._links: dict[tuple[Any, str | None], Link] = {}  # those made here, by endpoint and source
        shell.events.register("post_run_cell", self._follow_notebook)

    @magic_arguments()
    @argument("name", type=_unquoted, help="name of the cell in panels, files and DigitalMicrograph")
    @argument("--source", type=_unquoted, help="name of the image in DM; else the one that the link has")
    @argument("--roi", type=_unquoted, help="run on this rectangle of the live view, not on all of it")
    @argument("--every", type=int, default=1, metavar="N", help="process each N-th frame (1)")
    @argument("--max-rate", type=float, metavar="HZ", help="process at most so many frames a second")
    @argument("--lossless", action="store_true", help="every frame in order, however late, not the newest")
    @argument("--history", type=int, metavar="N", help="frames that a strip chart or waterfall shows")
    @argument("--waterfall", action="store_true", help="show a profile's history as an image")
    @argument("--show-in-dm", action="store_true", help="show the result in DigitalMicrograph, too")
    @argument("--timeout", type=float, default=10.0, metavar="S", help="seconds that a frame may take (10)")
    @argument("--memory", type=float, metavar="MB", help="megabytes that the cell may use; default: no limit")
    @cell_magic
    def live(self, line: str, cell: str) -> None:
        """Run the cell on every frame of the live view, and show its result beside it.

        It is given `frame` (2-D array), `info` (index, time, axes) and `state` (kept between frames); its
        last expression is the result. Annotated assignments are parameters: `n: (1, 10) = 3` is a slider.
        Functions, arrays and numbers of the notebook can be used; when they change, the cell follows.
        """
        options = parse_argstring(self.live, line)
        if options.history is not None and options.history < 2:
            raise UsageError(f"--history {options.history}: it takes at least 2 frames.")
        try:
            made = LiveCell(
                cell,
                options.name,
                self._namespace,
                every=options.every,
                max_rate=options.max_rate,
                mode="lossless" if options.lossless else "latest",
                timeout=options.timeout,
                memory=None if options.memory is None else int(options.memory * 1e6),
            )
            made.start(self._find_link(options.source), options.roi)
        except SyntaxError as error:
            raise UsageError(f"line {error.lineno}: {error.msg}: {(error.text or '').strip()}") from None
        except (ValueError, ConnectionError) as error:
            raise UsageError(str(error)) from None
        if options.name in self.panels:
            self.panels.pop(options.name).close()
        panel = self.panels[options.name] = CellPanel(made, **_looks(options))
        display(panel)

    @line_magic("live")  # type: ignore[arg-type]  # IPython's annotation leaves out named magics
    def live_line(self, line: str) -> Any:
        """List the live cells, or do something with one.

        %live                        list them
        %live NAME                   give one, to read its results or set its parameters
        %live stop NAME              stop one; --all for all
        %live export NAME PATH       write one as a script for DigitalMicrograph; --overwrite replaces it
        %live debug NAME             put the last frame that failed, and the cell's text, into the notebook
        %live load gallery/NAME      put a ready cell into the notebook
        """
        words = [_unquoted(word) for word in shlex.split(line, posix=False)]  # paths may have backslashes
        if not words:
            return [panel.cell for panel in self.panels.values()]
        if len(words) == 1 and words[0] not in ("stop", "export", "debug", "load"):
            return self._panel(words[0]).cell
        if words[0] == "stop" and len(words) == 2:
            names = list(self.panels) if words[1] == "--all" else [words[1]]
            for name in names:
                self._panel(name).cell.stop()
            return None
        if words[0] == "export" and len(words) in {3, 4} and words[3:] in ([], ["--overwrite"]):
            return self._export(words[1], words[2], overwrite=len(words) == 4)
        if words[0] == "debug" and len(words) == 2:
            return self._debug(self._panel(words[1]).cell)
        if words[0] == "load" and len(words) == 2:
            return self._load(words[1])
        raise UsageError(USAGE)

    def _export(self, name: str, path: str, *, overwrite: bool) -> Path:
        try:
            return self._panel(name).cell.export(path, overwrite=overwrite)
        except (OSError, ValueError) as error:
            raise UsageError(str(error)) from None

    def _debug(self, cell: LiveCell) -> None:
        try:
            names = cell.failure()
        except RuntimeError as error:
            raise UsageError(str(error)) from None
        self._namespace.update(names)
        said = f"frame {names['info'].index}, {names['frame'].shape} {names['frame'].dtype}"
        print(f"{', '.join(names)} are as they were when {cell.name!r} failed: {said}.")  # noqa: T201
        self._next_input(_to_step_through(cell.program))

    def _load(self, path: str) -> None:
        name = path.removeprefix("gallery/").removesuffix(".py")
        try:
            self._next_input(f"%%live {name}\n{gallery.text(name)}")
        except ValueError as error:
            raise UsageError(str(error)) from None

    def _follow_notebook(self, *_: Any) -> None:
        """Let the live cells take over what a cell of the notebook, which has just run, has changed."""
        for name, panel in self.panels.items():
            try:
                panel.cell.recapture()
            except Exception:  # whatever an object of the notebook raises when it is compared
                logging.getLogger(__name__).exception("The live cell %r cannot follow the notebook", name)

    def _panel(self, name: str) -> CellPanel:
        if name not in self.panels:
            there = ", ".join(self.panels) or "none"
            raise UsageError(f"There is no live cell named {name!r}; there are: {there}.")
        return self.panels[name]

    def _find_link(self, source: str | None) -> Link:
        """Return the notebook's newest open link, a replay's too, or connect to this computer's companion."""
        named = [v.link if isinstance(v, Replay) else v for v in self._namespace.values()]
        links = [v for v in named if isinstance(v, Link) and not v.closed]
        if links and source is None:
            return links[-1]
        endpoint = links[-1].endpoint if links else None
        mine = self._links.get((endpoint, source))
        if mine is None or mine.closed:
            mine = self._links[endpoint, source] = connect(endpoint, source=source)
        return mine


def _looks(options: argparse.Namespace) -> dict[str, Any]:
    """Return the panel's options, those that were given."""
    looks = {"history": options.history, "waterfall": options.waterfall, "show_in_dm": options.show_in_dm}
    return {name: value for name, value in looks.items() if value not in (None, False)}


def _to_step_through(program: Program) -> str:
    """Return the cell as an ordinary one: parameters as they are now, and imports of what it is given."""
    tree = ast.parse(program.text)
    lines = program.text.rstrip().split("\n")
    now = {p.line: p.assignment for p in program.parameters.values() if p.line}
    for statement in reversed(tree.body):
        if statement.lineno in now:
            lines[statement.lineno - 1 : statement.end_lineno] = [now[statement.lineno]]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} & RESULTS.keys()
    given = f"from dmlink import {', '.join(sorted(used))}\n" if used else ""
    return "\n".join([given + f"# {program.name}, on the frame that failed", *lines])
