"""The kinds of result that a cell can give, in the notebook and in DigitalMicrograph alike."""

from __future__ import annotations

from typing import Any, Union

import numpy as np

from dmlink.indm.info import Axis

Result = Union["Scalar", "Profile", "Image"]


class Scalar:
    """A number for each frame, or several with names: drawn as a strip chart.

    `value` is a float or a dict of floats, in `unit`.
    """

    kind = "scalar"

    def __init__(self, value: Any, unit: str = "", name: str = "") -> None:
        if isinstance(value, dict):
            self.value: float | dict[str, float] = {str(k): float(v) for k, v in value.items()}
        else:
            self.value = float(value)
        self.unit = str(unit)
        self.name = str(name)

    @property
    def series(self) -> dict[str, float]:
        """The numbers by name; a single number is called "value"."""
        return self.value if isinstance(self.value, dict) else {"value": self.value}


class Profile:
    """A curve for each frame: `values` of shape (n,) over the axis `x`; `value_unit` is the unit of y."""

    kind = "profile"

    def __init__(
        self,
        values: Any,
        scale: float = 1.0,
        origin: float = 0.0,
        unit: str = "",
        value_unit: str = "",
        name: str = "",
    ) -> None:
        self.values = _numeric(values, "profile")
        if self.values.ndim != 1:
            raise ValueError(f"A profile has one dimension, not shape {self.values.shape}.")
        self.x = Axis(float(origin), float(scale), str(unit))
        self.value_unit = str(value_unit)
        self.name = str(name)


class Image:
    """An image for each frame: `values` of shape (h, w), or (h, w, 3) uint8 for colour.

    `scale` and `unit` are those of a pixel in x and y; `origin` is the position of the first pixel, one
    number for both axes or (y, x).
    """

    kind = "image"

    def __init__(
        self, values: Any, scale: float = 1.0, origin: Any = 0.0, unit: str = "", name: str = ""
    ) -> None:
        self.values = _numeric(values, "image")
        colour = self.values.ndim == 3 and self.values.shape[2] == 3
        if self.values.ndim != 2 and not colour:
            raise ValueError(f"An image has shape (h, w), or (h, w, 3) for colour, not {self.values.shape}.")
        if colour and self.values.dtype != np.uint8:
            raise ValueError(f"A colour image is uint8 from 0 to 255, not {self.values.dtype}.")
        y0, x0 = origin if np.ndim(origin) else (origin, origin)
        self.y = Axis(float(y0), float(scale), str(unit))
        self.x = Axis(float(x0), float(scale), str(unit))
        self.name = str(name)


def as_result(value: Any, name: str = "") -> Any:
    """Give a cell's last value its obvious meaning.

    A number (or a dict of numbers) becomes a Scalar, one dimension a Profile, two an Image; a result
    stays as it is, with `name` if it has none, and None stays None.

    Raises
    ------
    TypeError
        If the value has no such meaning; the message says which ones have.
    """
    if value is None:
        return None
    if isinstance(value, (Scalar, Profile, Image)):
        value.name = value.name or name
        return value
    if isinstance(value, dict) and value and all(np.ndim(v) == 0 for v in value.values()):
        return Scalar(value, name=name)
    array = np.asarray(value)
    if array.dtype.kind in "biuf":
        if array.ndim == 0:
            return Scalar(array.item(), name=name)
        if array.ndim == 1:
            return Profile(array, name=name)
        if array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3):
            return Image(array, name=name)
    what = type(value).__name__
    if isinstance(value, np.ndarray):
        what = f"array of shape {value.shape} and type {value.dtype}"
    raise TypeError(
        f"The cell's last line gives this: {what}, which cannot be shown. End the cell with a number, a dict "
        "of numbers, a 1-D array (profile), a 2-D array (image) or an (h, w, 3) uint8 array (colour)."
    )


def _numeric(values: Any, what: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"The values of this {what} are {array.dtype}; they must be real numbers.")
    if array.size == 0:
        raise ValueError(f"This {what} has no values (shape {array.shape}).")
    return array
