"""The kinds of result of an exported script: those of results.py in short, each shown in DigitalMicrograph.

They go into people's scripts as they stand: `dmlink.export` takes those that a script can need. Tests hold
them equal to the cell's.
"""

import io
import sys
import time
from typing import NamedTuple

import numpy as np

from dmlink.indm.scriptwindow import Colours, Marks, Window, ascii_text


class Axis(NamedTuple):  # the value at pixel i is origin + scale * i, in unit
    origin: float = 0.0
    scale: float = 1.0
    unit: str = ""

    def part(self, start):
        return self._replace(origin=self.origin + self.scale * start)

    def values(self, n):
        return self.origin + self.scale * np.arange(n)


class Scalar:
    def __init__(self, value, unit="", name=""):
        series = value if isinstance(value, dict) else {"value": value}
        self.series = {str(k): float("nan" if v is None else v) for k, v in series.items()}
        self.value = self.series if isinstance(value, dict) else self.series["value"]
        self.unit, self.name = unit, name

    def show_in(self, live, name, info):
        values = list(self.series.values())
        columns, frames, new = remember(live, name, values, empty=[[value] for value in values])
        live.draw(name, columns, (frames, Axis()), self.unit, line=True, new=new)

    @staticmethod
    def suits(value):
        given = [v for v in (value.values() if isinstance(value, dict) else [value]) if v is not None]
        plain = [not isinstance(v, (list, tuple)) and np.ndim(v) == 0 for v in given]
        return any(plain) and all(plain) and all(np.asarray(v).dtype.kind in "biuf" for v in given)


class Profile:
    def __init__(self, values, scale=1.0, origin=0.0, unit="", value_unit="", name=""):
        self.values, self.x = numbers(values, 1), Axis(float(origin), float(scale), unit)
        self.value_unit, self.name = value_unit, name

    def show_in(self, live, name, info):
        live.draw(name, self.values, (self.x,), self.value_unit, line=True)
        columns, frames, new = remember(live, name, self.values, empty=self.values.min())
        live.draw(f"{name} in time", columns, (frames, self.x), self.value_unit, new=new)

    @staticmethod
    def suits(value):
        return np.ndim(value) == 1


def remember(live, name, column, empty):
    """Add a column to those of the frames before; when they are full, there is room for twice as many.

    Of more than 2048 the older half goes. DM fits its contrast to all of them: the empty ones are like this.
    """
    columns, first, n = live.columns.get(name, (np.zeros((0, 0)), 0, 0))
    if len(column) != len(columns):
        columns, first, n = np.zeros((len(column), 0), np.float32), 0, 0
    new = slice(n, n + 1)
    if n == columns.shape[1]:
        gone, new = n // 2 if n >= 2048 else 0, slice(None)
        kept, first, n = columns[:, gone:], first + gone, n - gone
        room = np.full((len(column), max(n, 256)), np.where(np.isfinite(empty), empty, 0), np.float32)
        columns = np.hstack([kept, room])
    columns[:, n] = column
    live.columns[name] = columns, first, n + 1
    return columns, Axis(float(first), 1.0, "frames"), new


class Image:
    def __init__(self, values, scale=1.0, origin=0.0, unit="", name=""):
        array = np.asarray(values)
        colours = array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8
        y, x = origin if np.ndim(origin) else (origin, origin)
        self.values, self.name = numbers(array, 3 if colours else 2), name
        self.x, self.y = Axis(float(x), float(scale), unit), Axis(float(y), float(scale), unit)

    def show_in(self, live, name, info):
        kind = Colours if self.values.ndim == 3 else Window
        return live.draw(name, self.values, (self.x, self.y), kind=kind)

    @staticmethod
    def suits(value):
        return np.ndim(value) > 1


class Figure(Image):
    """A matplotlib figure, as an image in colour."""

    def __init__(self, figure):
        pixels, (width, height) = io.BytesIO(), figure.canvas.get_width_height()
        with sys.modules["matplotlib"].rc_context({"savefig.bbox": None}):  # of its own size
            figure.savefig(pixels, format="rgba", dpi=figure.dpi)
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close(figure)  # it would keep every frame's
        rgba = np.frombuffer(pixels.getvalue(), np.uint8).reshape(height, width, 4)
        Image.__init__(self, rgba[..., :3])

    @staticmethod
    def suits(value):
        return hasattr(value, "savefig")


