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
INF = float("inf")  # the difference of what cannot be compared


class Comparison(NamedTuple):
    """One frame: what the window in DM shows against the cell's result.

    `difference` is the largest one between the values, which DM holds as float32; `equal` means the axes too.
    What is not equal is said in `wrong`.
    """

    frame: int
    window: str
    shape: tuple[int, ...]
    difference: float
    wrong: str = ""

    @property
    def equal(self) -> bool:
        """Whether the window shows what the cell gives."""
        return not self.wrong


class Check(tuple[Comparison, ...]):
    """The comparisons of all frames."""

    __slots__ = ()

    @property
    def equal(self) -> bool:
        """Whether the script showed what the cell gives, for every frame and at least one."""
        return bool(self) and all(comparison.equal for comparison in self)

    def __repr__(self) -> str:
        """Return a table with a line for each window."""
        table = [("window", "frames", "equal", "difference", "")]
        for window in dict.fromkeys(c.window for c in self):
            mine = [c for c in self if c.window == window]
            wrong = [c for c in mine if not c.equal]
            first = f"frame {wrong[0].frame}: {wrong[0].wrong}" if wrong else ""
            largest = max(c.difference for c in mine)
            said = "-" if largest == INF else f"{largest:.3g}"
            table.append((window, str(len(mine)), str(len(mine) - len(wrong)), said, first))
        width = max(len(row[0]) for row in table)
        lines = [
            f"{row[0]:<{width}}  {row[1]:>6}  {row[2]:>6}  {row[3]:>10}  {row[4]}".rstrip() for row in table
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
        A PNG file to write, with all windows as they are after the last frame, and what was printed.

    Raises
    ------
    ValueError, SyntaxError
        If it is no exported script, or no Python any more.
    RuntimeError
        If the script fails, with what it printed; or the cell.
    """
    from dmlink.readback import parts_of, read_script  # noqa: PLC0415 - they make cells, which can be exported
    from dmlink.simulator import Microscope  # noqa: PLC0415 - takes DigitalMicrograph's place meanwhile

    name = parts_of(script)[0]
    against = read_script(script) if against is None else against
    program = against if isinstance(against, Program) else against.program
    text = Path(script).read_text(encoding="utf-8")
    compile(text, str(script), "exec", dont_inherit=True)
    cell = Instance(program)
    played = Played(frames)
    wanted = Wanted(name, played.name)
    comparisons: list[Comparison] = []
    # the last two as the simulated camera has them
    tags = {**frames[0].tags, "exposure": 1 / FPS, "binning": 1.0}
    python = max([OLDEST, *(newer for newer, _, _ in newer_python(text))])  # a GMS that can run it
    with Microscope(played, FPS, loop=False, python=python) as microscope:
        microscope.camera.pause()
        microscope.camera.seek(0)
        microscope.camera.step()
        began = time.perf_counter()
        running = microscope.run_script(text, background=False, name=name)
        try:
            running.join(60.0)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise RuntimeError(f"{script} fails as soon as it is executed: {what}.") from error
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
            said = running.output
            result = _processed(cell, frame, info, script, said)
            if result:
                windows = {window.name: window for window in microscope.windows()}
                comparisons += wanted.compare(frame.index, index, result, windows, said)
        if picture:
            from dmlink.simulator.picture import draw  # noqa: PLC0415 - as above

            printed = [line for line in running.output if not line.startswith(f"{name}: running on ")]
            draw(microscope.windows(), picture, printed)
    return Check(comparisons)


def _processed(cell: Instance, frame: Frame, info: Info, script: str | Path, said: list[str]) -> Any:
    """Return the cell's result.

    Raises
    ------
    RuntimeError
        If the cell fails, or the script has.
    """
    failed = [line for line in said if "of the script: " in line or "showing the result: " in line]
    try:
        result = cell.process(frame.data, info)
    except Exception as error:
        why = "; ".join(cell.explain(error).splitlines())
        too = f"The script says: {failed[0]}." if failed else "The script does not."
        raise RuntimeError(f"The cell fails at frame {frame.index}: {why}. {too}") from error
    if failed:
        raise RuntimeError("\n".join([f"{script} failed at frame {frame.index}. It said:", *said]))
    return result


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
        parts = list(_parts(self._name, result))
        marks = [part for _, part in parts if isinstance(part, (Points, Boxes))]  # all are on the live view
        comparisons = [
            c for name, part in parts for c in self._shown(frame, index, name, part, windows, said)
        ]
        if marks:
            title = _ascii(self._source)
            comparisons.append(_marked(frame, title, marks, windows.get(title)))
        self._known.update(comparison.window for comparison in comparisons)
        yield from comparisons
        for title in windows.keys() - self._known:
            yield Comparison(frame, title, windows[title].data.shape, INF, "the cell gives no such result")

    def _shown(
        self, frame: int, index: int, name: str, part: Any, windows: dict[str, OpenWindow], said: list[str]
    ) -> Iterator[Comparison]:
        title = self._title(name)
        window = windows.get(title)
        if isinstance(part, Scalar):
            values = np.array(list(part.series.values()), dtype=np.float32)
            yield _compared(frame, title, self._column(name, window), values, None, window)
        elif isinstance(part, Profile):
            values = part.values.astype(np.float32)
            yield _compared(frame, title, window and window.data, values, [part.x], window)
            title = self._title(f"{name} in time")
            column = self._column(f"{name} in time", windows.get(title))
            yield _compared(frame, title, column, values, None, windows.get(title))
        elif isinstance(part, (Image, Overlay)):
            image = part if isinstance(part, Image) else part.image
            colour = image.values.ndim == 3  # made in DM-script, without axes
            values = image.values if colour else image.values.astype(np.float32)
            axes = None if colour else [image.x, image.y]
            yield _compared(frame, title, window and window.data, values, axes, window)
            if isinstance(part, Overlay):
                yield _marked(frame, title, part.marks, window)
        elif f"{name}, frame {index}:" in said:
            start = said.index(f"{name}, frame {index}:") + 1
            lines = _ascii(part.text).split("\n")
            same = said[start : start + len(lines)] == lines
            yield Comparison(
                frame, "Results", (len(lines),), 0.0 if same else INF, "" if same else "other words"
            )

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


def _parts(name: str, result: Any) -> Iterator[tuple[str, Any]]:
    """Yield a result, or each of several, with the name of its window."""
    if isinstance(result, Several):
        for key, part in result.results.items():
            yield f"{name} {key}", part
    else:
        yield name, result


def _compared(
    frame: int, title: str, shown: Any, wanted: Any, axes: Any, window: OpenWindow | None
) -> Comparison:
    if window is None:
        return Comparison(frame, title, (), INF, "there is no such window")
    if shown.shape != wanted.shape:
        return Comparison(frame, title, shown.shape, INF, f"shape {shown.shape}, and not {wanted.shape}")
    difference = np.abs(np.nan_to_num(shown.astype(float)) - np.nan_to_num(wanted.astype(float))).max()
    wrong = ""
    if not np.array_equal(shown, wanted, equal_nan=wanted.dtype.kind == "f"):
        wrong = "other values"
    elif axes is not None and not _close(window.axes, axes):
        wrong = f"axes {_listed(window.axes)}, and not {_listed(axes)}"
    return Comparison(frame, title, window.data.shape, float(difference), wrong)


def _marked(frame: int, title: str, marks: Sequence[Any], window: OpenWindow | None) -> Comparison:
    places = [
        np.hstack([mark.yx - 3, mark.yx + 3]) if isinstance(mark, Points) else mark.tlbr for mark in marks
    ]
    wanted = [tuple(place) for some in places for place in some[:MOST_MARKS].tolist()]
    labels = [_ascii(label) for mark in marks for label in mark.labels[:MOST_MARKS] if label]
    shown = [] if window is None else [place for kind, place in window.marks if kind == BOX]
    wrong = ""
    if sorted(wanted) != sorted(shown):
        wrong = "other marks"
    elif window and sorted(labels) != sorted(window.texts):
        wrong = "other labels"
    return Comparison(frame, title, (len(shown),), INF if wrong else 0.0, wrong)


def _close(shown: Sequence[Axis], wanted: Sequence[Axis]) -> bool:
    return all(np.allclose(s[:2], w[:2]) and s.unit == w.unit for s, w in zip(shown, wanted, strict=True))


def _listed(axes: Sequence[Axis]) -> str:
    return ", ".join(f"{a.origin:.4g} + {a.scale:.4g} i {a.unit}".rstrip() for a in axes)


def _in_dm(axis: Axis) -> Axis:
    return axis._replace(unit=_ascii(axis.unit))


def _ascii(text: str) -> str:
    """Return what DigitalMicrograph makes of a text."""
    return text.replace("\u00b5", "u").replace("\u03bc", "u").encode("ascii", "replace").decode()
