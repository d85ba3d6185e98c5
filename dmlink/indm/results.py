"""The kinds of result that a cell can have, in the notebook and in DigitalMicrograph."""

from __future__ import annotations

import io
import sys
from itertools import compress
from typing import Any, Callable, Iterator, Union

import numpy as np

from dmlink.indm.info import Axis
from dmlink.indm.unmasked import plain_number, unmasked

Result = Union[
    "Scalar", "Profile", "Image", "Points", "Boxes", "Overlay", "Several", "Table", "Text", "Event"
]
Drawn = Union["Scalar", "Profile", "Image"]  # the kinds that the companion draws in DM's windows

MAX_ROWS = 50  # rows of a table shown as text: what fits on a screen
MAX_BYTES = 512 << 20  # size of an image or profile: 8192 x 8192 numbers of 8 bytes
MAX_SEVERAL = 16  # results side by side: as many as one can still look at


class Scalar:
    """A number for each frame, or several named numbers: drawn as a strip chart.

    `value` is a float or a dict of floats, in `unit`; None and masked values become NaN.
    """

    kind = "scalar"

    def __init__(self, value: Any, unit: str = "", name: str = "") -> None:
        if isinstance(value, dict):
            self.value: float | dict[str, float] = {str(k): float(plain_number(v)) for k, v in value.items()}
        else:
            self.value = float(plain_number(value))
        self.unit = str(unit)
        self.name = str(name)

    @property
    def series(self) -> dict[str, float]:
        """The numbers by name; a single number is called "value"."""
        return self.value if isinstance(self.value, dict) else {"value": self.value}

    @property
    def text(self) -> str:
        """The numbers, one per line if there are several."""
        unit = f" {self.unit}" if self.unit else ""
        if isinstance(self.value, dict):
            return "\n".join(f"{name} = {value:.6g}{unit}" for name, value in self.value.items())
        return f"{self.value:.6g}{unit}"


class Profile:
    """A curve for each frame: `values` of shape (n,) over the axis `x`; `value_unit` is the unit of y.

    With `waterfall`, a panel first shows the last curves one below the other, as an image over time.
    """

    kind = "profile"

    def __init__(
        self,
        values: Any,
        scale: float = 1.0,
        origin: float = 0.0,
        unit: str = "",
        value_unit: str = "",
        name: str = "",
        waterfall: bool = False,
    ) -> None:
        self.values = _numeric(values, "profile")
        if self.values.ndim != 1:
            raise ValueError(f"A profile has one dimension, not shape {self.values.shape}.")
        self.x = Axis(float(origin), float(scale), str(unit))
        self.value_unit = str(value_unit)
        self.name = str(name)
        self.waterfall = bool(waterfall)

    @property
    def text(self) -> str:
        """What it is, in words."""
        return f"a profile of {len(self.values)} values"


class Image:
    """An image for each frame: `values` of shape (h, w), or (h, w, 3) uint8 for colour.

    `scale` and `unit` are the size of a pixel, `origin` is the position of the first one: each one number for
    both axes, or (y, x).
    """

    kind = "image"

    def __init__(
        self, values: Any, scale: Any = 1.0, origin: Any = 0.0, unit: str = "", name: str = ""
    ) -> None:
        self.values = _numeric(values, "image")
        colour = self.values.ndim == 3 and self.values.shape[2] == 3
        if self.values.ndim != 2 and not colour:
            raise ValueError(f"An image has shape (h, w), or (h, w, 3) for colour, not {self.values.shape}.")
        if colour and self.values.dtype != np.uint8:
            raise ValueError(f"A colour image is uint8 from 0 to 255, not {self.values.dtype}.")
        y0, x0 = origin if np.ndim(origin) else (origin, origin)
        dy, dx = scale if np.ndim(scale) else (scale, scale)
        self.y = Axis(float(y0), float(dy), str(unit))
        self.x = Axis(float(x0), float(dx), str(unit))
        self.name = str(name)

    @property
    def text(self) -> str:
        """What it is, in words."""
        return "an image of {} x {} pixels".format(*self.values.shape[1::-1])


class Points:
    """Points on the frame: `yx` of shape (n, 2), row and column in pixels of the frame; n may be 0.

    `labels` are n texts, or nothing; `tails` are n arrays of shape (m, 2), where each has been before, oldest
    first, or nothing. A point that is masked, NaN or infinite is left out, with its label and tail.
    """

    kind = "points"

    def __init__(self, yx: Any, name: str = "", labels: Any = None, tails: Any = None) -> None:
        places, there = _places(yx, "y, x")
        self.yx = places[there]
        self.name = str(name)
        self.labels = _labels(labels, there)
        tails = [] if tails is None else list(tails)
        if tails and len(tails) != len(there):
            raise ValueError(f"{len(tails)} tails for {len(there)} points: give one for each.")
        known = [_places(tail, "y, x") for tail in compress(tails, there)]
        self.tails = tuple(been[where] for been, where in known)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The columns of a table of the points, each of shape (n,): `label` if there are any, `y`, `x`."""
        return _labelled(self.labels, y=self.yx[:, 0], x=self.yx[:, 1])

    @property
    def text(self) -> str:
        """The points as a table."""
        return Table(self.columns).text


class Boxes:
    """Rectangles on the frame: `tlbr` of shape (n, 4), top, left, bottom, right in pixels; n may be 0.

    `labels` are n texts, or nothing. A box with a masked, NaN or infinite coordinate is left out.
    """

    kind = "boxes"

    def __init__(self, tlbr: Any, name: str = "", labels: Any = None) -> None:
        places, there = _places(tlbr, "top, left, bottom, right")
        self.tlbr = places[there]
        self.name = str(name)
        self.labels = _labels(labels, there)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The columns of a table of the rectangles, each of shape (n,): `label` if there are any, sides."""
        return _labelled(self.labels, **dict(zip(("top", "left", "bottom", "right"), self.tlbr.T)))

    @property
    def text(self) -> str:
        """The rectangles as a table."""
        return Table(self.columns).text


