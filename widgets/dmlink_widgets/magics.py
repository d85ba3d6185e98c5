"""Magics: `%%live NAME` runs a cell on every frame; `%live` lists, stops, exports, debugs and loads cells."""

from __future__ import annotations

import ast
import inspect
import logging
import re
import shlex
from functools import partial
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from dmlink import gallery
from dmlink.cell.file_backed import FileBackedCell
from dmlink.cell.live_cell import LiveCell, live_cells
from dmlink.growing import Following
from dmlink.growing.link import FollowedLink
from dmlink.link.link import Link, connect
from dmlink.playback import Replay
from dmlink.program.capture import RESULTS
from dmlink_widgets.panels.cell_panel import CellPanel
from dmlink_widgets.panels.gallery_picker import GalleryPicker

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

    from dmlink.program.program import Program

COMMANDS = "list", "help", "stop", "export", "debug", "gallery", "load"
OWN_OPTIONS = re.compile(r"#\s*live:(.*)")  # in a comment at the top of a cell
USAGE = (
    "%live lists the live cells; %live help shows all options; %live NAME returns one; %live stop NAME "
    "(or --all); %live export NAME PATH [--overwrite]; %live debug NAME; %live gallery; "
    "%live load gallery/NAME"
)


def _unquoted(word: str) -> str:
    """Return a word of the magic's line without quotes; names of images and ROIs may contain spaces."""
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"" else word


@magics_class
class LiveMagics(Magics):
    """The magics.

    Attributes
    ----------
    panels : dict of str to CellPanel
        The panels of the cells that they have started, by name.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._next_input = shell.set_next_input
        self.panels: dict[str, CellPanel] = {}
        self._picker: GalleryPicker | None = None
        self._namespace = shell.user_ns
        # opened here, by source and by the id of the link that they accompany
        self._links: dict[tuple[int | None, str | None], Link | FollowedLink] = {}
        shell.events.register("post_run_cell", self._follow_notebook)
        for command in ("%live", "%%live"):
            shell.set_hook("complete_command", self._complete, str_key=command)

    @magic_arguments()
    @argument("name", type=_unquoted, help="name of the cell in panels, files and DigitalMicrograph")
    @argument("--source", type=_unquoted, help="name of the image in DM; default: that of the link")
    @argument("--roi", type=_unquoted, help="run on this ROI instead of the whole image")
    @argument("--every", type=int, default=1, metavar="N", help="process every N-th frame (1)")
    @argument("--max-rate", type=float, metavar="HZ", help="process at most HZ frames a second")
    @argument("--lossless", action="store_true", help="process every frame in order, instead of the newest")
    @argument(
        "--file",
        type=_unquoted,
        metavar="PATH",
        help="the recording that is being written: its results replace the live ones when it is finished",
    )
    @argument(
        "--idle",
        type=float,
        default=30.0,
        metavar="S",
        help="with --file: seconds without new data after which the recording counts as finished (30)",
    )
    @argument("--history", type=int, metavar="N", help="frames shown by a strip chart or waterfall")
    @argument("--waterfall", action="store_true", help="show a profile's history as an image")
    @argument("--show-in-dm", action="store_true", help="also show the result in DigitalMicrograph")
    @argument("--keep", type=float, metavar="S", help="save a clip of each Event, from S seconds before it")
    @argument("--keep-after", type=float, default=5.0, metavar="S", help="until S seconds after it (5)")
    @argument(
        "--clips", type=_unquoted, default="clips", metavar="FOLDER", help="folder of the clips (clips)"
    )
    @argument("--timeout", type=float, default=10.0, metavar="S", help="seconds allowed for a frame (10)")
    @argument(
        "--memory", type=float, metavar="MB", help="megabytes that the cell may use; no effect on Windows"
    )
    @cell_magic
    def live(self, line: str, cell: str) -> None:
        """Run the cell on every frame of the live view, and show its result below.

        The cell uses `frame` (2-D array), `info` (index, time, axes) and `state` (kept between frames); its
        last expression is the result. Annotated assignments are parameters: `n: (1, 10) = 3` is a slider.
        A comment at the top of the cell, such as `# live: --waterfall`, can set options.
        Functions, arrays and numbers of the notebook can be used; when they change, the cell follows.
        """
        options = parse_argstring(self.live, f"{_own_options(cell)} {line}")  # the line takes precedence
        if options.history is not None and options.history < 2:
            raise UsageError(f"--history {options.history}: give at least 2 frames.")
        try:
            kind: Any = LiveCell
            if options.file:
                kind = partial(FileBackedCell, file=options.file, idle=options.idle)
            live_cell = kind(
                cell,
                options.name,
                self._namespace,
                every=options.every,
                max_rate=options.max_rate,
                mode="lossless" if options.lossless else "latest",
                timeout=options.timeout,
                memory=None if options.memory is None else int(options.memory * 1e6),
                keep=options.keep,
                keep_after=options.keep_after,
                clips=options.clips,
            )
            for other in live_cells():
                if other.name == options.name:
                    other.give_way()
            live_cell.start(self._find_link(options.source), options.roi)
        except SyntaxError as error:
            raise UsageError(f"line {error.lineno}: {error.msg}: {(error.text or '').strip()}") from None
        except (ValueError, ConnectionError) as error:
            raise UsageError(str(error)) from None
        if options.name in self.panels:
            self.panels.pop(options.name).close()
        for other in live_cells():  # a LiveCell with this name, or one from magics loaded earlier
            if other.name == options.name and other is not live_cell:
                other.stop("Stopped: another cell has taken its name.")
        panel = self.panels[options.name] = CellPanel(live_cell, ends_unseen=True, **_panel_options(options))
        display(panel)

    @line_magic("live")  # type: ignore[arg-type]  # IPython's annotation leaves out named magics
    def live_line(self, line: str) -> Any:
        """List the live cells, or manage one.

        %live, %live list            list them
        %live help                   all options and commands
        %live NAME                   return one, to read its results or set its parameters
        %live stop NAME              stop one; --all for all
        %live export NAME PATH       export one as a DigitalMicrograph script; --overwrite replaces the file
        %live debug NAME             load the last frame that failed, and the cell's text, into the notebook
        %live gallery                show the cells of the gallery, to try on their demo recordings
        %live load gallery/NAME      load a cell of the gallery into the notebook
        """
        words = [_unquoted(word) for word in shlex.split(line, posix=False)]  # paths may contain backslashes
        if words in ([], ["list"]):
            return LiveCells(self.panels)
        if words == ["help"]:
            print(f"{self.live.parser.format_help()}\n{inspect.getdoc(self.live_line.__func__)}")  # noqa: T201 - where it is asked for
            return None
        if words == ["gallery"] and "gallery" not in self.panels:
            if self._picker:  # otherwise what it tries would go on
                self._picker.close()
            self._picker = GalleryPicker()
            return self._picker
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

    def _complete(self, _: Any, event: Any) -> list[str]:
        """Return completions for the Tab key."""
        options = [action.option_strings[-1] for action in self.live.parser._actions if action.option_strings]  # noqa: SLF001 - argparse has no other way
        links = [panel.cell.link for panel in self.panels.values()] + list(_links_in(self._namespace))
        rois = {name for link in links if link and not link.closed for name in link.rois()}
        return completions(event.line, list(self.panels), sorted(rois), options)

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
        frame = f"frame {names['info'].index}, {names['frame'].shape} {names['frame'].dtype}"
        print(f"{', '.join(names)} are as they were when {cell.name!r} failed: {frame}.")  # noqa: T201
        self._next_input(_ordinary_cell(cell.program))

    def _load(self, path: str) -> None:
        name = path.removeprefix("gallery/").removesuffix(".py")
        try:
            self._next_input(f"%%live {name}\n{gallery.text(name)}")
        except ValueError as error:
            raise UsageError(str(error)) from None

    def _follow_notebook(self, *_: Any) -> None:
        """Pass on to the live cells what the notebook cell that has just run changed."""
        for name, panel in self.panels.items():
            try:
                panel.cell.recapture()
            except Exception:  # objects in the notebook can raise any exception when compared
                logging.getLogger(__name__).exception("The live cell %r cannot follow the notebook", name)

    def _panel(self, name: str) -> CellPanel:
        if name not in self.panels:
            known = ", ".join(self.panels) or "none"
            raise UsageError(f"There is no live cell named {name!r}; available: {known}.")
        return self.panels[name]

    def _find_link(self, source: str | None) -> Link | FollowedLink:
        """Return the notebook's newest open link or replay, or connect to the companion on this computer."""
        links = [link for link in _links_in(self._namespace) if not link.closed]
        newest = max(links, key=lambda link: link.number, default=None)
        if newest and source is None:
            return newest
        key = (newest.number if newest else None), source
        link = self._links.get(key)
        if link is None or link.closed:
            link = newest.another(None, "latest", source) if newest else connect(source=source)
            self._links[key] = link
        return link


