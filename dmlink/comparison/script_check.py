"""Script check: runs an exported script in the simulated DigitalMicrograph and compares it with its cell."""

from __future__ import annotations

import html
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.comparison.windows import INF, ExpectedWindows, WindowComparison
from dmlink.frame import Axis, Info
from dmlink.gms_versions import OLDEST
from dmlink.indm.info import ascii_text
from dmlink.program.instance import Instance
from dmlink.program.program import Program, program_of
from dmlink.script.readback import parts_of, read_program
from dmlink.script.requirements import newer_python

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmlink.frame import Frame
    from dmlink.program.program import HasProgram


FPS = 20.0  # rate of the simulated camera, although it is stepped


class Comparison(tuple[WindowComparison, ...]):
    """A script compared with its cell: one item for each window after each frame."""

    __slots__ = ()

    @property
    def equal(self) -> bool:
        """Whether the script showed the cell's result for every frame, and for at least one."""
        return bool(self) and all(comparison.equal for comparison in self)

    def __repr__(self) -> str:
        """Return a table with a line for each window."""
        table = [("window", "frames", "equal", "difference", "")]
        for window in dict.fromkeys(c.window for c in self):
            mine = [c for c in self if c.window == window]
            wrong = [c for c in mine if not c.equal]
            first = f"frame {wrong[0].frame}: {wrong[0].wrong}" if wrong else ""
            largest = max(c.difference for c in mine)
            difference = "-" if largest == INF else f"{largest:.3g}"
            table.append((window, str(len(mine)), str(len(mine) - len(wrong)), difference, first))
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
    *,
    overwrite: bool = False,
) -> Comparison:
    """Run an exported script on frames in the simulated DigitalMicrograph and compare it with the cell.

    Every window and every event is compared after every frame; other printed results whenever the script
    prints them.

    Parameters
    ----------
    script : str or Path
        The exported script.
    frames : sequence of Frame
        A Recording, or a list of frames of the same shape. A frame that equals the previous one is left out,
        because DigitalMicrograph does not regard it as new.
    against : LiveCell or Program, optional
        The cell. Its program is run from the start, so its present `state` does not matter. By default, the
        cell in the script.
    picture : str or Path, optional
        A PNG file to write: all windows after the last frame, and the printed lines.
    overwrite : bool
        Whether an existing picture may be replaced.

    Raises
    ------
    FileExistsError
        If the picture exists.
    ValueError, SyntaxError
        If it is not an exported script, or no longer valid Python.
    RuntimeError
        If the script fails (the message has its output), or if the cell fails.
    """
    from dmlink.simulator import Microscope  # noqa: PLC0415 - only needed for a check

    script = Path(script).expanduser()
    picture = Path(picture).expanduser() if picture else None
    if picture and picture.exists() and not overwrite:
        raise FileExistsError(
            f"{picture} exists. Choose another name (-o), or replace it (overwrite=True, --overwrite)."
        )
    parts = parts_of(script)
    name, text = parts.name, script.read_text(encoding="utf-8")
    if against is None:
        against = read_program(script)
    if not parts.is_live:
        raise ValueError(f"{script} processes a recording; only scripts for the live view can be checked.")
    compile(text, str(script), "exec", dont_inherit=True)
    cell = Instance(program_of(against))
    recording = InMemoryRecording(frames)
    expected = ExpectedWindows(name, recording.name)
    comparisons: list[WindowComparison] = []
    # The simulated camera sets these two.
    tags = {**frames[0].tags, "exposure": 1 / FPS, "binning": 1.0}
    python = max([OLDEST, *(newer for newer, _, _ in newer_python(text))])  # a GMS that can run it
    before: Any = None
    frame = frames[0]  # the script takes its time from the clock
    with Microscope(recording, FPS, loop=False, python=python, clock=lambda: frame.time) as microscope:
        microscope.camera.pause()
        microscope.camera.seek(0)
        microscope.camera.step()
        began = time.perf_counter()
        try:
            running = microscope.run_script(text, background=False, name=name)
            running.join(60.0)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise RuntimeError(f"{script} fails at its start: {reason}.") from error
        for index, frame in enumerate(frames):
            if index:
                time.sleep(time.perf_counter() - began)  # the script pauses for as long as it has worked
                began = time.perf_counter()
                microscope.camera.step()
            microscope.settle(60.0)
            if index and np.array_equal(frame.data, before):
                continue
            before = frame.data
            info = Info(index, frame.time, _in_dm(frame.x), _in_dm(frame.y), None, recording.name, tags)
            printed = running.output
            result = _processed(cell, frame, info, script, printed)
            if result:
                windows = {window.name: window for window in microscope.windows()}
                comparisons += expected.compare(frame.index, index, result, windows, printed, frame.time)
        if picture:
            from dmlink.simulator.picture import draw  # noqa: PLC0415

            printed = [line for line in running.output if not line.startswith(f"{name}: running on ")]
            draw(microscope.windows(), picture, printed)
    return Comparison(comparisons)


def _processed(cell: Instance, frame: Frame, info: Info, script: str | Path, printed: list[str]) -> Any:
    """Return the cell's result.

    Raises
    ------
    RuntimeError
        If the cell fails, or the script failed.
    """
    failed = [line for line in printed if "of the script: " in line or "showing the result: " in line]
    try:
        result = cell.process(frame.data, info)
    except Exception as error:
        why = "; ".join(line.rstrip(".") for line in cell.explain(error).splitlines())
        too = f"The script fails too: {failed[0].rstrip('.')}." if failed else "The script does not fail."
        raise RuntimeError(f"The cell fails at frame {frame.index}: {why}. {too}") from error
    if failed:
        raise RuntimeError("\n".join([f"{script} failed at frame {frame.index}. It printed:", *printed]))
    return result


class InMemoryRecording:
    """Frames in a list, as a recording for the simulated camera."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = frames
        first = frames[0]
        self.name, self.dtype = first.source, first.data.dtype
        self.shape = (len(frames), *first.data.shape)
        self.x, self.y = first.x, first.y
        self.tags = first.tags

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, i: int) -> Frame:
        return self._frames[i]


def _in_dm(axis: Axis) -> Axis:
    return axis._replace(unit=ascii_text(axis.unit))
