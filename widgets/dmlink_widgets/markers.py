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
    `boxes` [[top, left, bottom, right], ...], in pixels of the frame; `labels` if there are any. `behind`
    tells how many frames before this one they were found.
    """
    found: list[dict[str, Any]] = []
    for cell in cells:
        latest, seen = cell.latest, cell.frame
        if latest is None or seen is None or cell.link is None:
            continue
        if cell.link.endpoint == link.endpoint and seen.source == frame.source:
            offset = _corner(seen)[0] - _corner(frame)[0], _corner(seen)[1] - _corner(frame)[1]
            behind = frame.index - seen.index
            about = {"name": cell.name, "colour": colour_of(cell.name), "behind": behind}
            results = getattr(latest[1], "results", {"": latest[1]}).values()
            found.extend(about | places(r, *offset) for r in results if r.kind in {"points", "boxes"})
    return found


def places(result: Any, dy: float = 0.0, dx: float = 0.0) -> dict[str, Any]:
    """Return where Points or Boxes are as ImageOverlay takes it, moved by (dy, dx) pixels."""
    labels = getattr(result, "labels", None) or ()
    found: dict[str, Any] = {"labels": [str(label) for label in labels[:MOST]]} if labels else {}
    if result.kind == "boxes":
        return found | {"boxes": _moved(result.tlbr, [dy, dx, dy, dx])}
    tails = getattr(result, "tails", None) or ()
    if tails:
        found["tails"] = [_moved(tail, [dy + 0.5, dx + 0.5]) for tail in tails[:MOST]]
    # a place is the middle of its pixel, the screen counts from the pixel's corner
    return found | {"points": _moved(result.yx, [dy + 0.5, dx + 0.5])}


def _moved(places: Any, by: list[float]) -> list[list[float]]:
    moved: list[list[float]] = (places[:MOST] + by).round(2).tolist()
    return moved


def _corner(frame: Frame) -> tuple[int, int]:
    return (frame.roi.top, frame.roi.left) if frame.roi else (0, 0)