class LiveCells(list[LiveCell]):
    """The live cells of a notebook, one line each: its state and where it runs."""

    def __init__(self, panels: dict[str, CellPanel]) -> None:
        super().__init__(panel.cell for panel in panels.values())
        self._lines = [f"{name}: {panel.state}, {panel.where}" for name, panel in panels.items()]

    def __repr__(self) -> str:
        return "\n".join(self._lines) or "There are no live cells."


def completions(line: str, cells: list[str], rois: list[str], options: list[str]) -> list[str]:
    """Return the words that can complete a line of `%live` or `%%live`."""
    command, *words = line.split(" ")
    before = words[-2] if len(words) > 1 else ""
    if command == "%%live":
        if before == "--roi":
            return [f"'{name}'" if " " in name else name for name in rois]
        return options if len(words) > 1 else cells
    if len(words) < 2:
        return [*COMMANDS, *cells]
    if before == "load":
        return [f"gallery/{name}" for name in gallery.names()]
    return [*cells, "--all"] if before == "stop" else cells


def _links_in(namespace: dict[str, Any]) -> Iterator[Link | FollowedLink]:
    for value in list(namespace.values()):
        link = value.link if isinstance(value, Replay | Following) else value
        if isinstance(link, Link | FollowedLink):
            yield link


def _own_options(cell: str) -> str:
    """Return the options in the comments at the top of a cell."""
    found = []
    for line in cell.lstrip().splitlines():
        if not line.startswith("#"):
            break
        if match := OWN_OPTIONS.fullmatch(line.strip()):
            found.append(match[1].strip())
    return " ".join(found)


def _panel_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the panel options that were given."""
    named = {"history": options.history, "waterfall": options.waterfall, "show_in_dm": options.show_in_dm}
    return {name: value for name, value in named.items() if value not in (None, False)}


def _ordinary_cell(program: Program) -> str:
    """Return the text of an ordinary cell, with the current parameters and the necessary imports."""
    tree = ast.parse(program.text)
    lines = program.text.rstrip().split("\n")
    now = {p.line: p.assignment for p in program.parameters.values() if p.line}
    for statement in reversed(tree.body):
        if statement.lineno in now:
            lines[statement.lineno - 1 : statement.end_lineno] = [now[statement.lineno]]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} & RESULTS.keys()
    imports = f"from dmlink import {', '.join(sorted(used))}\n" if used else ""
    return "\n".join([imports + f"# {program.name}, on the frame that failed", *lines])