class Overlay:
    """Marks over an image: `image` is an Image, `marks` a tuple of Points and Boxes in its pixels.

    The image can be an array; it is then drawn in pixels.
    """

    kind = "overlay"

    def __init__(self, image: Any, *marks: Any, name: str = "") -> None:
        self.image = image if isinstance(image, Image) else Image(image)
        for mark in marks:
            if not isinstance(mark, (Points, Boxes)):
                raise TypeError(
                    f"An Overlay has Points and Boxes over its image, not {_described(mark)}: "
                    "Overlay(image, Points(yx), Boxes(tlbr))."
                )
        self.marks = marks
        self.name = str(name)

    @property
    def text(self) -> str:
        """The marks, as tables."""
        return "\n".join(mark.text for mark in self.marks) or self.image.text


class Several:
    """Several results side by side: `results` is a dict of names to results, in order, none of them Several.

    The values in `results` can be anything that the last line of a cell may be.
    """

    kind = "several"

    def __init__(self, results: Any, name: str = "") -> None:
        if len(results) > MAX_SEVERAL:
            raise ValueError(
                f"The cell returns {len(results)} results at once; at most {MAX_SEVERAL} are shown. "
                "Put many numbers in a list or an array, which is drawn as a profile."
            )
        self.results: dict[str, Any] = {}
        for key, value in results.items() if isinstance(results, dict) else enumerate(results, start=1):
            result = as_result(value)
            if result is None:
                continue
            if isinstance(result, Several):
                raise TypeError(f"The result {str(key)!r} is itself several: put all of them side by side.")
            own = str(key) if isinstance(results, dict) or not result.name else result.name
            own = free_name(own, self.results.__contains__)
            result.name = result.name or own
            self.results[own] = result
        self.name = str(name)

    @property
    def text(self) -> str:
        """All results as text, each below its name."""
        return "\n".join(f"{name}:\n{result.text}" for name, result in self.results.items())


