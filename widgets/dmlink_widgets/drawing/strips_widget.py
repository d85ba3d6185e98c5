"""StripsWidget: paints the strips of a timeline over a bqplot axis, and reports where the user points."""

from __future__ import annotations

import pathlib
from typing import Any

import traitlets

from dmlink_widgets.pacing.round import RoundWidget

HERE = pathlib.Path(__file__).parent


class StripsWidget(RoundWidget):
    """Paints in its `area`: top, left, height in px; as wide as the page allows.

    `points` are the x and y of all curves, float32, from 0 to 1; each of `rows` is (name, lowest value,
    highest value, colour, number of points), of `bands` (kind, begin, end, text), of `marks` (place, colour,
    text). `cursor` is the chosen time, negative for none, and `said` the same in words.
    """

    _classes = ("dmlink-strips",)
    _code = (HERE / "strips.js").read_text("utf-8")
    _css = (HERE / "strips.css").read_text("utf-8")

    area: Any = traitlets.List([0, 0, 1]).tag(sync=True)
    right = traitlets.Int(0).tag(sync=True)
    points = traitlets.Bytes(b"").tag(sync=True)
    rows: Any = traitlets.List([]).tag(sync=True)
    bands: Any = traitlets.List([]).tag(sync=True)
    marks: Any = traitlets.List([]).tag(sync=True)
    cursor = traitlets.Float(-1.0).tag(sync=True)
    said = traitlets.Unicode("").tag(sync=True)
