"""Markers: places and rectangles that live cells have found, to be drawn over the live view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmlink_widgets.colour import colour_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dmlink.cell import LiveCell
    from dmlink.frame import Frame
    from dmlink.link import Link

MOST = 1000  # markers of a cell that are drawn: more are a colour, not places


def markers(frame: Frame, link: Link, cells: Iterable[LiveCell]) -> list[dict[str, Any]]:
    """Return what these cells have found in the view that this frame of `link` is of.

    Each is a dict as ImageOverlay takes it: `name`, `colour`, and `points` [[y, x], ...] with `tails`, or
    `boxes` [[top, left, bottom, right], ...], in pixels of the frame; `labels` if there are any.
    """
    found: list[dict[str, Any]] = []
    for cell in cells:
        latest, seen = cell.latest, cell.frame
        if latest is None or seen is None or cell.link is None:
            continue
        if cell.link.endpoint == link.endpoint and seen.source == frame.source:
            offset = _corner(seen)[0] - _corner(frame)[0], _corner(seen)[1] - _corner(frame)[1]
            about = {"name": cell.name, "colour": colour_of(cell.name)}
            results = getattr(latest[1], "results", {"": latest[1]}).values()
            places = [result for result in results if result.kind in {"points", "boxes"}]
            found.extend(about | _places(result, *offset) for result in places)
    return found


def _places(result: Any, dy: float, dx: float) -> dict[str, Any]:
    labels = getattr(result, "labels", None) or ()
    places: dict[str, Any] = {"labels": [str(label) for label in labels[:MOST]]} if labels else {}
    if result.kind == "boxes":
        return places | {"boxes": _moved(result.tlbr, [dy, dx, dy, dx])}
    tails = getattr(result, "tails", None) or ()
    if tails:
        places["tails"] = [_moved(tail, [dy, dx]) for tail in tails[:MOST]]
    # a place is the middle of its pixel, the screen counts from the pixel's corner
    return places | {"points": _moved(result.yx, [dy + 0.5, dx + 0.5])}


def _moved(places: Any, by: list[float]) -> list[list[float]]:
    moved: list[list[float]] = (places[:MOST] + by).round(2).tolist()
    return moved


def _corner(frame: Frame) -> tuple[int, int]:
    return (frame.roi.top, frame.roi.left) if frame.roi else (0, 0)
