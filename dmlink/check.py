"""Check: an exported script in the simulated DigitalMicrograph, against the cell that it was made of."""

from __future__ import annotations

import contextlib
import html
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.comparison import INF, Comparison, Wanted, in_dm
from dmlink.indm.info import TAGS, Axis, Info
from dmlink.needs import OLDEST, newer_python
from dmlink.program import Instance, Program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dmlink.export import HasProgram
    from dmlink.frame import Frame


FPS = 20.0  # of the simulated camera, though it is stepped


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
    if "process_recording(" in text:
        raise ValueError(f"{script} processes a recording; what is checked are scripts for the live view.")
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
        try:
            with _clock_at(frames[0].time):
                running = microscope.run_script(text, background=False, name=name)
                running.join(60.0)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise RuntimeError(f"{script} fails as soon as it is executed: {what}.") from error
        before: Any = None
        for index, frame in enumerate(frames):
            if index:
                time.sleep(time.perf_counter() - began)  # the script rests as long as it has worked
                began = time.perf_counter()
            with _clock_at(frame.time):
                if index:
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


@contextlib.contextmanager
def _clock_at(seconds: float) -> Iterator[None]:
    """Let it be the time of a frame in this process, as a script looks at the clock when a frame comes."""
    real, time.time = time.time, lambda: seconds
    try:
        yield
    finally:
        time.time = real


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
        why = "; ".join(line.rstrip(".") for line in cell.explain(error).splitlines())
        too = f"The script says: {failed[0].rstrip('.')}." if failed else "The script does not."
        raise RuntimeError(f"The cell fails at frame {frame.index}: {why}. {too}") from error
    if failed:
        raise RuntimeError("\n".join([f"{script} failed at frame {frame.index}. It said:", *said]))
    return result


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


def _in_dm(axis: Axis) -> Axis:
    return axis._replace(unit=in_dm(axis.unit))
