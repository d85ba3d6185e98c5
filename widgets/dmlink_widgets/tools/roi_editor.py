"""RoiEditor: the ROIs of a live view, edited in the notebook and in DigitalMicrograph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmlink.frame import Roi
from dmlink_widgets.controls.roi_controls import RoiControls

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.growing.link import FollowedLink
    from dmlink.link.link import Link
    from dmlink_widgets.controls.undo import Undo
    from dmlink_widgets.drawing.image_overlay import ImageOverlay

NEW_ROI = "roi"
MOST_ROIS = 1000  # names tried for a new ROI


class RoiEditor:
    """Keeps the ROIs over an image in sync with those in DigitalMicrograph.

    Parameters
    ----------
    link : Link
        Source of the ROIs, and where they are changed.
    overlay : ImageOverlay
        Shows the ROIs.
    selected : callable
        Called when the user has selected another ROI.
    report : callable
        Called with the reason why a change was refused, or with "" if it was accepted.
    undo : Undo
        Undoes changes.

    Attributes
    ----------
    controls : RoiControls
        Fields for the selected ROI.
    """

    def __init__(
        self,
        link: Link | FollowedLink,
        overlay: ImageOverlay,
        selected: Callable[[], None],
        report: Callable[[str], None],
        undo: Undo,
    ) -> None:
        self._link = link
        self._undo = undo
        self._held: tuple[str, list[int]] | None = None  # where the present drag has moved an ROI
        self._released: tuple[str, list[int]] | None = None  # its end may overtake its last move
        self._overlay = overlay
        self._on_selected = selected
        self._report = report
        self.controls = RoiControls(self.place, self.give_name, self.remove)
        overlay.observe(self._move, "moved")
        overlay.observe(self._select, "selected")

    @property
    def selected(self) -> Roi | None:
        """The selected ROI; None if none is selected."""
        return self._link.rois().get(self._overlay.selected)

    def follow(self) -> bool:
        """Show the ROIs as they are in DigitalMicrograph; return whether any has changed."""
        known = {} if self._link.roi else self._link.rois()
        rois = {name: list(roi) for name, roi in known.items() if roi.outline is None}
        if rois == self._overlay.rois:
            return False
        self._overlay.rois = rois
        return True

    def show_selected(self) -> None:
        """Show the coordinates of the selected ROI."""
        self.controls.show(self._overlay.selected, self.selected)

    def take_action(self, message: dict[str, Any]) -> None:
        """Place or remove an ROI that the user has drawn or removed, as ImageOverlay reports it."""
        if "removed" in message:
            self.remove(str(message["removed"]))
        elif "released" in message:
            end = str(message["released"]), [int(v) for v in message["roi"]]
            if end != self._held:
                self._move_to(*end)
            self._held, self._released = None, end
            self._undo.settle()
        elif "drawn" in message:
            taken = self._link.rois()
            names = [NEW_ROI, *(f"{NEW_ROI}{i}" for i in range(2, MOST_ROIS))]  # easy to type
            name = next(name for name in names if name not in taken)
            self.place(name, Roi(*(int(v) for v in message["drawn"])))
            self._overlay.selected = name
            self._undo.settle()

    def place(self, name: str, roi: Roi) -> None:
        """Place a new or existing ROI."""
        before = self._link.rois().get(name)
        if self._request(lambda: self._link.set_roi(name, roi)):
            back = (
                (lambda: self._link.set_roi(name, before))
                if before
                else (lambda: self._link.remove_roi(name))
            )
            self._undo.add(f"ROI {name}", back, ("roi", name))

    def give_name(self, old: str, new: str) -> None:
        """Rename an ROI."""
        if new in self._link.rois():
            self._report(f"There is already an ROI named {new!r}.")
            return

        def rename() -> None:
            self._link.set_roi(new, self._link.rois()[old])
            self._link.remove_roi(old)  # not reached if the new name is refused
            self._overlay.selected = new

        if self._request(rename):
            self._undo.add(f"ROI {old}", lambda: self.give_name(new, old))

    def remove(self, name: str) -> None:
        """Remove an ROI."""
        before = self._link.rois().get(name)
        if self._request(lambda: self._link.remove_roi(name)) and before:
            self._undo.add(f"ROI {name}", lambda: self._link.set_roi(name, before))
        self._overlay.selected = ""

    def _request(self, change: Callable[[], Any]) -> bool:
        """Request a change, and report why if it is refused; return whether it was accepted."""
        try:
            change()
        except (OSError, ValueError, KeyError) as error:
            self._report(str(error))
            return False
        self._report("")
        return True

    def _move(self, change: dict[str, Any]) -> None:
        place = str(change["new"]["name"]), [int(v) for v in change["new"]["roi"]]
        if place != self._released:
            self._held = place
            self._move_to(*place)

    def _move_to(self, name: str, roi: list[int]) -> None:
        if name in self._link.rois():  # an ROI deleted while it is dragged does not come back
            self.place(name, Roi(*roi))

    def _select(self, _: Any) -> None:
        self.show_selected()
        self._on_selected()
