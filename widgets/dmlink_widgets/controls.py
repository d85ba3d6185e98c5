"""Controls: the slider, box, checkbox or drop-down of each parameter of a cell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import ipywidgets

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.program import Parameter

LAYOUT = {"width": "460px"}
STYLE = {"description_width": "120px"}
FLOAT_STEPS = 100  # of a slider without a step of its own


def control(parameter: Parameter, changed: Callable[[str, Any], None]) -> ipywidgets.Widget:
    """Return the widget of a parameter; `changed(name, value)` is called when the user has set it."""
    p = parameter
    common = {
        "description": p.name,
        "value": p.value,
        "tooltip": p.comment or p.name,
        "layout": ipywidgets.Layout(**LAYOUT),
        "style": STYLE,
    }
    bounded = p.minimum is not None and p.maximum is not None
    widget: ipywidgets.Widget
    if p.kind == "switch":
        widget = ipywidgets.Checkbox(indent=True, **common)
    elif p.kind == "choice":
        widget = ipywidgets.Dropdown(options=list(p.choices), **common)
    elif p.kind == "text":
        widget = ipywidgets.Text(continuous_update=False, **common)
    elif p.kind == "integer" and bounded:
        widget = ipywidgets.IntSlider(min=p.minimum, max=p.maximum, step=int(p.step or 1), **common)
    elif p.kind == "integer":
        widget = ipywidgets.IntText(**common)
    elif bounded and p.minimum is not None and p.maximum is not None:
        step = p.step or (p.maximum - p.minimum) / FLOAT_STEPS
        written = len(f"{step:.6f}".rstrip("0").partition(".")[2]) if p.step else 0
        decimals = max(0, written, math.ceil(-math.log10(step)))
        widget = ipywidgets.FloatSlider(
            min=p.minimum, max=p.maximum, step=step, readout_format=f".{decimals}f", **common
        )
    else:
        widget = ipywidgets.FloatText(**common)
    widget.observe(lambda change: changed(p.name, change["new"]), "value")
    return widget