class Table:
    """Named columns: `columns` is a dict of arrays of shape (n,), numbers or text; n may be 0.

    It can be made from such a dict, a list of dicts, a structured array or a pandas DataFrame.
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
        """The table as lines of text, with at most MAX_ROWS rows."""
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
    """A text for each frame."""

    kind = "text"

    def __init__(self, text: Any, name: str = "") -> None:
        self.text = str(text)
        self.name = str(name)


class Event:
    """Something that happens in some frames: `text` says what, and `when` whether it happened in this one.

    A cell should return an Event for every frame, so that its kind of result never changes. NaN and a
    masked `when` count as not happened.

    Attributes
    ----------
    happened : bool
    text : str
        What happened; empty if nothing did.
    """

    kind = "event"

    def __init__(self, text: Any = "", when: Any = True, name: str = "") -> None:
        self.happened = bool(when) and not (isinstance(when, (float, np.floating)) and np.isnan(when))
        self.text = (str(text) or str(name) or "event") if self.happened else ""
        self.name = str(name)


def as_result(value: Any, name: str = "") -> Any:
    """Convert a cell's last value to the result that it obviously means.

    A number (or a dict of numbers) becomes a Scalar, one dimension a Profile, two an Image; text a Text; a
    structured array, a list of dicts or a pandas DataFrame a Table; a matplotlib Figure a colour Image; a
    tuple, or a dict of anything but numbers, Several; a result stays as it is, with `name` if it has
    none, and None stays None.

    Raises
    ------
    TypeError, ValueError
        If the value has no such meaning; the message says what does.
    """
    if value is None:
        return None
    if isinstance(value, (Scalar, Profile, Image, Points, Boxes, Table, Text, Event, Overlay, Several)):
        value.name = value.name or name
        return value
    if isinstance(value, str):
        return Text(value, name=name)
    if isinstance(value, dict) and {_is_number(v) for v in value.values() if v is not None} == {True}:
        return Scalar(value, name=name)
    if isinstance(value, (dict, tuple)) and value:
        several = Several(value, name=name)
        return several if several.results else None
    rows = isinstance(value, list) and value and all(isinstance(row, dict) for row in value)
    if rows or hasattr(value, "to_records") or getattr(getattr(value, "dtype", None), "names", None):
        return Table(value, name=name)
    if hasattr(value, "savefig") and hasattr(value, "canvas"):
        return Image(_drawn(value), name=name)
    array = _as_array(value)
    if array.dtype.kind in "biuf":
        if array.ndim == 0:
            return Scalar(array.item(), name=name)
        values = value if isinstance(value, np.ma.MaskedArray) else array
        if array.ndim == 1:
            return Profile(values, name=name)
        if array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3):
            return Image(values, name=name)
    raise TypeError(
        f"The cell's last line gives this: {_described(value)}, which cannot be shown."
        f"{_advice(value, array)} End the cell with a number, a dict of numbers, a 1-D array (profile), "
        "a 2-D array (image), an (h, w, 3) uint8 array (colour), text, a list of dicts (table), or several "
        "of these as a tuple or dict."
    )


def events_in(result: Any) -> list[str]:
    """Return the events in a result, or in one of several."""
    if isinstance(result, Several):
        return [text for one in result.results.values() for text in events_in(one)]
    return [result.text] if isinstance(result, Event) and result.happened else []


def free_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """Return the name, with as many `'` appended as needed for `is_taken` to be false."""
    while is_taken(name):
        name += "'"
    return name


def _as_array(value: Any) -> np.ndarray:
    try:
        return unmasked(value)
    except ValueError:  # lists of unequal lengths
        return np.empty(0, object)


def _is_number(value: Any) -> bool:
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf"


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape} and type {value.dtype}"
    return type(value).__name__


def _advice(value: Any, array: np.ndarray) -> str:
    """Say what to do with an array that has no obvious meaning."""
    if array.dtype.kind == "c":
        return " For complex numbers, show the magnitude (np.abs) or the phase (np.angle)."
    if array.dtype.kind == "O" and isinstance(value, (np.ndarray, list)):
        return " Its elements are Python objects, perhaps of different lengths: make it plain numbers."
    if array.dtype.kind in "biuf" and array.ndim > 2:
        return " Show one image of it (stack[0]), or the mean over an axis (stack.mean(axis=0))."
    return ""


def _drawn(figure: Any) -> np.ndarray:
    """Return a matplotlib figure as an image, (h, w, 3) uint8."""
    width, height = figure.canvas.get_width_height()
    pixels = io.BytesIO()
    with sys.modules["matplotlib"].rc_context({"savefig.bbox": None}):  # drawn at its own size
        figure.savefig(pixels, format="rgba", dpi=figure.dpi)
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(figure)  # otherwise pyplot would keep every frame's figure
    return np.frombuffer(pixels.getvalue(), np.uint8).reshape(height, width, 4)[..., :3].copy()


def _numeric(values: Any, what: str) -> np.ndarray:
    array = _as_array(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"The values of this {what} are {array.dtype}; they must be real numbers.{_advice(values, array)}"
        )
    if array.size == 0:
        raise ValueError(f"This {what} has no values (shape {array.shape}).")
    if array.nbytes > MAX_BYTES:
        raise ValueError(
            f"This {what} of shape {array.shape} and type {array.dtype} has {array.nbytes >> 20} MiB; at "
            f"most {MAX_BYTES >> 20} are shown: bin or crop it."
        )
    masked = isinstance(values, np.ma.MaskedArray)  # on purpose
    if (
        array.dtype.kind == "f"
        and not masked
        and np.isnan(array[(0,) * array.ndim])
        and np.isnan(array).all()
    ):
        raise ValueError(
            f"This {what} contains only NaN: look for a division by zero or a mean of nothing, or end the "
            "cell with None where there is nothing to show."
        )
    return array


def _labels(labels: Any, there: np.ndarray) -> tuple[str, ...]:
    """Return the labels of the valid points or boxes."""
    texts = () if labels is None else tuple(str(label) for label in labels)
    if texts and len(texts) != len(there):
        raise ValueError(f"{len(texts)} labels for {len(there)} places: give one for each.")
    return tuple(compress(texts, there))


def _labelled(labels: tuple[str, ...], **columns: np.ndarray) -> dict[str, np.ndarray]:
    return {"label": np.array(labels), **columns} if labels else columns


def _places(values: Any, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates as floats, (n, k) or (0, k) for none, and which of them are valid, (n,)."""
    k = what.count(",") + 1
    array = unmasked(values)
    if array.size == 0:
        array = np.zeros((0, k))
    if array.ndim != 2 or array.shape[1] != k or array.dtype.kind not in "biuf":
        raise ValueError(
            f"Positions must have shape (n, {k}): {what} in pixels; these are {array.dtype} of shape "
            f"{array.shape}."
        )
    return array.astype(float), np.isfinite(array).all(axis=1)


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
    array = unmasked(values)
    if array.ndim != 1:
        raise ValueError(
            f"The column {key!r} of this table has shape {array.shape}; columns have one dimension."
        )
    return array if array.dtype.kind in "biufU" else np.array([str(v) for v in array.tolist()], dtype=str)
