"""Parameter controls: the slider, box, checkbox or drop-down of each parameter of a cell."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink.program.parameter import FOUND

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.program.parameter import Parameter

LAYOUT = {"width": "460px"}
STYLE = {"description_width": "120px"}
FLOAT_STEPS = 100  # steps of a slider that does not specify its own
STEP_ERROR = 1e-6  # of a step, by which a value on it may be off because of rounding


def parameter_control(parameter: Parameter, changed: Callable[[str, Any], None]) -> ipywidgets.Widget:
    """Return the control of a parameter.

    Parameters
    ----------
    parameter : Parameter
        Its kind, limits and choices determine the widget.
    changed : callable
        Called with (name, value) when the user has set the parameter.
    """
    if parameter.automatic:
        return AutomaticControl(parameter, changed)
    control = _control(parameter, changed)
    return ControlWithUnit(control, parameter.unit) if parameter.unit else control


def _control(parameter: Parameter, changed: Callable[[str, Any], None]) -> ipywidgets.Widget:
    p = parameter
    common = {
        "description": p.name,
        "value": p.value,
        "tooltip": _tooltip(p),
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
        widget = ipywidgets.IntSlider(min=p.minimum, max=p.maximum, step=_step(p, p.value), **common)
    elif p.kind == "integer":
        widget = ipywidgets.IntText(**common)
    elif bounded and p.minimum is not None and p.maximum is not None:
        declared = _declared_step(p)
        decimals_of_step = len(f"{declared:.6f}".rstrip("0").partition(".")[2]) if p.step else 0
        decimals = max(0, decimals_of_step, math.ceil(-math.log10(declared)))
        widget = ipywidgets.FloatSlider(
            min=p.minimum, max=p.maximum, step=_step(p, p.value), readout_format=f".{decimals}f", **common
        )
    else:
        widget = ipywidgets.FloatText(**common)

    def moved(change: dict[str, Any]) -> None:
        if bounded:
            if abs(change["new"] - change["old"]) < STEP_ERROR * _declared_step(p):
                return  # the page has rounded it
            widget.step = _step(p, change["new"])
        changed(p.name, change["new"])

    widget.observe(moved, "value")
    return widget


def _declared_step(parameter: Parameter) -> float:
    """Return the declared step of a slider, or the default one."""
    p = parameter
    if p.kind == "integer":
        return int(p.step or 1)
    return p.step or ((p.maximum or 0.0) - (p.minimum or 0.0)) / FLOAT_STEPS


def _step(parameter: Parameter, value: Any) -> float:
    """Return the declared step, or a finer one on which `value` lies.

    The page snaps a value between two steps to one of them, for instance when the theme changes.
    """
    step, above = _declared_step(parameter), value - (parameter.minimum or 0)
    if abs(above / step - round(above / step)) < STEP_ERROR:
        return step
    if parameter.kind == "integer":
        return 1
    digits = Decimal(str(value)) - Decimal(str(parameter.minimum or 0))
    return max(10.0 ** int(digits.as_tuple().exponent), step * STEP_ERROR)


def _on_a_step(parameter: Parameter, value: float) -> float:
    """Return the slider's position that is nearest to a value."""
    low, step = parameter.minimum or 0, _declared_step(parameter)
    steps = round((value - low) / step)
    if parameter.kind == "integer":
        return low + step * steps
    return float(Decimal(str(low)) + Decimal(str(step)) * steps)  # the page's number, to the last digit


def _tooltip(parameter: Parameter) -> str:
    """Return what the comment says about a parameter, and its limits. The page shows it as plain text."""
    limits = " ".join(filter(None, (parameter.allowed, parameter.unit)))
    return f"{parameter.help or parameter.name} ({limits})" if limits else parameter.help or parameter.name


def _unit_label(unit: str) -> ipywidgets.Label:
    label = ipywidgets.Label(unit, layout={"width": "52px"})
    label.add_class("dmlink-unit")
    return label


class ControlWithUnit(ipywidgets.HBox):  # type: ignore[misc]
    """The control of a parameter, with its unit after the number.

    Attributes
    ----------
    control : ipywidgets.Widget
    value
        Of the control.
    """

    def __init__(self, control: ipywidgets.Widget, unit: str) -> None:
        self.control = control
        super().__init__([control, _unit_label(unit)])

    @property
    def value(self) -> Any:
        """The current value."""
        return self.control.value

    @value.setter
    def value(self, value: Any) -> None:
        self.control.value = value


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
        start = replace(parameter, automatic=False, value=_on_a_step(parameter, middle))
        self.slider = _control(start, self._moved)
        self.button = ipywidgets.Button(
            description="auto", tooltip=f"{parameter.name}: {FOUND}", layout={"width": "64px"}
        )
        self.button.add_class("dmlink-auto")
        self.button.on_click(lambda _: self._set(None))
        units = [_unit_label(parameter.unit)] if parameter.unit else []
        super().__init__([self.slider, *units, self.button])
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
        name = self._parameter.name
        self.slider.description = name if value is not None else f"{name}: auto"
        self.button.disabled = value is None

    def _moved(self, _: str, value: Any) -> None:
        if value != self._value:
            self._set(value)

    def _set(self, value: Any) -> None:
        self.value = value
        self._changed(self._parameter.name, value)
