"""The kinds of result that a cell can give, in the notebook and in DigitalMicrograph alike."""

from __future__ import annotations

from typing import Any, Iterator, Union

import numpy as np

from dmlink.indm.info import Axis

Result = Union["Scalar", "Profile", "Image"]  # drawn, each in a plot of its own
Written = Union["Points", "Boxes", "Table", "Text"]  # all of them have a `text`; places can also be marked

MAX_ROWS = 50  # of a table in a text: what fits on a screen


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


class Points:
    """Places on the frame: `yx` of shape (n, 2), row and column in pixels of the frame; n may be 0."""

    kind = "points"

    def __init__(self, yx: Any, name: str = "") -> None:
        self.yx = _places(yx, "y, x")
        self.name = str(name)

    @property
    def text(self) -> str:
        """The places as a table."""
        return Table({"y": self.yx[:, 0], "x": self.yx[:, 1]}).text


class Boxes:
    """Rectangles on the frame: `tlbr` of shape (n, 4), top, left, bottom, right in pixels; n may be 0."""

    kind = "boxes"

    def __init__(self, tlbr: Any, name: str = "") -> None:
        self.tlbr = _places(tlbr, "top, left, bottom, right")
        self.name = str(name)

    @property
    def text(self) -> str:
        """The rectangles as a table."""
        return Table(dict(zip(("top", "left", "bottom", "right"), self.tlbr.T))).text


class Table:
    """Columns with names: `columns` is a dict of arrays of shape (n,), numbers or text; n may be 0.

    It can be made of such a dict, of a list of dicts, of a structured array or of a pandas DataFrame.
    """

    kind = "table"

    def __init__(self, columns: Any, name: str = "") -> None:
        self.columns: dict[str, np.ndarray] = {str(k): _column(k, v) for k, v in _columns(columns)}
        lengths = {key: len(column) for key, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"The columns of this table have different lengths: {lengths}.")
        self.name = str(name)

    @property
    def text(self) -> str:
        """The table as lines of text, at most MAX_ROWS rows of it."""
        n = max([len(column) for column in self.columns.values()] or [0])
        written = []
        for key, column in self.columns.items():
            form = "{:.6g}" if column.dtype.kind == "f" else "{}"
            cells = [key] + [form.format(value) for value in column[:MAX_ROWS]]
            width = max(len(cell) for cell in cells)
            written.append([cell.rjust(width) for cell in cells])
        lines = ["  ".join(row).rstrip() for row in zip(*written)]
        return "\n".join(lines + ([f"... {n} rows in all"] if n > MAX_ROWS else []))


class Text:
    """Words for each frame."""

    kind = "text"

    def __init__(self, text: Any, name: str = "") -> None:
        self.text = str(text)
        self.name = str(name)


def as_result(value: Any, name: str = "") -> Any:
    """Give a cell's last value its obvious meaning.

    A number (or a dict of numbers) becomes a Scalar, one dimension a Profile, two an Image; text a Text; a
    structured array, a list of dicts or a pandas DataFrame a Table; a result stays as it is, with `name` if
    it has none, and None stays None.

    Raises
    ------
    TypeError
        If the value has no such meaning; the message says which ones have.
    """
    if value is None:
        return None
    if isinstance(value, (Scalar, Profile, Image, Points, Boxes, Table, Text)):
        value.name = value.name or name
        return value
    if isinstance(value, str):
        return Text(value, name=name)
    if isinstance(value, dict) and value and all(np.ndim(v) == 0 for v in value.values()):
        return Scalar(value, name=name)
    rows = isinstance(value, list) and value and all(isinstance(row, dict) for row in value)
    if rows or hasattr(value, "to_records") or getattr(getattr(value, "dtype", None), "names", None):
        return Table(value, name=name)
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
        "of numbers, a 1-D array (profile), a 2-D array (image), an (h, w, 3) uint8 array (colour), text, or "
        "a list of dicts (table)."
    )


def _numeric(values: Any, what: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"The values of this {what} are {array.dtype}; they must be real numbers.")
    if array.size == 0:
        raise ValueError(f"This {what} has no values (shape {array.shape}).")
    return array


def _places(values: Any, what: str) -> np.ndarray:
    """Return (n, k) floats; of none at all, whatever their shape, (0, k)."""
    k = what.count(",") + 1
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros((0, k))
    if array.ndim != 2 or array.shape[1] != k or array.dtype.kind not in "biuf":
        raise ValueError(
            f"These are places of shape (n, {k}): {what} in pixels; not {array.dtype} of shape {array.shape}."
        )
    return array.astype(float)


def _columns(table: Any) -> Iterator[tuple[Any, Any]]:
    if hasattr(table, "to_records"):  # pandas
        table = table.to_records(index=False)
    if isinstance(table, dict):
        yield from table.items()
    elif getattr(getattr(table, "dtype", None), "names", None):
        for key in table.dtype.names:
            yield key, table[key]
    else:
        keys = list(table[0]) if table else []
        for row in table:
            if list(row) != keys:
                raise ValueError(f"The rows of a table have the same keys; here {list(row)} follows {keys}.")
        for key in keys:
            yield key, [row[key] for row in table]


def _column(key: Any, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(
            f"The column {key!r} of this table has shape {array.shape}; columns have one dimension."
        )
    return array if array.dtype.kind in "biufU" else np.array([str(v) for v in array.tolist()], dtype=str)
