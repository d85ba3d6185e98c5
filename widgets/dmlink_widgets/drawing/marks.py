"""Marks: points and rectangles found by cells, as drawn over an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmlink_widgets.drawing.colour import colour_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dmlink.cell.live_cell import LiveCell
    from dmlink.frame import Frame
    from dmlink.growing.link import FollowedLink
    from dmlink.link.link import Link

MOST = 1000  # marks drawn per cell; more would only cover the image


def marks_in_view(frame: Frame, link: Link | FollowedLink, cells: Iterable[LiveCell]) -> list[dict[str, Any]]:
    """Return the marks of these cells in the view from which this frame of `link` comes.

    Returns
    -------
    list of dict
        As returned by `mark`, in pixels of the frame, with `name`, `colour`, and `behind`: how many frames
        earlier they were found.
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
            found.extend(about | mark(r, *offset) for r in results if r.kind in {"points", "boxes"})
    return found


def place_of(link: Link | FollowedLink, source: str) -> str:
    """Return a key that is equal for a cell and a live view of the same image."""
    return f"{link.endpoint.address} {source}"


def roi_colours(link: Link | FollowedLink, source: str, cells: Iterable[LiveCell]) -> dict[str, str]:
    """Return the colours of ROIs with cells, by name; of several cells, the first one's."""
    found: dict[str, str] = {}
    for cell in cells:
        if cell.link is None or not cell.link.roi or not cell.running:
            continue
        if place_of(cell.link, source_of(cell)) == place_of(link, source):
            found.setdefault(cell.link.roi, colour_of(cell.name))
    return found


def source_of(cell: LiveCell) -> str:
    """Return the name of the image that a cell runs on; empty if it is not known yet."""
    if cell.frame is not None:
        return cell.frame.source
    return (cell.link.source or "") if cell.link else ""


def mark(result: Any, dy: float = 0.0, dx: float = 0.0) -> dict[str, Any]:
    """Return Points or Boxes, shifted by (dy, dx) pixels, in the form that ImageOverlay draws.

    Returns
    -------
    dict
        `points` [[y, x], ...], with `tails` if there are any, or `boxes` [[top, left, bottom, right], ...];
        `labels` if there are any.
    """
    labels = getattr(result, "labels", None) or ()
    found: dict[str, Any] = {"labels": [str(label) for label in labels[:MOST]]} if labels else {}
    if result.kind == "boxes":
        return found | {"boxes": _moved(result.tlbr, [dy, dx, dy, dx])}
    tails = getattr(result, "tails", None) or ()
    if tails:
        found["tails"] = [_moved(tail, [dy + 0.5, dx + 0.5]) for tail in tails[:MOST]]
    # cells count from the centre of a pixel, the screen from its corner
    return found | {"points": _moved(result.yx, [dy + 0.5, dx + 0.5])}


def _moved(places: Any, by: list[float]) -> list[list[float]]:
    moved: list[list[float]] = (places[:MOST] + by).round(2).tolist()
    return moved


def _corner(frame: Frame) -> tuple[int, int]:
    return (frame.roi.top, frame.roi.left) if frame.roi else (0, 0)
