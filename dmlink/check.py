"""Check: an exported script in the simulated DigitalMicrograph, against the cell that it was made of."""

from __future__ import annotations

import html
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dmlink.indm.info import TAGS, Axis, Info
from dmlink.indm.results import Profile, Result, Scalar
from dmlink.program import Instance, Program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmlink.export import HasProgram
    from dmlink.frame import Frame


FPS = 20.0  # of the simulated camera, though it is stepped
DRAWN = {"scalar", "profile", "image"}


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


def check(script: str | Path, frames: Sequence[Frame], against: HasProgram | Program) -> Check:
    """Run an exported script over frames in the simulated DigitalMicrograph; compare it with the cell.

    Parameters
    ----------
    script : str or Path
        The exported script.
    frames : sequence of Frame
        A Recording, or frames of one shape in a list. One that equals the frame before it is left out: to
        DigitalMicrograph it is no new frame.
    against : LiveCell or Program
        The cell; its program is run anew, so nothing it keeps in `state` matters.

    Raises
    ------
    RuntimeError
        If the script fails: with what it printed.
    ValueError
        If the cell's result is none that DigitalMicrograph draws.
    """
    from dmlink.simulator import Microscope  # noqa: PLC0415 - takes DigitalMicrograph's place meanwhile

    program = against if isinstance(against, Program) else against.program
    text = Path(script).read_text(encoding="utf-8")
    cell = Instance(program)
    played = Played(frames)
    title = _ascii(f"{program.name} of {played.name}")
    comparisons = []
    shown = 0
    tags = {
        **frames[0].tags,
        "exposure": 1 / FPS,
        "binning": 1.0,
    }  # the last two as the simulated camera has them
    with Microscope(played, FPS, loop=False) as microscope:
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
            if result and result.kind not in DRAWN:
                raise ValueError(
                    f"DigitalMicrograph prints a {result.kind} and draws none: nothing to compare."
                )
            windows = [window for window in microscope.windows() if window.name == title]
            failed = any("of the script:" in line for line in running.output)
            if failed or (result and not windows):
                said = "\n".join(running.output)
                raise RuntimeError(f"{script} failed at frame {frame.index}. It said:\n{said}")
            if result:
                comparisons.append(_compare(frame.index, title, windows[0], result, shown))
                shown += 1
    return Check(comparisons)


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


def _compare(index: int, title: str, window: Any, result: Result, column: int) -> Comparison:
    """Compare one result with the window; that of a number is a strip chart, with a column for each frame."""
    shown = window.data
    axes: list[Axis] | None = None
    if isinstance(result, Scalar):
        wanted = np.array(list(result.series.values()), dtype=np.float32)
        shown = shown[:, column]
    else:
        wanted = np.asarray(result.values)
        wanted = wanted if wanted.ndim == 3 else wanted.astype(np.float32)
        axes = [result.x] if isinstance(result, Profile) else [result.x, result.y]
    if shown.shape != wanted.shape:
        return Comparison(index, title, shown.shape, float("inf"), equal=False)
    difference = np.abs(np.nan_to_num(shown.astype(float)) - np.nan_to_num(wanted.astype(float))).max()
    same = np.array_equal(shown, wanted, equal_nan=wanted.dtype.kind == "f")
    # colour images are made in DM-script, without axes
    same_axes = axes is None or wanted.ndim == 3 or _close(window.axes, axes)
    return Comparison(index, title, shown.shape, float(difference), equal=same and same_axes)


def _close(shown: Sequence[Axis], wanted: Sequence[Axis]) -> bool:
    return all(np.allclose(s[:2], w[:2]) and s.unit == w.unit for s, w in zip(shown, wanted, strict=True))


def _in_dm(axis: Axis) -> Axis:
    return axis._replace(unit=_ascii(axis.unit))


def _ascii(text: str) -> str:
    """Return what DigitalMicrograph makes of a text."""
    return text.replace("\u00b5", "u").replace("\u03bc", "u").encode("ascii", "replace").decode()
