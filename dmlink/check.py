"""Check: an exported script in the simulated DigitalMicrograph, against the cell that it was made of."""

from __future__ import annotations

import html
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dmlink.indm.info import TAGS, Axis, Info
from dmlink.indm.results import Boxes, Image, Overlay, Points, Profile, Scalar, Several
from dmlink.needs import OLDEST, newer_python
from dmlink.program import Instance, Program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dmlink.export import HasProgram
    from dmlink.frame import Frame
    from dmlink.simulator.windows import OpenWindow


FPS = 20.0  # of the simulated camera, though it is stepped
BOX = 5  # DM's number of this kind of annotation
MOST_MARKS = 200  # that a script draws of each kind


class Comparison(NamedTuple):
    """One frame: what the window in DM shows against the cell's result.

    `difference` is the largest one between the values, which DM holds as float32; `equal` means the axes too.
    """

    frame: int
    window: str
    shape: tuple[int, ...]
    difference: float
    equal: bool


class Check(tuple[Comparison, ...]):
    """The comparisons of all frames."""

    __slots__ = ()

    @property
    def equal(self) -> bool:
        """Whether the script showed what the cell gives, for every frame and at least one."""
        return bool(self) and all(comparison.equal for comparison in self)

    def __repr__(self) -> str:
        lines = [f"{'frame':>6}  {'window':<32} {'shape':<14} {'difference':>10}  equal"]
        lines += [
            f"{c.frame:>6}  {c.window:<32} {c.shape!s:<14} {c.difference:>10.3g}  "
            + ("yes" if c.equal else "NO")
            for c in self
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def check(
    script: str | Path,
    frames: Sequence[Frame],
    against: HasProgram | Program | None = None,
    picture: str | Path | None = None,
) -> Check:
    """Run an exported script over frames in the simulated DigitalMicrograph; compare it with the cell.

    Every window is compared after every frame, and what is printed whenever it is.

    Parameters
    ----------
    script : str or Path
        The exported script.
    frames : sequence of Frame
        A Recording, or frames of one shape in a list. One that equals the frame before it is left out: to
        DigitalMicrograph it is no new frame.
    against : LiveCell or Program, optional
        The cell; its program is run anew, so nothing it keeps in `state` matters. Without it, the cell is
        what the script itself says above its line.
    picture : str or Path, optional
        A PNG file to write, with all windows as they are after the last frame.

    Raises
    ------
    RuntimeError
        If the script fails: with what it printed.
    """
    from dmlink.readback import read_script  # noqa: PLC0415 - it makes cells, which can be exported
    from dmlink.simulator import Microscope  # noqa: PLC0415 - takes DigitalMicrograph's place meanwhile

    against = read_script(script) if against is None else against
    program = against if isinstance(against, Program) else against.program
    text = Path(script).read_text(encoding="utf-8")
    cell = Instance(program)
    played = Played(frames)
    wanted = Wanted(program.name, played.name)
    comparisons: list[Comparison] = []
    # the last two as the simulated camera has them
    tags = {**frames[0].tags, "exposure": 1 / FPS, "binning": 1.0}
    python = max([OLDEST, *(newer for newer, _, _ in newer_python(text))])  # a GMS that can run it
    with Microscope(played, FPS, loop=False, python=python) as microscope:
        microscope.camera.pause()
        microscope.camera.seek(0)
        microscope.camera.step()
        began = time.perf_counter()
        running = microscope.run_script(text, background=False, name=program.name)
        running.join(60.0)
        before: Any = None
        for index, frame in enumerate(frames):
            if index:
                time.sleep(time.perf_counter() - began)  # the script rests as long as it has worked
                began = time.perf_counter()
                microscope.camera.step()
            microscope.settle(60.0)
            if index and np.array_equal(frame.data, before):
                continue
            before = frame.data
            info = Info(index, frame.time, _in_dm(frame.x), _in_dm(frame.y), None, played.name, tags)
            result = cell.process(frame.data, info)
            said = running.output
            if any("of the script: " in line or "showing the result: " in line for line in said):
                raise RuntimeError("\n".join([f"{script} failed at frame {frame.index}. It said:", *said]))
            if result:
                windows = {window.name: window for window in microscope.windows()}
                comparisons += wanted.compare(frame.index, index, result, windows, said)
        if picture:
            from dmlink.simulator.picture import draw  # noqa: PLC0415 - as above

            draw(microscope.windows(), picture)
    return Check(comparisons)


class Wanted:
    """What the windows in DM should show, and how many columns their histories should have."""

    def __init__(self, name: str, source: str) -> None:
        self._name, self._source = name, source
        self._columns: dict[str, int] = {}
        self._known = {_ascii(source)}

    def compare(
        self, frame: int, index: int, result: Any, windows: dict[str, OpenWindow], said: list[str]
    ) -> Iterator[Comparison]:
        """Yield a comparison of each window of the result, and of each that no result so far belongs in."""
        for comparison in self._parts(frame, index, self._name, result, windows, said):
            self._known.add(comparison.window)
            yield comparison
        for title in windows.keys() - self._known:
            yield Comparison(frame, title, windows[title].data.shape, float("inf"), equal=False)

    def _parts(
        self, frame: int, index: int, name: str, result: Any, windows: dict[str, OpenWindow], said: list[str]
    ) -> Iterator[Comparison]:
        title = self._title(name)
        window = windows.get(title)
        if isinstance(result, Several):
            for key, part in result.results.items():
                yield from self._parts(frame, index, f"{name} {key}", part, windows, said)
        elif isinstance(result, Scalar):
            values = np.array(list(result.series.values()), dtype=np.float32)
            yield _compared(frame, title, self._column(name, window), values, None, window)
        elif isinstance(result, Profile):
            values = result.values.astype(np.float32)
            yield _compared(frame, title, window and window.data, values, [result.x], window)
            title = self._title(f"{name} in time")
            column = self._column(f"{name} in time", windows.get(title))
            yield _compared(frame, title, column, values, None, windows.get(title))
        elif isinstance(result, (Image, Overlay)):
            image = result if isinstance(result, Image) else result.image
            colour = image.values.ndim == 3  # made in DM-script, without axes
            values = image.values if colour else image.values.astype(np.float32)
            axes = None if colour else [image.x, image.y]
            yield _compared(frame, title, window and window.data, values, axes, window)
            if isinstance(result, Overlay):
                yield _marked(frame, title, result.marks, window)
        elif isinstance(result, (Points, Boxes)):
            title = _ascii(self._source)
            yield _marked(frame, title, [result], windows.get(title))
        elif f"{name}, frame {index}:" in said:
            start = said.index(f"{name}, frame {index}:") + 1
            lines = _ascii(result.text).split("\n")
            same = said[start : start + len(lines)] == lines
            yield Comparison(frame, "Results", (len(lines),), 0.0 if same else float("inf"), equal=same)

    def _title(self, name: str) -> str:
        return _ascii(f"{name} of {self._source}")

    def _column(self, name: str, window: OpenWindow | None) -> Any:
        """Return the newest column of a history."""
        column = self._columns[name] = self._columns.get(name, -1) + 1
        return window and window.data[:, column - int(window.axes[0].origin)]


class Played:
    """Frames in a list as a recording that the simulated camera plays."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = frames
        first = frames[0]
        self.name, self.dtype = first.source, first.data.dtype
        self.shape = (len(frames), *first.data.shape)
        self.x, self.y = first.x, first.y
        self.tags = {TAGS[name]: value for name, value in first.tags.items() if name in TAGS}

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, i: int) -> Frame:
        return self._frames[i]


def _compared(
    frame: int, title: str, shown: Any, wanted: Any, axes: Any, window: OpenWindow | None
) -> Comparison:
    if window is None or shown.shape != wanted.shape:
        shape = () if window is None else shown.shape
        return Comparison(frame, title, shape, float("inf"), equal=False)
    difference = np.abs(np.nan_to_num(shown.astype(float)) - np.nan_to_num(wanted.astype(float))).max()
    same = np.array_equal(shown, wanted, equal_nan=wanted.dtype.kind == "f")
    same = same and (axes is None or _close(window.axes, axes))
    return Comparison(frame, title, window.data.shape, float(difference), equal=same)


def _marked(frame: int, title: str, marks: Sequence[Any], window: OpenWindow | None) -> Comparison:
    places = [
        np.hstack([mark.yx - 3, mark.yx + 3]) if isinstance(mark, Points) else mark.tlbr for mark in marks
    ]
    wanted = [tuple(place) for some in places for place in some[:MOST_MARKS].tolist()]
    shown = [] if window is None else [place for kind, place in window.marks if kind == BOX]
    same = sorted(wanted) == sorted(shown)
    return Comparison(frame, title, (len(shown),), 0.0 if same else float("inf"), equal=same)


def _close(shown: Sequence[Axis], wanted: Sequence[Axis]) -> bool:
    return all(np.allclose(s[:2], w[:2]) and s.unit == w.unit for s, w in zip(shown, wanted, strict=True))


def _in_dm(axis: Axis) -> Axis:
    return axis._replace(unit=_ascii(axis.unit))


def _ascii(text: str) -> str:
    """Return what DigitalMicrograph makes of a text."""
    return text.replace("\u00b5", "u").replace("\u03bc", "u").encode("ascii", "replace").decode()
