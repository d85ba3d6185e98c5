"""Parameter controls: the slider, box, checkbox or drop-down of each parameter of a cell."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.program.parameter import Parameter

LAYOUT = {"width": "460px"}
STYLE = {"description_width": "120px"}
FLOAT_STEPS = 100  # steps of a slider that does not specify its own


def parameter_control(parameter: Parameter, changed: Callable[[str, Any], None]) -> ipywidgets.Widget:
    """Return the control of a parameter.

    Parameters
    ----------
    parameter : Parameter
        Its kind, limits and choices determine the widget.
    changed : callable
        Called with (name, value) when the user has set the parameter.
    """
    p = parameter
    if p.automatic:
        return AutomaticControl(p, changed)
    common = {
        "description": p.title,
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
        decimals_of_step = len(f"{step:.6f}".rstrip("0").partition(".")[2]) if p.step else 0
        decimals = max(0, decimals_of_step, math.ceil(-math.log10(step)))
        widget = ipywidgets.FloatSlider(
            min=p.minimum, max=p.maximum, step=step, readout_format=f".{decimals}f", **common
        )
    else:
        widget = ipywidgets.FloatText(**common)
    widget.observe(lambda change: changed(p.name, change["new"]), "value")
    return widget


class AutomaticControl(ipywidgets.HBox):  # type: ignore[misc]
    """The slider of an automatic parameter: it shows "auto" until it is moved.

    Attributes
    ----------
    value : number or None
        Its setting; None is automatic.
    """

    def __init__(self, parameter: Parameter, changed: Callable[[str, Any], None]) -> None:
        self._value: Any = ...  # neither shown nor reported yet
        self._parameter, self._changed = parameter, changed
        low, high = parameter.minimum, parameter.maximum
        assert low is not None and high is not None  # noqa: PT018, S101 - it has bounds
        middle = low + (high - low) / 2
        start = replace(
            parameter, automatic=False, value=round(middle) if parameter.kind == "integer" else middle
        )
        self.slider = parameter_control(start, self._moved)
        self.button = ipywidgets.Button(
            description="auto", tooltip=f"{parameter.name}: found by the cell", layout={"width": "64px"}
        )
        self.button.add_class("dmlink-auto")
        self.button.on_click(lambda _: self._set(None))
        super().__init__([self.slider, self.button])
        self.value = parameter.value

    @property
    def value(self) -> Any:
        """The number, or None."""
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        self._value = value
        if value is not None:
            self.slider.value = value
        self.slider.readout = value is not None
        title = self._parameter.title
        self.slider.description = title if value is not None else f"{title}: auto"
        self.button.disabled = value is None

    def _moved(self, _: str, value: Any) -> None:
        if value != self._value:
            self._set(value)

    def _set(self, value: Any) -> None:
        self.value = value
        self._changed(self._parameter.name, value)
