"""RoiChoice: a choice between the ROIs saved with the notebook and those in DigitalMicrograph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink.frame import MaskedRoi, Roi
from dmlink.indm.outline import checked_outline
from dmlink_widgets.controls.fields import numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.growing.link import FollowedLink
    from dmlink.link.link import Link

AS_SAVED, AS_BEFORE = "As saved", "As before"


class RoiChoice:
    """Offers to restore a saved notebook's ROIs if DigitalMicrograph has others; none is moved unasked.

    Parameters
    ----------
    link : Link
        Where the ROIs are.
    report : callable
        Called with the reason why they cannot be changed.

    Attributes
    ----------
    widget : ipywidgets.HBox
        Shown while there is something to choose.
    """

    def __init__(self, link: Link | FollowedLink, report: Callable[[str], None]) -> None:
        self._link, self._report = link, report
        self._other: dict[str, Roi] = {}  # the ROIs that the button places
        self._text = ipywidgets.Label("The ROIs differ from those that this notebook was saved with.")
        self._button = ipywidgets.Button(
            description=AS_SAVED,
            tooltip="Switch between the saved ROIs and DigitalMicrograph's",
        )
        self._button.add_class("dmlink-as-it-was")
        self._button.on_click(lambda _: self._swap())
        self.widget = ipywidgets.HBox([self._text, self._button], layout={"display": "none"})
        self.widget.add_class("dmlink-wrap")

    def saved(self) -> dict[str, Any]:
        """Return the ROIs by name as plain lists."""
        return {name: [list(roi), roi.outline] for name, roi in self._link.rois().items()}

    def offer(self, saved: dict[str, Roi]) -> None:
        """Place these ROIs if there are none, or let the user choose."""
        now = self._link.rois()
        if self._link.roi or _places(now) == _places(saved):
            return
        if not now:
            self._place(saved)
            return
        self._other = saved
        self.widget.layout.display = None

    def _swap(self) -> None:
        before = self._link.rois()
        if self._place(self._other):
            self._other = before
            was = self._button.description == AS_SAVED
            self._button.description = AS_BEFORE if was else AS_SAVED
            self._text.value = "The ROIs are as saved." if was else "The ROIs are as before."

    def _place(self, rois: dict[str, Roi]) -> bool:
        try:
            for name in self._link.rois().keys() - rois.keys():
                self._link.remove_roi(name)
            for name, roi in rois.items():
                self._link.set_roi(name, roi)
        except (OSError, ValueError) as error:
            self._report(f"The ROIs stay as they are: {error}")
            return False
        return True


def roi_from(fields: Any) -> Roi:
    """Return the ROI of [rectangle, outline], as `RoiChoice.saved` writes it; or raise a ValueError."""
    rectangle, outline = fields
    top, left, bottom, right = map(int, numbers(rectangle, 4))
    if not (0 <= top < bottom and 0 <= left < right):
        raise ValueError(f"{rectangle!r:.100} is not a rectangle.")
    if outline is None:
        return Roi(top, left, bottom, right)
    return MaskedRoi(top, left, bottom, right, outline=checked_outline(*outline))


def _places(rois: dict[str, Roi]) -> dict[str, Any]:
    return {name: (tuple(roi), roi.outline) for name, roi in rois.items()}
