"""Keys: keyboard shortcuts for the tools of the focused panel.

docs/howto/measure-on-the-live-view.md lists them.
"""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """A key and what it does; `target` is the CSS class of its button, "" for the image's own keys."""

    key: str
    does: str
    target: str = ""


KEYS = (
    Key("Space", "Pause or resume", "dmlink-pause"),
    Key("r", "Draw an ROI", "dmlink-draw"),
    Key("l", "Draw the line whose profile is shown", "dmlink-draw-line"),
    Key("d", "Measure a distance", "dmlink-draw-ruler"),
    Key("e", "Draw an ellipse", "dmlink-draw-ellipse"),
    Key("o", "Draw a ring", "dmlink-draw-ring"),
    Key("p", "Draw a polygon: click each corner, double-click to finish", "dmlink-draw-polygon"),
    Key("f", "Power spectrum (FFT); click in it to measure a spacing", "dmlink-spectrum"),
    Key("c", "Contrast and colours", "dmlink-contrast"),
    Key("s", "Statistics of the ROIs", "dmlink-statistics"),
    Key("k", "Copy the picture", "dmlink-copy"),
    Key("w", "Save the picture as PNG and SVG", "dmlink-save-picture"),
    Key("t", "Save this frame as a TIFF", "dmlink-save-frame"),
    Key("b", "Save the last 30 s", "dmlink-lookback"),
    Key("v", "Dock: show it beside the notebook", "dmlink-dock"),
    Key(
        "Ctrl+Z",
        "Undo: an ROI, a measurement, the contrast, a closed tool",
        "dmlink-undo",
    ),
    Key("?", "Show these keys", "dmlink-keys"),
    Key("Escape", "Leave a tool; clear the selection"),
    Key("Delete", "Remove what is selected"),
    Key("Arrows", "Move the selection by one pixel, with Shift by ten"),
    Key("+ - 0", "Zoom in, zoom out, show everything"),
    Key("Ctrl+wheel", "Zoom at the pointer"),
    Key("Shift", "Hold it while you finish drawing to keep the tool"),
)
