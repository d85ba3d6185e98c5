"""Windows: compares the windows in the simulated DigitalMicrograph with a cell's results."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dmlink.indm.info import ascii_text
from dmlink.indm.results import Boxes, Event, Image, Overlay, Points, Profile, Scalar, Several

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dmlink.frame import Axis
    from dmlink.simulator.dm.windows import OpenWindow

BOX = 5  # DM's number for this kind of annotation
MAX_MARKS = 200  # of each kind that a script draws
EVENT_SECONDS = 5.0  # for which a script marks an event
INF = float("inf")  # difference reported for values that cannot be compared


class WindowComparison(NamedTuple):
    """One window in DM after one frame, compared with the cell's result.

    `difference` is the largest difference between the values, which DM stores as float32. `wrong` says what
    differs; it is empty if values and axes are equal.
    """

    frame: int
    window: str
    shape: tuple[int, ...]
    difference: float
    wrong: str = ""

    @property
    def equal(self) -> bool:
        """Whether the window shows the cell's result."""
        return not self.wrong


class ExpectedWindows:
    """The expected content of the windows in DM, including the length of their histories."""

    def __init__(self, name: str, source: str) -> None:
        self._name, self._source = name, source
        self._columns: dict[str, tuple[int, int]] = {}  # number of values and newest column, by window
        self._known = {source}
        self._events: dict[str, tuple[float, str]] = {}  # time and text of those that are still marked

    def compare(
        self,
        frame: int,
        index: int,
        result: Any,
        windows: dict[str, OpenWindow],
        printed: list[str],
        time: float = 0.0,
    ) -> Iterator[WindowComparison]:
        """Yield a comparison for each window of the result, and for each window without a result.

        `time` (s) is the script's, which marks events for a while.
        """
        parts = list(_parts(self._name, result))
        marks = [part for _, part in parts if isinstance(part, (Points, Boxes))]  # all on the live view
        marks += self._marked_events(parts, windows.get(self._source), time)
        comparisons = [
            c for name, part in parts for c in self._shown(frame, index, name, part, windows, printed)
        ]
        if marks or any(isinstance(part, (Points, Boxes, Event)) for _, part in parts):
            comparisons.append(_marked(frame, self._source, marks, windows.get(self._source)))
        self._known.update(comparison.window for comparison in comparisons)
        yield from comparisons
        for title in windows.keys() - self._known:
            yield WindowComparison(
                frame, title, windows[title].data.shape, INF, "the cell has no such result"
            )

    def _shown(
        self, frame: int, index: int, name: str, part: Any, windows: dict[str, OpenWindow], printed: list[str]
    ) -> Iterator[WindowComparison]:
        title = self._title(name)
        window = windows.get(title)
        if isinstance(part, Scalar):
            values = np.array(list(part.series.values()), dtype=np.float32)
            yield _compared(frame, title, self._column(name, values, window), values, None, window)
        elif isinstance(part, Profile):
            values = part.values.astype(np.float32)
            yield _compared(frame, title, window and window.data, values, [part.x], window)
            title = self._title(f"{name} in time")
            column = self._column(f"{name} in time", values, windows.get(title))
            yield _compared(frame, title, column, values, None, windows.get(title))
        elif isinstance(part, (Image, Overlay)):
            image = part if isinstance(part, Image) else part.image
            colour = image.values.ndim == 3  # it is created by DM-script, without axes
            values = image.values if colour else image.values.astype(np.float32)
            axes = None if colour else [image.x, image.y]
            yield _compared(frame, title, window and window.data, values, axes, window)
            if isinstance(part, Overlay):
                yield _marked(frame, title, part.marks, window)
        elif isinstance(part, Event):
            place = f"{name}, frame {index}, "
            found = [line.partition(" s: ")[2] for line in printed if line.startswith(place)]
            same = found == ([ascii_text(part.text).split("\n")[0]] if part.happened else [])
            yield WindowComparison(
                frame, "Results", (len(found),), 0.0 if same else INF, "" if same else "the event differs"
            )
        elif f"{name}, frame {index}:" in printed:
            start = printed.index(f"{name}, frame {index}:") + 1
            lines = ascii_text(part.text).split("\n")
            same = printed[start : start + len(lines)] == lines
            yield WindowComparison(
                frame, "Results", (len(lines),), 0.0 if same else INF, "" if same else "the text differs"
            )

    def _marked_events(
        self, parts: list[tuple[str, Any]], view: OpenWindow | None, time: float
    ) -> list[Boxes]:
        """Return the box around the frame with the texts of the recent events, if there are any."""
        self._events = {n: e for n, e in self._events.items() if time - e[0] <= EVENT_SECONDS}
        self._events.update(
            {name: (time, part.text) for name, part in parts if isinstance(part, Event) and part.happened}
        )
        height, width = view.data.shape[:2] if view else (0, 0)
        label = "; ".join(text for _, text in self._events.values())
        return [Boxes([(0, 0, height, width)], labels=[label])] if label else []

    def _title(self, name: str) -> str:
        return ascii_text(f"{name} of {self._source}")

    def _column(self, name: str, values: Any, window: OpenWindow | None) -> Any:
        """Return the newest column of a history, which starts again when the number of values changes."""
        n, column = self._columns.get(name, (len(values), -1))
        column = column + 1 if n == len(values) else 0
        self._columns[name] = len(values), column
        if window is None:
            return None
        axis = window.axes[0]
        newest = math.ceil((column - axis.origin) / axis.scale - 1e-9)
        there = newest < window.data.shape[1]  # otherwise the frame was not drawn
        return window.data[:, newest] if there else window.data[:, :0]


