"""ToolOverlay: shapes drawn over an image with the mouse: lines, rulers, masks."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import traitlets

from dmlink_widgets.pacing.round import RoundWidget

if TYPE_CHECKING:
    from collections.abc import Callable


class ToolOverlay(RoundWidget):
    """Shapes over an ImageFigure, drawn in a layer provided by its ImageOverlay.

    A shape is a dict of `id`, `kind` ("line", "ruler", "spot", "ellipse", "ring" or "polygon"), `points`
    [[y, x], ...] in pixels from the upper left corner of the image, `width` in pixels, `name`, `label` and
    `colour`. The points of an ellipse are two corners of its box; those of a ring its centre, a point on
    its outer circle and one on its inner circle.

    Parameters
    ----------
    on_action : callable
        Called with what the user does, a dict with one key: `drawn` (a dict of `kind` and `points`),
        `removed` (an id), or `released` (an id whose drag has ended).
    """

    _classes = ("dmlink-fence",)
    _code = (pathlib.Path(__file__).parent / "tools.js").read_text("utf-8")
    _css = (pathlib.Path(__file__).parent / "tools.css").read_text("utf-8")

    shapes: Any = traitlets.List([]).tag(sync=True)  # set only by the kernel
    moved = traitlets.Dict().tag(sync=True)  # {"id": int, "points": [...]}, last moved; set only by the page
    selected = traitlets.Int(-1).tag(sync=True)  # id of a shape
    tool = traitlets.Unicode("").tag(sync=True)  # kind of shape that the next press draws
    buttons: Any = traitlets.Dict().tag(sync=True)  # model ids of the toggles, by kind; linked in the page

    def __init__(self, on_action: Callable[[dict[str, Any]], None], **traits: Any) -> None:
        super().__init__(**traits)
        self.on_msg(lambda _, message, __: on_action(message))
