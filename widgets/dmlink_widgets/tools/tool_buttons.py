"""ToolButtons: buttons for drawing shapes over an image; at most one is pressed at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets

from dmlink_widgets.controls.toolbar import toggle

if TYPE_CHECKING:
    from dmlink_widgets.tools.shape_editor import ShapeEditor

ICONS = {
    "line": ("minus", "Draw a line; its profile is shown (l)"),
    "ruler": ("arrows-h", "Measure a distance and its angle (d)"),
    "ellipse": ("circle-o", "Draw an ellipse (e)"),
    "ring": ("dot-circle-o", "Draw a ring from its centre (o)"),
    "polygon": ("star-o", "Draw a polygon: click each corner, double-click to finish (p)"),
}


class ToolButtons:
    """A toggle for each shape, pressed while its tool is in use.

    Attributes
    ----------
    line, ruler : ipywidgets.ToggleButton
        The buttons of line and ruler.
    masks : ipywidgets.HBox
        The buttons of ellipse, ring and polygon.
    """

    def __init__(self, shapes: ShapeEditor) -> None:
        self._buttons = {
            kind: toggle(icon, tip, lambda _: None, f"dmlink-draw-{kind}")
            for kind, (icon, tip) in ICONS.items()
        }
        # linked inside the page, so that keys work even while the kernel is busy
        shapes.overlay.buttons = {kind: made.model_id for kind, made in self._buttons.items()}
        self.line, self.ruler = self._buttons["line"], self._buttons["ruler"]
        masks = [self._buttons[kind] for kind in ("ellipse", "ring", "polygon")]
        self.masks = ipywidgets.HBox([ipywidgets.Label("masks"), *masks])
