"""MaskRois: the ellipses, rings and polygons of a live view as ROIs that cells can run on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from dmlink.frame import Roi
from dmlink_widgets.tools.shape_editor import MASKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.frame import Frame, Outline
    from dmlink.growing.link import FollowedLink
    from dmlink.link.link import Link
    from dmlink_widgets.tools.shape_editor import ShapeEditor

    Place = tuple[tuple[int, ...], Outline | None]

MOST_SENT = 1000  # places of one mask that were sent and have not come back yet


class MaskRois:
    """Keeps the masks over an image in sync with the ROIs of the same names.

    DigitalMicrograph shows the rectangle around each, and moves the mask with it.

    Parameters
    ----------
    link : Link
        Where the ROIs are. A link to an ROI has no ROIs of its own, so masks stay in the view.
    shapes : ShapeEditor
        Has the masks.
    report : callable
        Called with a line for the user.
    """

    def __init__(self, link: Link | FollowedLink, shapes: ShapeEditor, report: Callable[[str], None]) -> None:
        self._link, self._shapes, self._report = link, shapes, report
        # Held by `send` and `follow`, which different threads call: a mask that `follow` is about to show
        # would look to `send` like one that was removed here.
        self._lock = threading.RLock()
        self._seen: dict[str, Place] = {}  # as the link has them
        self._here: dict[str, Place] = {}  # as they were sent or shown last
        self._sent: dict[str, list[Place | None]] = {}  # oldest first

    def send(self, frame: Frame | None) -> None:
        """Send the masks to the link as they are here."""
        if not self._link.roi:
            with self._lock:
                self._send(frame)

    def _send(self, frame: Frame | None) -> None:
        rois = {}
        for shape in self._shapes.of(*MASKS):
            roi: Roi = Roi.around(shape.kind, shape.points)
            rois[shape.name] = roi.clamped(frame.data.shape[:2]) if frame else roi
        places = {name: _place(roi) for name, roi in rois.items()}
        try:
            for name in self._here.keys() - places.keys():
                del self._here[name]
                self._note(name, None)
                if name in self._link.rois():
                    self._link.remove_roi(name)
            for name, roi in rois.items():
                if self._here.get(name) != places[name]:
                    self._note(name, places[name])
                    self._link.set_roi(name, roi)
                    self._here[name] = places[name]
        except (OSError, ValueError) as error:
            self._report(f"The mask exists only in this view: {error}")

    def follow(self) -> None:
        """Show the masks where somebody has moved them in DigitalMicrograph, or in another view."""
        if not self._link.roi:
            with self._lock:
                self._follow()

    def _follow(self) -> None:
        rois = {name: roi for name, roi in self._link.rois().items() if roi.outline}
        places = {name: _place(roi) for name, roi in rois.items()}
        for name in self._seen.keys() | places.keys():
            place = places.get(name)
            if place == self._seen.get(name) or self._was_on_its_way(name, place):
                continue
            if place is None:
                self._here.pop(name, None)
                self._shapes.hide_mask(name)
            elif outline := rois[name].outline:
                self._here[name] = place
                self._shapes.show_mask(name, outline.kind, outline.places(rois[name]))
        self._seen = places

    def _note(self, name: str, place: Place | None) -> None:
        self._sent[name] = [*self._sent.get(name, [])[-MOST_SENT:], place]

    def _was_on_its_way(self, name: str, place: Place | None) -> bool:
        sent = self._sent.get(name, [])
        if place not in sent:
            return False
        del sent[: sent.index(place) + 1]
        return bool(sent) or self._here.get(name) == place  # otherwise another view's was shown meanwhile


def _place(roi: Roi) -> Place:
    return tuple(roi), roi.outline
