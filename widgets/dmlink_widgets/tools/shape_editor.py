"""ShapeEditor: the lines, rulers and masks drawn over an image."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dmlink.indm.outline import CORNERS
from dmlink_widgets.drawing.tool_overlay import ToolOverlay

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dmlink_widgets.controls.undo import Undo
    from dmlink_widgets.measuring.lengths import Point

COLOURS = {"line": "#ffd400", "ruler": "#00e5ff", "spot": "#00e5ff"}
MASK_COLOUR = "#ff6ec7"
MASKS = "ellipse", "ring", "polygon"
LINE = 0  # id of the one line
NOWHERE = (1.0, 1.0), (0.0, 0.0)  # factors and shifts
MOST = 200  # shapes; more would only cover the image
POINTS = {"line": 2, "ruler": 2, "spot": 1, "ellipse": 2, "ring": 3}  # a polygon has 3 or more
MOST_POINTS = CORNERS["polygon"][1]


@dataclass(frozen=True)
class Shape:
    """A shape over an image, as ToolOverlay draws it."""

    id: int
    kind: str
    points: tuple[Point, ...]
    width: float = 1.0
    name: str = ""
    label: str = ""

    @property
    def state(self) -> dict[str, Any]:
        """The shape as it is sent to the page."""
        colour = COLOURS.get(self.kind, MASK_COLOUR)
        points = [list(point) for point in self.points]
        return {**vars(self), "points": points, "colour": colour}


class ShapeEditor:
    """Keeps the shapes drawn in the page; there is at most one line.

    Parameters
    ----------
    undo : Undo
        Undoes changes made here.
    changed : callable
        Called with the kind of the changed shape.

    Attributes
    ----------
    overlay : ToolOverlay
        Shows the shapes.
    placed : callable
        Called with the point of a new "spot"; returns the point where it is placed.
    """

    def __init__(self, undo: Undo, changed: Callable[[str], None], tool: str = "") -> None:
        self._undo = undo
        self._changed = changed
        self._lock = threading.Lock()  # guards the next two, which the painter's thread changes, too
        self._shapes: dict[int, Shape] = {}
        self._next = LINE + 1
        self._released: tuple[int, tuple[Point, ...]] | None = None  # where the last drag has ended
        self._width = 1.0  # of the line, also of the next one
        self._carried: dict[str, tuple[Point, Point]] = {}  # by kind: factors and shifts since the start
        self.placed: Callable[[Point], Point] = lambda point: point
        self.overlay = ToolOverlay(self._take_action, tool=tool)
        self.overlay.observe(self._move, "moved")

    def of(self, *kinds: str) -> list[Shape]:
        """Return the shapes of these kinds, oldest first."""
        return [shape for shape in list(self._shapes.values()) if shape.kind in kinds]

    @property
    def line(self) -> Shape | None:
        """The line, if there is one."""
        return self._shapes.get(LINE)

    def draw(self, kind: str) -> None:
        """Set the kind of shape that the next press in the page draws; "" for none."""
        self.overlay.tool = kind

    def add(self, kind: str, points: Sequence[Point]) -> None:
        """Add a shape; a new line replaces the previous one.

        Raises
        ------
        ValueError
            If there are too many shapes, or the points do not form one.
        """
        places = _checked(kind, points)
        if kind == "line":
            return self.set_line(places)
        if len(self._shapes) >= MOST:
            raise ValueError(f"There are {MOST} shapes already; remove some first.")
        number = self._number()
        names = {shape.name for shape in list(self._shapes.values())}
        first = kind if kind in MASKS else ""  # a mask's name is typed after --roi
        name = next(f"{first}{i}" for i in range(1, MOST + 2) if f"{first}{i}" not in names)
        self._set(number, Shape(number, kind, places, name=name))
        self._undo.add(kind, lambda: self._set(number, None))
        self.overlay.selected = number
        return None

    def set_line(self, points: Sequence[Point] | None) -> None:
        """Place the line, or remove it."""
        before = self.line
        after = Shape(LINE, "line", _checked("line", points), self._width) if points else None
        self._set(LINE, after)
        self._undo.add("the line", lambda: self._set(LINE, before), "line")

    def show_line(self, points: Sequence[Point] | None) -> None:
        """Show the line where it was placed elsewhere."""
        self._set(LINE, Shape(LINE, "line", tuple(points), self._width) if points else None, quiet=True)

    def show_mask(self, name: str, kind: str, points: Sequence[Point]) -> None:
        """Show the mask of that name where somebody else has placed it."""
        before = next((shape for shape in self.of(*MASKS) if shape.name == name), None)
        if before is None and len(self._shapes) >= MOST:
            return
        number = before.id if before else self._number()
        self._set(number, Shape(number, kind, _checked(kind, points), name=name), quiet=True)

    def hide_mask(self, name: str) -> None:
        """Hide the mask with that name."""
        for shape in self.of(*MASKS):
            if shape.name == name:
                self._set(shape.id, None, quiet=True)

    def set_width(self, width: float) -> None:
        """Set the width of the line in pixels, and of lines drawn later."""
        self._width = width
        if self.line:
            self._set(LINE, replace(self.line, width=width), quiet=True)

    def carry(self, kind: str, factors: Point, shifts: Point) -> None:
        """Move the points of all shapes of a kind, because what they lie on has other pixels.

        A point (y, x) moves to `factors` times it plus `shifts`.
        """
        with self._lock:
            for number, shape in self._shapes.items():
                if shape.kind == kind:
                    points = tuple(_moved(point, factors, shifts) for point in shape.points)
                    self._shapes[number] = replace(shape, points=points)
            before, by = self._carried.get(kind, NOWHERE)
            together = before[0] * factors[0], before[1] * factors[1]
            self._carried[kind] = together, _moved(by, factors, shifts)
        self.show()

    def _back(self, *shapes: Shape) -> Callable[[], None]:
        """Return a function that puts shapes back, also if their kind has been carried since."""
        carried = dict(self._carried)

        def back() -> None:
            for shape in shapes:
                (fy, fx), (sy, sx) = carried.get(shape.kind, NOWHERE)
                factors, shifts = self._carried.get(shape.kind, NOWHERE)
                first = [((y - sy) / fy, (x - sx) / fx) for y, x in shape.points]
                points = tuple(_moved(point, factors, shifts) for point in first)
                self._set(shape.id, replace(shape, points=points))

        return back

    def label(self, labels: dict[int, str]) -> None:
        """Show these texts next to the shapes with these ids."""
        with self._lock:
            for number, text in labels.items():
                shape = self._shapes.get(number)
                if shape and shape.label != text:
                    self._shapes[number] = replace(shape, label=text)
        self.show()

    def remove(self, *kinds: str) -> None:
        """Remove all shapes of these kinds."""
        gone = self.of(*kinds)
        for shape in gone:
            self._set(shape.id, None)

        if gone:
            self._undo.add("removed measurements", self._back(*gone))

    def show(self) -> None:
        """Update the page."""
        self.overlay.shapes = [shape.state for shape in list(self._shapes.values())]

    def _number(self) -> int:
        """Return an id that no shape has had."""
        with self._lock:
            self._next += 1
            return self._next - 1

    def _set(self, number: int, shape: Shape | None, *, quiet: bool = False) -> None:
        with self._lock:
            before = self._shapes.pop(number, None) if shape is None else self._shapes.get(number)
            if shape is not None:
                self._shapes[number] = shape
        self.show()
        if not quiet and (shape or before):
            self._changed((shape or before).kind)  # type: ignore[union-attr]

    def _take_action(self, message: dict[str, Any]) -> None:
        if "drawn" in message:
            kind, points = str(message["drawn"]["kind"]), _tuples(message["drawn"]["points"])
            self.add(kind, [self.placed(points[0])] if kind == "spot" else points)
            self._undo.settle()
        elif "removed" in message:
            number = int(message["removed"])
            before = self._shapes.get(number)
            if before:
                self._set(number, None)
                self._undo.add(before.kind, self._back(before))
        elif "released" in message:
            self._released = int(message["released"]), _tuples(message["points"])
            self._move_to(*self._released)
            self._undo.settle()

    def _move(self, change: dict[str, Any]) -> None:
        place = int(change["new"]["id"]), _tuples(change["new"]["points"])
        if place != self._released:  # the end of a drag overtakes its last place, and so may an undo
            self._move_to(*place)

    def _move_to(self, number: int, points: tuple[Point, ...]) -> None:
        before = self._shapes.get(number)
        if before is None or before.points == points:  # it was removed meanwhile, or is already there
            return
        self._set(number, replace(before, points=points))
        self._undo.add(before.kind, self._back(before), ("moved", number))


def _moved(point: Point, factors: Point, shifts: Point) -> Point:
    return point[0] * factors[0] + shifts[0], point[1] * factors[1] + shifts[1]


def _tuples(points: Any) -> tuple[Point, ...]:
    return tuple((float(y), float(x)) for y, x in points[:MOST_POINTS])


def _checked(kind: str, points: Sequence[Point]) -> tuple[Point, ...]:
    wanted = POINTS.get(kind)
    enough = len(points) == wanted if wanted else kind == "polygon" and len(points) > 2
    if not enough:
        raise ValueError(f"{len(points)} points do not form the shape {kind!r}.")
    return tuple((float(y), float(x)) for y, x in points)