def numbers(values, dimensions):
    array = np.asarray(values)
    if array.dtype.kind not in "biuf" or not array.size or array.ndim != dimensions:
        raise ValueError(f"{dimensions}-D numbers are shown here, not {array.dtype} of shape {array.shape}.")
    return array


class Boxes:
    def __init__(self, tlbr, name="", labels=None):
        self.tlbr, self.name = np.asarray(tlbr, float).reshape(-1, 4), name
        self.labels = () if labels is None else tuple(map(str, labels))

    def show_in(self, live, name, info):
        live.windows.setdefault(name, Marks(name)).draw(live.image, [self], (info.roi or (0, 0))[:2])


class Points(Boxes):  # drawn as small ones
    def __init__(self, yx, name="", labels=None, tails=None):
        self.yx, self.tails = np.asarray(yx, float).reshape(-1, 2), () if tails is None else tuple(tails)
        Boxes.__init__(self, np.hstack([self.yx - 3, self.yx + 3]), name, labels)


class Overlay:
    def __init__(self, image, *marks, name=""):
        self.image, self.marks, self.name = image if isinstance(image, Image) else Image(image), marks, name

    def show_in(self, live, name, info):
        window = self.image.show_in(live, name, info)
        if window.image is not None:
            live.windows.setdefault(f"{name} marks", Marks(name)).draw(window.image, self.marks)


class Several:
    def __init__(self, results, name=""):
        self.results, self.name = {}, name
        for key, value in results.items() if isinstance(results, dict) else enumerate(results, 1):
            result = as_result(value)
            if isinstance(result, Several):
                raise TypeError(f"The result {key!r} is itself several: put all of them side by side.")
            if result is not None:
                own = result.name if result.name and not isinstance(results, dict) else str(key)
                while own in self.results:
                    own += "'"
                self.results[own] = result

    def show_in(self, live, name, info):
        for key, one in self.results.items():
            one.show_in(live, f"{name} {key}", info)

    @staticmethod
    def suits(value):
        return isinstance(value, (dict, tuple)) and len(value) > 0


class Table:
    def __init__(self, columns, name=""):
        if hasattr(columns, "to_records"):  # pandas
            columns = columns.to_records(index=False)
        if isinstance(columns, list):
            columns = {key: [row[key] for row in columns] for key in (columns or [{}])[0]}
        keys = columns if isinstance(columns, dict) else columns.dtype.names
        self.columns, self.name, written = {str(k): np.asarray(columns[k]) for k in keys}, name, []
        for key, column in self.columns.items():
            cells = [key] + [format(v, ".6g") if column.dtype.kind == "f" else str(v) for v in column[:50]]
            written.append([cell.rjust(max(map(len, cells))) for cell in cells])
        n = max([len(column) for column in self.columns.values()] or [0])
        lines = ["  ".join(row).rstrip() for row in zip(*written)] + [f"... {n} rows in all"] * (n > 50)
        self.text = "\n".join(lines)

    def show_in(self, live, name, info):
        write(live, name, self.text)

    @staticmethod
    def suits(value):
        rows = isinstance(value, list) and value and all(isinstance(row, dict) for row in value)
        return rows or hasattr(value, "to_records") or getattr(getattr(value, "dtype", None), "names", None)


class Text:
    def __init__(self, text, name=""):
        self.text, self.name = str(text), name

    def show_in(self, live, name, info):
        write(live, name, self.text)

    @staticmethod
    def suits(value):
        return isinstance(value, str)


def write(live, name, text):
    """Print a text if it is another one, and not for every frame."""
    when, before = live.written.get(name, (float("-inf"), ""))
    if time.monotonic() - when > 1 and text != before:
        live.written[name] = time.monotonic(), text
        print(f"{name}, frame {live.index}:\n{ascii_text(text)}")


MEANINGS = [Text, Scalar, Several, Table, Figure, Profile, Image]  # a script's own: those that it can need


def as_result(value):
    """Give a bare value its obvious meaning, of those that this script knows."""
    if value is None or hasattr(value, "show_in"):
        return value
    for kind in MEANINGS:
        if kind.suits(value):
            return kind(value)
    raise TypeError(f"this script cannot show a {type(value).__name__}: export the cell again.")
