"""ViewSettings: what a notebook keeps of a live view: contrast, zoom, what is open, rulers, ROIs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dmlink_widgets.controls.fields import numbers
from dmlink_widgets.drawing.contrast import Contrast
from dmlink_widgets.tools.roi_choice import RoiChoice, roi_from

if TYPE_CHECKING:
    import ipywidgets

    from dmlink.frame import Roi
    from dmlink_widgets.controls.contrast_controls import ContrastControls
    from dmlink_widgets.controls.fields import Fields
    from dmlink_widgets.drawing.image_overlay import ImageOverlay
    from dmlink_widgets.tools.shape_editor import ShapeEditor

MOST_ROIS = 100


class ViewSettings:
    """Reads and restores these settings.

    Parameters
    ----------
    overlay : ImageOverlay
        Has the zoom.
    contrast : ContrastControls
    shapes : ShapeEditor
        Has the rulers, and how wide the line is.
    rois : RoiChoice
    tools : dict of str to ipywidgets.ToggleButton
        The buttons that open something, by the name in the notebook.
    """

    def __init__(
        self,
        overlay: ImageOverlay,
        contrast: ContrastControls,
        shapes: ShapeEditor,
        rois: RoiChoice,
        tools: dict[str, ipywidgets.ToggleButton],
    ) -> None:
        self._overlay, self._contrast, self._shapes = overlay, contrast, shapes
        self._rois, self._tools = rois, tools

    def saved(self) -> dict[str, Any]:
        """Return them as plain lists and dicts."""
        return {
            "contrast": asdict(self._contrast.contrast),
            "zoom": [list(self._overlay.shape), list(self._overlay.viewport)],
            "tools": {name: bool(tool.value) for name, tool in self._tools.items()},
            "rulers": [[list(point) for point in ruler.points] for ruler in self._shapes.of("ruler")],
            "rois": self._rois.saved(),
        }

    def restore(self, fields: Fields) -> None:
        """Set them as they were saved."""
        fields.use("contrast", self._set_contrast)
        fields.use("zoom", self._set_zoom)
        fields.use_each("tools", self._open)
        fields.use("rulers", self._draw_rulers)
        rois: dict[str, Roi] = {}
        fields.use_each("rois", lambda name, given: rois.update({name: roi_from(given)}))
        if 0 < len(rois) <= MOST_ROIS:
            self._rois.offer(rois)

    def _set_contrast(self, given: Any) -> None:
        low, high = numbers(given["percentiles"], 2)
        (gamma,) = numbers([given["gamma"]], 1)
        fixed = [None if end is None else numbers([end], 1)[0] for end in given["fixed"]]
        first, last = fixed
        if first is not None and last is not None and first >= last:
            raise ValueError(f"The limits {fixed} must be in ascending order.")
        colours, log = str(given["colours"]), given["log"] is True
        self._contrast.contrast = Contrast((low, high), (first, last), gamma, log, colours)

    def _set_zoom(self, given: Any) -> None:
        shape, viewport = given
        height, width = (int(v) for v in numbers(shape, 2))
        if not viewport:
            return
        top, left, bottom, right = numbers(viewport, 4)
        if not (0 <= top < bottom <= height and 0 <= left < right <= width):
            raise ValueError(f"{viewport!r:.100} is not a part of {height} x {width} pixels.")
        overlay = self._overlay  # of shape [1, 1] before the first frame
        if overlay.shape not in ([1, 1], [height, width]):
            raise ValueError(f"The view has {overlay.shape} pixels now, not {height} x {width}.")
        with overlay.hold_sync():
            overlay.shape, overlay.viewport = [height, width], [top, left, bottom, right]

    def _open(self, name: str, opened: Any) -> None:
        self._tools[name].value = opened is True

    def _draw_rulers(self, given: Any) -> None:
        for points in [[numbers(point, 2) for point in ruler] for ruler in given]:
            self._shapes.add("ruler", [(y, x) for y, x in points])