def _parts(name: str, result: Any) -> Iterator[tuple[str, Any]]:
    """Yield a result, or each of several, with the name of its window."""
    if isinstance(result, Several):
        for key, part in result.results.items():
            yield f"{name} {key}", part
    else:
        yield name, result


def _compared(
    frame: int, title: str, shown: Any, expected: Any, axes: Any, window: OpenWindow | None
) -> WindowComparison:
    if window is None:
        return WindowComparison(frame, title, (), INF, "there is no such window")
    if shown.shape != expected.shape:
        return WindowComparison(
            frame, title, shown.shape, INF, f"shape {shown.shape} instead of {expected.shape}"
        )
    difference = np.abs(np.nan_to_num(shown.astype(float)) - np.nan_to_num(expected.astype(float))).max()
    wrong = ""
    if not np.array_equal(shown, expected, equal_nan=expected.dtype.kind == "f"):
        wrong = "the values differ"
    elif axes is not None and not _close(window.axes, axes):
        wrong = f"axes {_listed(window.axes)} instead of {_listed(axes)}"
    return WindowComparison(frame, title, window.data.shape, float(difference), wrong)


def _marked(frame: int, title: str, marks: Sequence[Any], window: OpenWindow | None) -> WindowComparison:
    def expected(shift: float) -> list[tuple[float, ...]]:
        places = [
            np.hstack([mark.yx + shift - 3, mark.yx + shift + 3]) if isinstance(mark, Points) else mark.tlbr
            for mark in marks
        ]
        return sorted(tuple(place) for some in places for place in some[:MAX_MARKS].tolist())

    labels = [ascii_text(label) for mark in marks for label in mark.labels[:MAX_MARKS] if label]
    shown = [] if window is None else [place for kind, place in window.marks if kind == BOX]
    wrong = ""
    # 0.0: scripts of 0.1.0 draw points half a pixel higher and further left
    if sorted(shown) not in (expected(0.5), expected(0.0)):
        wrong = "the marks differ"
    elif window and sorted(labels) != sorted(window.texts):
        wrong = "the labels differ"
    return WindowComparison(frame, title, (len(shown),), INF if wrong else 0.0, wrong)


def _close(shown: Sequence[Axis], expected: Sequence[Axis]) -> bool:
    return all(np.allclose(s[:2], w[:2]) and s.unit == w.unit for s, w in zip(shown, expected, strict=True))


def _listed(axes: Sequence[Axis]) -> str:
    return ", ".join(f"{a.origin:.4g} + {a.scale:.4g} i {a.unit}".rstrip() for a in axes)
