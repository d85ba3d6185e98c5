"""Comparison: the windows of the simulated DigitalMicrograph against what a cell gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dmlink.indm.results import Boxes, Image, Overlay, Points, Profile, Scalar, Several

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dmlink.indm.info import Axis
    from dmlink.simulator.windows import OpenWindow

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


class Wanted:
    """What the windows in DM should show, and how many columns their histories should have."""

    def __init__(self, name: str, source: str) -> None:
        self._name, self._source = name, source
        self._columns: dict[str, tuple[int, int]] = {}  # how many values, and which column
        self._known = {source}

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
            comparisons.append(_marked(frame, self._source, marks, windows.get(self._source)))
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
            yield _compared(frame, title, self._column(name, values, window), values, None, window)
        elif isinstance(part, Profile):
            values = part.values.astype(np.float32)
            yield _compared(frame, title, window and window.data, values, [part.x], window)
            title = self._title(f"{name} in time")
            column = self._column(f"{name} in time", values, windows.get(title))
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
            lines = in_dm(part.text).split("\n")
            same = said[start : start + len(lines)] == lines
            yield Comparison(
                frame, "Results", (len(lines),), 0.0 if same else INF, "" if same else "other words"
            )

    def _title(self, name: str) -> str:
        return in_dm(f"{name} of {self._source}")

    def _column(self, name: str, values: Any, window: OpenWindow | None) -> Any:
        """Return the newest column of a history; it begins anew when there are more values, or fewer."""
        n, column = self._columns.get(name, (len(values), -1))
        column = column + 1 if n == len(values) else 0
        self._columns[name] = len(values), column
        return window and window.data[:, column - int(window.axes[0].origin)]


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
    labels = [in_dm(label) for mark in marks for label in mark.labels[:MOST_MARKS] if label]
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


def in_dm(text: str) -> str:
    """Return what DigitalMicrograph makes of a text."""
    return text.translate({0xB5: "u", 0x3BC: "u", 0xC5: "A", 0x212B: "A"}).encode("ascii", "replace").decode()
