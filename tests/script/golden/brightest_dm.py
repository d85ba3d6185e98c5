"""brightest: processes every frame of the live view in DigitalMicrograph.

How to run it: open this file in a script window (File > Open, language Python), click the live view, then
execute it. On GMS before 3.6.1 leave "Execute on background thread" unticked. A rectangular ROI on the live
view limits what is processed. Close the live view or the result to stop it; execute it again to restart it.

Needs: NumPy, which comes with GMS.
Change the parameters and process() as you like. Made by dmlink 0.2.0.
"""

from __future__ import annotations  # so that Python 3.7 reads newer ones

dmlink_before = globals().copy()  # DM's scripts share their names: the others get theirs back

import numpy as np

# Parameters
n = 5  # 1 to 50: how many points


def process(frame, info, state):
    order = np.argsort(frame, axis=None)[-n:]
    yx = np.column_stack(np.unravel_index(order, frame.shape))
    return Points(yx)


# -------------------- Nothing below needs to be changed --------------------

def dmlink_live(before):
    """Run process() in DigitalMicrograph (DM).

    Everything needed is inside this function, so that it cannot clash with your names. "Cell" means the part
    above the line, which was a cell in a Jupyter notebook. The parts:

    - Clock: seconds since 1970 that advance steadily, even when somebody sets the computer's clock.
    - What a cell knows about its frame: where it comes from and what a pixel means.
    - Masked values as plain numbers: NaN, in every kind of result.
    - The kinds of result that a cell can have, in the notebook and in DigitalMicrograph.
    - Facts about DigitalMicrograph (GMS) needed to use its images: version, axes, rectangles.
    - Whole frames: which of DigitalMicrograph's events announce a frame, and when it is complete.
    - Windows: images that show results in DigitalMicrograph, in grey, as curves, or in colour.
    - Names: DigitalMicrograph's scripts share their global names; this script runs in its own namespace.
    - Sums: a frame's integers are added in 64 bits, as in the notebook; NumPy 1 on Windows would use 32.
    - Cell: calls process() for each frame, shows what it returns, and reports errors.
    - Marks: points and boxes as annotations on an image; those of each frame replace the previous ones.
    - Live: receives every frame of the live view, and lets the cell process those for which there is time.
    """
    import DigitalMicrograph as DM
    import collections
    import contextlib
    import io
    import math
    import numpy as np
    import sys
    import time
    import traceback
    from itertools import compress
    from typing import Any, Callable, Iterator, NamedTuple, Sequence, Union

    # Python's own names, even if they are redefined above
    from builtins import (
        AttributeError, Exception, NotImplementedError, RuntimeError, SystemExit, TypeError, ValueError,
        abs, all, any, bool, bytearray, bytes, dict, enumerate, exec, float, getattr, hasattr, int,
        isinstance, len, list, max, memoryview, min, next, object, print, property, range, reversed, set,
        slice, str, sum, tuple, type, zip
    )

    # ------------------------------------------------------------
    # Clock: seconds since 1970 that advance steadily, even when somebody sets the computer's clock.

    # Times are needed for ages and intervals between frames. If the clock were set, by hand or by a time server,
    # a picture could seem an hour old, or a recording could end without its last frames. Also, time.time() and
    # time.monotonic() advance in steps of 15.6 ms on Windows before Python 3.13: frames would have equal times.
    _START = time.time() - time.perf_counter()


    def steady_time() -> float:
        """Return seconds since 1970, based on the computer's clock when this was loaded."""
        return time.perf_counter() + _START


    # ------------------------------------------------------------
    # What a cell knows about its frame: where it comes from and what a pixel means.

    TAGS = {
        "exposure": "Acquisition:Parameters:High Level:Exposure (s)",
        "binning": "Acquisition:Parameters:High Level:Binning",
        "magnification": "Microscope Info:Indicated Magnification",
        "camera_length": "Microscope Info:STEM Camera Length",
        "high_tension": "Microscope Info:Voltage",
    }


    class Axis(NamedTuple):
        """A calibrated axis: the value at pixel `index` is `origin + scale * index`, in `unit`."""

        origin: float = 0.0
        scale: float = 1.0
        unit: str = ""

        def part(self, start: int) -> Axis:
            """Return the axis of a region that starts at pixel `start`."""
            return Axis(self.origin + self.scale * start, self.scale, self.unit)

        def values(self, n: int) -> np.ndarray:
            """Return the values of the first `n` pixels, shape (n,), in `unit`."""
            return self.origin + self.scale * np.arange(n)


    def ascii_text(text: Any) -> str:
        """Return text that DM accepts; micro signs arrive from DM as bytes, and crash it when sent back so."""
        plain = str(text, "latin-1") if isinstance(text, bytes) else str(text or "")
        return (
            plain.translate({0xB5: "u", 0x3BC: "u", 0xC5: "A", 0x212B: "A"}).encode("ascii", "replace").decode()
        )


    class Info:
        """The circumstances of one frame, as `info` in a cell.

        Attributes
        ----------
        index : int
            The frame's number since the source was first seen; gaps are frames that were not processed.
        time : float
            When the frame was copied, in seconds since the Unix epoch.
        x, y : Axis
            Horizontal and vertical calibration of the pixels that the cell gets.
        roi : tuple of int or None
            (top, left, bottom, right) in pixels of the source; None for the whole image. Its `mask` says which
            pixels of the frame lie within the ellipse, ring or polygon that is drawn there, shape (h, w), bool.
        line : tuple of float or None
            The first line drawn on the live view, (y0, x0, y1, x1) in pixels of the frame; it may extend
            beyond the frame. None if there is none.
        source : str
            The name of the image in DigitalMicrograph.
        tags : dict
            Exposure, binning and the like, if the microscope reports them.
        rois : dict
            The rectangles drawn on the live view, by name, each (top, left, bottom, right) in pixels of
            the frame, with a `mask` like that of `roi`; they may extend beyond it. DigitalMicrograph stores
            neither names nor masks: there, they are called "roi", "roi 2" ...
        log : dict
            The latest numbers of other instruments at `time`, by name; empty in DigitalMicrograph.
        again : bool
            Whether the last frame is processed once more, because a parameter has changed: what adds up over the
            frames should leave it out. Always False in DigitalMicrograph.
        """

        __slots__ = ("again", "index", "line", "log", "roi", "rois", "source", "tags", "time", "x", "y")

        def __init__(
            self,
            index: int = 0,
            time: float = 0.0,
            x: Axis = Axis(),
            y: Axis = Axis(),
            roi: tuple[int, int, int, int] | None = None,
            source: str = "",
            tags: dict[str, Any] | None = None,
            line: tuple[float, ...] | None = None,
            log: dict[str, float] | None = None,
            rois: dict[str, tuple[int, int, int, int]] | None = None,
            again: bool = False,
        ) -> None:
            self.again = again
            self.index = index
            self.time = time
            self.x = x
            self.y = y
            self.roi = roi
            self.source = source
            self.tags = {} if tags is None else tags
            self.line = line
            self.log = {} if log is None else log
            self.rois = {} if rois is None else rois

        @property
        def scale(self) -> float:
            """Size of a pixel along x, in `unit`."""
            return self.x.scale

        @property
        def origin(self) -> float:
            """Position of the first pixel along x, in `unit`."""
            return self.x.origin

        @property
        def unit(self) -> str:
            """Unit of the horizontal axis, such as "nm"; empty if the image is not calibrated."""
            return self.x.unit


    def tags_of(image: Any) -> dict[str, float]:
        """Return the TAGS that an image in DigitalMicrograph has, in its units (s, mm, V)."""
        group = image.GetTagGroup()
        read = {name: group.GetTagAsDouble(path) for name, path in TAGS.items()}
        tags = {name: float(value) for name, (found, value) in read.items() if found and math.isfinite(value)}
        with contextlib.suppress(Exception):  # a pair of numbers, if there is one
            binning = image.GetTagGroup()["Acquisition"]["Parameters"]["High Level"]["Binning"]
            tags.setdefault("binning", float(binning[0]))
        return tags


    # ------------------------------------------------------------
    # Masked values as plain numbers: NaN, in every kind of result.

    def unmasked(values: Any) -> np.ndarray:
        """Return values as an array with NaN for masked ones, so that masked integers become floats.

        Masked text becomes empty.
        """
        if isinstance(values, (list, tuple)) and any(isinstance(v, np.ma.MaskedArray) for v in values):
            values = np.ma.array(values)
        if not isinstance(values, np.ma.MaskedArray):
            return np.asarray(values)
        if values.dtype.kind in "biu":
            values = values.astype(np.result_type(values.dtype, np.float32))
        return np.asarray(values.filled("" if values.dtype.kind in "SU" else np.nan))


    def plain_number(value: Any) -> Any:
        """Return a number unchanged; NaN if there is none, or it is masked."""
        return float("nan") if value is None or value is np.ma.masked else value


    # ------------------------------------------------------------
    # The kinds of result that a cell can have, in the notebook and in DigitalMicrograph.

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


    # ------------------------------------------------------------
    # Facts about DigitalMicrograph (GMS) needed to use its images: version, axes, rectangles.

    RESULT_TAG = "dmlink:result"  # tag on images created by dmlink, so that they are not used as a live view
    RGB = 23  # data type of a colour image
    CRASHING = {(3, 50), (3, 51)}  # GMS 3.5.0 and 3.5.1 crash with scripts that listen to a live view


    def version() -> tuple[int, ...]:
        """Return (major, minor, build) of GMS, such as (3, 61, 4719), which only DM-script knows; or ()."""
        numbers = []
        with contextlib.suppress(Exception):
            DM.ExecuteScriptString(
                "number a, b, c\n"
                "GetApplicationVersion(a, b, c)\n"
                'GetPersistentTagGroup().TagGroupSetTagAsLong("dmlink:version:major", a)\n'
                'GetPersistentTagGroup().TagGroupSetTagAsLong("dmlink:version:minor", b)\n'
                'GetPersistentTagGroup().TagGroupSetTagAsLong("dmlink:version:build", c)\n'
            )
            for part in ("major", "minor", "build"):
                found, value = DM.GetPersistentTagGroup().GetTagAsLong("dmlink:version:" + part)
                numbers.append(int(value) if found else 0)
        return tuple(numbers) if len(numbers) == 3 else ()


    def refusal(gms: tuple[int, ...]) -> str:
        """Return why this version of GMS cannot be used; empty if it can."""
        if gms[:2] in CRASHING:
            return "GMS 3.5.0 and 3.5.1 crash with scripts that listen to a live view. Use GMS 3.5.2 or later."
        return ""


    def on_main_thread(unknown: bool) -> bool:
        """Return whether the script runs on DM's main thread, or `unknown` if this GMS does not say."""
        try:
            return bool(DM.IsScriptOnMainThread())
        except Exception:
            return unknown


    def axis(image: Any, dimension: int) -> Axis:
        """Return the calibration of an image's dimension: 0 is x, 1 is y, which a spectrum does not have."""

        def calibration() -> Any:
            return image.GetDimensionCalibration(dimension, 0) if dimension < image.GetNumDimensions() else None

        found = read_if_possible(image, calibration, None)
        if found is None:
            return Axis()
        origin, scale, unit = found
        if not (math.isfinite(origin) and math.isfinite(scale)):
            return Axis()
        return Axis(float(origin), float(scale), ascii_text(unit))


    def value_unit_of(image: Any) -> str:
        """Return the unit of an image's values, such as "e-"; empty if it has none, or GMS does not say."""
        try:
            return ascii_text(image.GetIntensityUnitString())
        except Exception:  # for whatever reason this GMS refuses it
            return ""


    def read_if_possible(image: Any, read: Callable[[], Any], otherwise: Any) -> Any:
        """Return what `read` returns, or `otherwise` if this GMS fails although the image's window is open."""
        try:
            return read()
        except Exception:
            if not has_window(image):
                raise
            return otherwise


    def pixels_of(image: Any) -> np.ndarray:
        """Return the memory of an image as frames: (h, w), spectra as (1, n), colours as (h, w, 3) uint8.

        Raises
        ------
        ValueError
            If it is none of these, or its colours are packed into numbers; the message is for the user.
        """
        try:
            array: np.ndarray = image.GetNumArray()
        except Exception as error:  # it is not known what DM raises for colour images
            raise ValueError(
                f"DigitalMicrograph does not give the pixels of {title_of(image)!r} to Python: {error}"
            ) from None
        if array.ndim == 2 and not (array.dtype in (np.int32, np.uint32) and _is_colour(image)):
            return array
        if array.ndim == 2:
            raise ValueError(
                f"DigitalMicrograph packs each colour of {title_of(image)!r} into one number. "
                "Stream the images that it was made from."
            )
        if array.ndim == 1:
            return array.reshape(1, -1)
        if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8:
            return array
        raise ValueError(
            f"The image {title_of(image)!r} has the shape {array.shape}; only images (h, w), spectra and "
            "colour images can be streamed."
        )


    def title_of(image: Any) -> str:
        """Return the image's name, or "?" if DM does not say it."""
        try:
            return str(image.GetName())
        except Exception:
            return "?"


    def tags_on(image: Any) -> dict[str, float]:
        """Return the tags that `info.tags` has."""
        found: dict[str, float] = read_if_possible(image, lambda: tags_of(image), {})
        return found


    def shown_images() -> Iterator[Any]:
        """Yield every image that has a window, the front one first, except results shown by dmlink."""
        seen = set()
        for image in _open_images():
            try:
                number = image.GetID()
            except Exception:  # just closed
                continue
            if number not in seen and not is_ours(image):
                seen.add(number)
                yield image
            del image  # DM frees an image only when Python no longer refers to it


    def _open_images() -> Iterator[Any]:
        """Yield the front image, then those of all documents; some of them twice."""
        with contextlib.suppress(Exception):  # there is none
            yield DM.GetFrontImage()
        try:
            n = DM.CountImageDocuments()
        except Exception:
            yield from _images_behind()
            return
        for i in range(n):
            with contextlib.suppress(Exception):  # without a window or an image, or just closed
                yield _with_window(DM.GetImageDocument(i))


    def _is_colour(image: Any) -> bool:
        """Return whether GMS calls the image a colour image; one without `GetDataType` does not say."""
        try:
            return bool(image.GetDataType() == RGB)
        except Exception:
            return False


    def _images_behind() -> Iterator[Any]:
        """Yield the images behind the front one, as far as GMS finds them."""
        seen = set()
        with contextlib.suppress(Exception):  # there is none, or GMS cannot find the next one
            image = DM.GetFrontImage()
            while image is not None and image.GetID() not in seen:
                seen.add(image.GetID())
                image = image.FindNextImage()
                if image is not None:
                    yield image


    def live_view() -> Any:
        """Return the front image if it can be streamed, else the first one that can; None if there is none."""
        for image in shown_images():
            try:
                pixels_of(image)
            except Exception:
                continue
            return image
        return None


    def fault_of_view() -> str:
        """Return why the front image cannot be streamed; empty if there is no image in front."""
        try:
            image = DM.GetFrontImage()
        except Exception as error:
            return str(error) if isinstance(error, AttributeError) else ""
        try:
            DM.FindImageByID(image.GetID())
            image.GetOrCreateImageDocument().GetWindow()
            pixels_of(image)
        except Exception as error:
            return str(error)
        return ""


    def _with_window(document: Any) -> Any:
        document.GetWindow()
        return document.GetImage(0)


    def is_ours(image: Any) -> bool:
        """Return whether dmlink has created the image, to show a result."""
        try:
            found, value = image.GetTagGroup().GetTagAsBoolean(RESULT_TAG)
        except Exception:  # an image whose tags cannot be read is not ours
            return False
        return bool(found and value)


    def has_window(image: Any) -> bool:
        """Return whether an image still has a window, if no listener can report that it was closed."""
        try:
            return image.GetOrCreateImageDocument().GetWindow() is not None
        except Exception:
            return False


    @contextlib.contextmanager
    def unless_closed(image: Any) -> Iterator[None]:
        """Continue after any failure inside that is due to the image's window having been closed."""
        try:
            yield
        except Exception:
            if has_window(image):
                raise


    def delete_image(image: Any) -> None:
        """Close an image's window and let DM free it."""
        try:
            DM.DeleteImage(image)
        except Exception:
            with contextlib.suppress(Exception):
                DM.CloseImage(image)


    def unregister(listener: Any) -> None:
        """Unregister listeners, if DM can (GMS up to 3.5.1 cannot); failures are ignored."""
        with contextlib.suppress(Exception):
            listener.UnregisterAllListeners()


    def line_on(image: Any) -> tuple[float, ...] | None:
        """Return the first line drawn on the image, (y0, x0, y1, x1) in pixels; None without one."""
        for roi in rois_on(image):
            with contextlib.suppress(Exception):  # only trying shows whether it is a line
                x0, y0, x1, y1 = roi.GetLine()
                line = float(y0), float(x0), float(y1), float(x1)
                if np.isfinite(line).all():
                    return line
        return None


    def rois_on(image: Any) -> list[Any]:
        """Return the ROIs on the image; none if its window was just closed, or if GMS does not report them."""
        display = display_of(image)
        n = 0 if display is None else read_if_possible(image, lambda: int(display.CountROIs()), 0)
        found = []
        for i in range(n):
            with contextlib.suppress(Exception):  # removed since they were counted; the others stay
                found.append(display.GetROI(i))
        return found


    def line_from(line: tuple[float, ...] | None, top: int, left: int) -> tuple[float, ...] | None:
        """Return the line in pixels of the region that starts at (top, left); it may extend beyond the region."""
        return line and tuple(v - corner for v, corner in zip(line, (top, left, top, left)))


    def display_of(image: Any) -> Any:
        """Return the display of the image; None if its window has just been closed."""
        try:
            return image.GetImageDisplay(0)
        except Exception:  # it is not known how GMS reports this
            return None


    def clamped(rectangle: Sequence[float], height: int, width: int) -> tuple[int, int, int, int]:
        """Return the part of (top, left, bottom, right) that lies on the image: at least one pixel."""
        top = min(max(0, int(rectangle[0])), height - 1)
        left = min(max(0, int(rectangle[1])), width - 1)
        return (
            top,
            left,
            min(max(top + 1, int(rectangle[2])), height),
            min(max(left + 1, int(rectangle[3])), width),
        )


    # ------------------------------------------------------------
    # Whole frames: which of DigitalMicrograph's events announce a frame, and when it is complete.
    #
    # An event of a camera's view announces a frame, whatever its pixels. The In-Situ Player sends its event twice
    # for each frame, and a scan (STEM) fills the image from the top with events on the way. Only a view that was
    # known to do one of these is judged by its pixels, all of them.

    class Seen(NamedTuple):
        """The result of a look at the image.

        `late` holds the pixels of the previous frame, as bytes, if only now it is known to be whole. After it,
        `passed` frames were overwritten before this look; `whole`: the image now holds a whole frame.
        """

        late: bytes | None
        whole: bool
        passed: int = 0


    class Rows(NamedTuple):
        """The rows that have changed: first, last, end of the first run, and whether that is the only run."""

        first: int
        last: int
        end: int
        together: bool


    class WholeFrames:
        """Watches the events of one view.

        Attributes
        ----------
        unsure : int
            Events that may have announced a frame that could not be copied completely.
        sample : list of bytes
            Some bytes of the image at the last look: of the first row, of two in between, and of the last.
        """

        CAMERA, UNDECIDED, SCANNING = "camera", "undecided", "scanning"
        SURE = 8  # consecutive whole frames that show that a view is a camera's
        REPEATS = 6  # consecutive frames announced more than once that show that a view repeats its events
        BLOCKS = 64  # blocks of rows that are compared one by one
        SAMPLED = 512  # bytes of each of four rows by which a camera's view is watched
        PATIENCE = 16, 1024  # events before a camera's view is first re-examined; at most

        def __init__(self) -> None:
            self.unsure = 0
            self.sample: list[bytes] = []
            self._patience = self.PATIENCE[0]
            self._announced = True
            self._known = False  # assume a camera's view, unless the watched rows show otherwise
            self._mode = self.UNDECIDED
            self._repeated = 0
            self._owed = 0  # events still expected for frames that were seen without one
            self._like: tuple[Any, ...] = ()
            self._sampled: list[slice] = []  # the bytes in `sample`
            self._places: list[tuple[int, int]] = []  # ends of the blocks, in bytes
            self._blocks: list[bytearray] = []  # the image at the last look

        def see(self, array: Any, events: int = 1) -> Seen:
            """Look at the image; `events` is the number of events since the last look, 0 if none arrive."""
            flat, like = bytes_of(array), (array.shape, array.dtype)
            if like != self._like:
                passed = self._passed(events)
                self._owed = 1 if self._like and not events else 0
                self._like = like
                self._height, self._bottom = len(array), len(array) - 1  # the last row that ever changes
                row = len(flat) // self._height
                n = min(row, self.SAMPLED)
                between = (self._height * i // 3 * row + (row - n) // 2 for i in (1, 2))
                self._sampled = [slice(begin, begin + n) for begin in (0, *between, len(flat) - n)]
                self.sample = self.sample_of(flat)
                self._watch_closely(flat)
                self._known = False
                return Seen(None, True, passed)
            before, self.sample = self.sample, self.sample_of(flat)
            if self._mode == self.CAMERA:
                same, doubtful = self._glance(before)
                if doubtful or not events:
                    self._watch_closely(flat)
                if not events:
                    self._owed = 0 if same else 1
                    return Seen(None, not same)
                if same and self._owed:  # the late event of a frame that was seen without one
                    self._owed, events = 0, events - 1
                return Seen(None, events > 0, max(0, events - 1))
            return self._see_all(flat, events)

        def _see_all(self, flat: memoryview, events: int) -> Seen:
            """Compare the whole image with the last look."""
            changed = self._changed_blocks(flat)
            late = self._release() if events and self._known else None  # the event it was held back for
            owed = min(self._owed, events - bool(changed)) if events else 0  # each change is a frame
            self._owed -= owed
            if events and events == owed:
                return Seen(late, False)
            events -= owed
            self._announced, known, unsure = events > 0, self._known, self.unsure
            seen = self._judge(self._changed_rows(changed, flat)) if changed else self._judge_same()
            if self._mode != self.CAMERA:
                for i in changed:
                    self._blocks[i][:] = flat[slice(*self._places[i])]
            self._known = self._known and self._mode != self.SCANNING and self._repeated < self.REPEATS
            if known and self._known:  # it counts as a camera's view until something else is seen
                self.unsure, self._repeats = unsure, 0
                if events:
                    self._held = False
                    return Seen(late, True, events - 1)
            if changed and not events and seen.whole:
                self._owed += 1
            return Seen(late or seen.late, seen.whole, self._passed(events))

        def _passed(self, events: int) -> int:
            """Return how many frames were overwritten before this look; if unknown, increase `unsure`."""
            passed = max(0, events - 1)
            if self._known:
                return passed
            if self._mode == self.UNDECIDED and self._repeated < self.REPEATS:
                self.unsure += passed
            return 0

        def _watch_closely(self, flat: memoryview) -> None:
            """From now on, compare whole images until it is clear what kind of view this is."""
            self._mode = self.UNDECIDED
            self._whole = self._same = 0
            self._repeated = self._repeats = 0  # consecutive frames announced more than once; the surplus events
            self._times = 0  # surplus events of each of them
            self._single = 0  # consecutive frames announced once, by a view thought to repeat its events
            self._rows = Rows(0, self._bottom, self._bottom, True)  # that changed last
            self._part_end = -1  # the last row of a scan that has arrived
            self._held = False  # the previous image may have been a part, so it was not taken
            self._held_owed = False  # that was seen without an event
            row = len(flat) // self._height
            step = -(-self._height // self.BLOCKS)
            self._places = [(i * row, min(i + step, self._height) * row) for i in range(0, self._height, step)]
            self._blocks = [bytearray(flat[begin:end]) for begin, end in self._places]

        def _take_for_camera(self) -> None:
            if self._announced and self._repeated < self.REPEATS:  # otherwise only the pixels can tell
                self._mode, self._blocks, self._countdown = self.CAMERA, [], self._patience
                self._known = True
                self._patience = min(2 * self._patience, self.PATIENCE[1])

        def _glance(self, before: list[bytes]) -> tuple[bool, bool]:
            """Compare the sample of a camera's view with the one before.

            Return whether it is unchanged, and whether the view should be watched closely again.
            """
            now = self.sample
            self._countdown -= 1
            doubtful = self._countdown < 0 and (now[0] == before[0] or now[-1] == before[-1])
            return now == before, doubtful

        def sample_of(self, flat: memoryview) -> list[bytes]:
            """Return the sample of an image like the last one, given as bytes."""
            return [bytes(flat[place]) for place in self._sampled]

        def _judge_same(self) -> Seen:
            """Judge a look at an unchanged image."""
            if not self._announced:
                if self._mode == self.UNDECIDED and self._repeated < self.REPEATS and not self._known:
                    self.unsure += self._same
                    self._same = 0
                held = self._mode == self.UNDECIDED and self._release() is not None
                return Seen(None, held)  # no event has followed, so it was not a part
            self._same += 1
            if self._mode == self.SCANNING or self._repeated >= self.REPEATS:
                self._whole = 0
                return Seen(None, False)
            if self._same < self.SURE:
                return Seen(None, False)  # perhaps another event for the same frame
            self.unsure += self._same - 1 + self._held  # the image held back is the frame, and is taken now
            self._held = False
            self._take_for_camera()  # that sees the same again and again
            return Seen(None, True)

        def _judge(self, rows: Rows) -> Seen:
            """Judge a change of these rows."""
            self._count_repeats()
            if self._mode == self.UNDECIDED:
                continues = self._part_end < rows.first <= self._part_end + 1 + self._height // self.BLOCKS
                if self._part_end < 0 or not (continues and rows.together):
                    return self._judge_undecided(rows)
                self._mode, self._held, self._whole = self.SCANNING, False, 0
            return self._judge_scan(rows)

        def _count_repeats(self) -> None:
            """Treat earlier events after which nothing had changed as repeated, if this continues.

            A view repeats events equally often. If they are merely late, sometimes many, sometimes few or none
            come with the same image.
            """
            same, self._same = self._same, 0
            if self._mode == self.SCANNING:
                return
            if self._repeated >= self.REPEATS:
                self._single = 0 if same else self._single + 1
                if self._single >= self.SURE:
                    self._repeated = self._repeats = self._single = 0
                return
            self.unsure += same
            if same and same == (self._times or same):
                self._repeated, self._repeats, self._times = self._repeated + 1, self._repeats + same, same
                if self._repeated >= self.REPEATS:
                    self.unsure -= self._repeats  # these events announced nothing
            else:
                self._repeated, self._repeats, self._times = int(same > 0), same, same

        def _judge_undecided(self, rows: Rows) -> Seen:
            """Take the image or, if it looks like part of a scan, hold it back until the next event."""
            late = self._release()
            self._held = rows.together and rows.last < self._bottom
            self._held_owed = not self._announced
            self._part_end = rows.last if self._held else -1
            whole = not self._held
            # a camera changes much the same rows each time, a scan seen late different ones
            before, self._rows = self._rows, rows
            alike = max(abs(rows.first - before.first), abs(rows.last - before.last)) <= self._height // 8
            self._whole = self._whole + 1 if alike and self._announced else 0
            if self._whole >= self.SURE:
                whole = True
                self._take_for_camera()
            return Seen(late, whole)

        def _release(self) -> bytes | None:
            """Return the image held back, if there is one: it is a frame after all."""
            if not self._held:
                return None
            self._held = False
            self._owed += self._held_owed
            return b"".join(self._blocks)

        def _judge_scan(self, rows: Rows) -> Seen:
            """Wait for the last row of a scan that ever changes."""
            before, self._part_end = self._part_end, rows.last
            late = None
            if rows.first <= before and rows.last <= before:  # a new scan, without any row further down
                late = b"".join(self._blocks)
                self._bottom = before
                self._whole += 1
            elif rows.first <= before:  # the end of one scan and the start of the next, in one event
                self.unsure += 1
                self._whole = 0
                if not rows.together:
                    self._part_end = rows.end
                    return Seen(None, False)
            whole = rows.last >= self._bottom
            if whole:
                self._bottom, self._part_end = rows.last, -1
                self._whole = self._whole + 1 if rows.first == 0 and before < 0 else 0
            if self._whole >= self.SURE:  # frames now arrive in one piece
                self._take_for_camera()
            return Seen(late, whole)

        def _changed_blocks(self, flat: memoryview) -> list[int]:
            blocks = enumerate(zip(self._blocks, self._places))
            return [i for i, (block, place) in blocks if block != flat[slice(*place)]]

        def _changed_rows(self, changed: list[int], flat: memoryview) -> Rows:
            run = next((i for i, j in zip(changed, changed[1:]) if j > i + 1), changed[-1])
            first, end = self._rows_of(changed[0], flat)[0], self._rows_of(run, flat)[-1]
            together = run == changed[-1]
            return Rows(first, end if together else self._rows_of(changed[-1], flat)[-1], end, together)

        def _rows_of(self, block: int, flat: memoryview) -> list[int]:
            """Return the changed rows of a block."""
            row = len(flat) // self._height
            begin, end = self._places[block]
            now, before = bytes(flat[begin:end]), bytes(self._blocks[block])
            starts = range(0, end - begin, row)
            changed = [(begin + i) // row for i in starts if now[i : i + row] != before[i : i + row]]
            return changed or [begin // row, (end - 1) // row]  # the camera has just written it as it was


    def bytes_of(array: Any) -> memoryview:
        """Return the memory of an array as bytes, in C order.

        After each frame, little of NumPy is left in the processor's cache; a memoryview needs the least.
        """
        try:
            return memoryview(array).cast("B")
        except (TypeError, ValueError, NotImplementedError):  # complex numbers, or not in C order
            contiguous: Any = np.ascontiguousarray(array).view(np.uint8)
            return memoryview(contiguous).cast("B")


    # ------------------------------------------------------------
    # Windows: images that show results in DigitalMicrograph, in grey, as curves, or in colour.

    LINE_PLOT = 3  # DM's number of this kind of display
    COLOURS_TAG = "dmlink:colours"  # tag in which DM-script stores the ID of the colour image that it has created


    class ImageWindow(DM.Py_ScriptObject):
        """An image or, with `line`, a curve for each of its rows; for values of one shape.

        Attributes
        ----------
        image : object or None
            The image in DigitalMicrograph; None once the user has closed its window.
        like : tuple
            The shape of its values, and `line`.

        Raises
        ------
        RuntimeError
            If DigitalMicrograph cannot create such an image.
        """

        def __init__(self, title: str, values: Any, line: bool = False) -> None:
            self.like, self._listens = (values.shape, line), False
            self.image = self.made(values)
            if self.image is None:
                raise RuntimeError(f"DigitalMicrograph cannot create an image of shape {values.shape}.")
            self.image.SetName(ascii_text(title))
            self.image.GetTagGroup().SetTagAsBoolean(RESULT_TAG, True)  # so that it is not used as a live view
            if line:
                document = DM.NewImageDocument(ascii_text(title))
                document.AddImageDisplay(self.image, LINE_PLOT)
                document.Show()
            else:
                self.image.ShowImage()
            with contextlib.suppress(Exception):  # it may be refused inside a handler
                DM.Py_ScriptObject.__init__(self)  # required before the registration
                window = self.image.GetOrCreateImageDocument().GetWindow()
                self.WindowHandleWindowClosedEvent(window, "pythonplugin")
                self._listens = True

        def __del__(self) -> None:
            """Call DM's own __del__, as published scripts do."""
            DM.Py_ScriptObject.__del__(self)

        def HandleWindowClosedEvent(self, flags: Any, window: Any) -> None:
            """Release the image: the user has closed its window."""
            self.image = None

        @property
        def closed(self) -> bool:
            """Whether the user has closed it; without a listener, this is polled."""
            if self.image is not None and not self._listens and not has_window(self.image):
                self.image = None
            return self.image is None

        def made(self, values: Any) -> Any:
            """Return a new image; None if DM cannot create it."""
            # DM accepts only arrays that own their memory, in C order
            return DM.CreateImage(np.array(values, dtype=np.float32, order="C", copy=True))

        def write(self, values: Any, axes: Sequence[Axis], unit: str = "", new: slice = slice(None)) -> None:
            """Show values and their calibration; only the columns `new` have changed."""
            image = self.image
            if image is None:  # just closed by the user, on DM's main thread
                return
            image.GetNumArray()[..., new] = values[..., new]
            for dimension, axis in enumerate(axes):
                image.SetDimensionCalibration(dimension, axis.origin, axis.scale, ascii_text(axis.unit), 0)
            image.SetIntensityUnitString(ascii_text(unit))
            image.UpdateImage()

        def release(self, delete: bool) -> None:
            """Stop drawing. With `delete` the window is closed, otherwise it stays."""
            image, self.image = self.image, None  # DM does not free an image while Python refers to it
            with contextlib.suppress(Exception):  # it may already be gone
                if delete and image is not None:
                    delete_image(image)
            unregister(self)


    class ColourWindow(ImageWindow):
        """A colour image, (h, w, 3) uint8: only DM-script can create and change one, from three grey images."""

        def made(self, values: Any) -> Any:
            """Return a new image, found by the ID from DM-script, because another image may be in front."""
            tags = DM.GetPersistentTagGroup()
            tags.SetTagAsLong(COLOURS_TAG, 0)
            self._compose(
                "RGBimage shown := {}\n"
                f'GetPersistentTagGroup().TagGroupSetTagAsLong("{COLOURS_TAG}", shown.ImageGetID())\n'
                "shown.ShowImage()",
                values,
            )
            found, number = DM.GetPersistentTagGroup().GetTagAsLong(COLOURS_TAG)
            image = DM.FindImageByID(int(number)) if found and number else None
            if image is None:
                with contextlib.suppress(RuntimeError):  # an image that Python cannot find must not stay
                    DM.ExecuteScriptString(f"FindImageByID({int(number)}).DeleteImage()")
            return image

        def write(self, values: Any, axes: Sequence[Axis], unit: str = "", new: slice = slice(None)) -> None:
            """Show values; a colour image has no calibration."""
            image = self.image
            if image is not None:
                shown = f"RGBimage shown := FindImageByID({image.GetID()})\n"
                self._compose(shown + "shown = {}\nshown.UpdateImage()", values)

        def _compose(self, text: str, values: Any) -> None:
            """Run DM-script with the colour image of these values in place of {}."""
            planes: list[Any] = []
            try:
                for i in range(3):
                    planes.append(DM.CreateImage(np.array(values[..., i], dtype=np.uint8, order="C")))
                    if planes[-1] is None:
                        raise RuntimeError(f"DigitalMicrograph cannot create an image of shape {values.shape}.")
                labels = ", ".join(plane.GetLabel() for plane in planes)
                DM.ExecuteScriptString(text.format(f"rgb({labels})"))
            finally:
                for plane in planes:
                    if plane is not None:
                        delete_image(plane)


    # ------------------------------------------------------------
    # Names: DigitalMicrograph's scripts share their global names; this script runs in its own namespace.
    #
    # Otherwise two scripts that both have a process(), or a parameter with the same name, would affect each other.
    # Names of other scripts that executing this one has changed are restored immediately.

    # No variable can have these names, because they are not identifiers.
    SHARED, BEFORE = "dmlink: the names of all scripts", "dmlink: what they were"
    RUNNING = "dmlink: scripts that run"


    def own_names(mechanics, before, given):
        """Return the script's own namespace; None in the shared one, after the script has run in its own.

        `mechanics` is the frame of the surrounding function, `before` the names of all scripts
        before this one started, `given` additional names for the script.
        """
        caller = mechanics.f_back
        names = caller.f_globals
        home = [name for name in list(names) if name.startswith("__")]  # others run beside it
        if SHARED not in names:
            own = dict({name: names[name] for name in home}, DM=DM)
            own.update({SHARED: names, BEFORE: before, RUNNING: names.setdefault(RUNNING, {})})
            exec(caller.f_code, own)
            return None
        shared, theirs = names[SHARED], names.pop(BEFORE)
        for name in set(names).difference(home, [SHARED, RUNNING]):
            if name in theirs:
                shared[name] = theirs[name]
            else:
                shared.pop(name, None)
        for copies in (theirs, before):
            copies.clear()  # DM does not free an image while Python refers to it
        for name, value in given.items():
            names.setdefault(name, value)
        return names


    # ------------------------------------------------------------
    # Sums: a frame's integers are added in 64 bits, as in the notebook; NumPy 1 on Windows would use 32.

    NARROW = np.dtype(int).itemsize < 8


    def in_64_bits(name):
        """Return a method of arrays that computes with 64 bits, unless it is given a data type."""
        plain = getattr(np.ndarray, name)

        def method(self, axis=None, dtype=None, out=None, **options):
            if dtype is None and out is None and self.dtype.kind in "biu":
                dtype = np.uint64 if self.dtype.kind == "u" else np.int64
            return plain(self, axis, dtype, out, **options)

        return method


    class Summable(np.ndarray):
        """An array whose sums and products of integers do not overflow at 32 bits."""

        def __array_wrap__(self, array, context=None, return_scalar=False):
            """Return a number where NumPy does for plain arrays, not an array without dimensions."""
            return array[()] if array.ndim == 0 else array.view(Summable)

        sum, prod = in_64_bits("sum"), in_64_bits("prod")
        cumsum, cumprod = in_64_bits("cumsum"), in_64_bits("cumprod")


    def summable(frame):
        """Return a frame of integers as such an array where NumPy needs it."""
        return frame.view(Summable) if NARROW and frame.dtype.kind in "biu" else frame


    # ------------------------------------------------------------
    # Cell: calls process() for each frame, shows what it returns, and reports errors.
    #
    # No exception may escape from here into DigitalMicrograph.

    SHOW = {}  # functions that show each kind of result, added by the files below


    def rectangle(place, first=True):
        """Return (top, left, bottom, right) as `info.roi`; see Masked, for cells that ask for its mask."""
        return tuple(place)


    class Cell:
        """The script's process(), the state that it keeps from frame to frame, and its result windows."""

        frames = 0  # frames in the recording, if there is one

        def __init__(self, name, names, mechanics, image):
            self.name, self.process, self.image = name, names["process"], image
            self.file, self.end_of_cell = mechanics.f_code.co_filename, mechanics.f_code.co_firstlineno
            self.index, self.processed, self.dropped, self.unsure = -1, 0, 0, 0
            self.shape, self.state, self.errors, self.over = None, {}, set(), False
            self.windows, self.charts, self.written, self.marked = {}, {}, {}, {}
            self.printed, self.printed_before = set(), set()
            names.setdefault("print", self.print_once)  # in the script's own namespace
            self.told = time.monotonic()

        def run(self, frame, info):
            """Process a frame and show its result."""
            frame = summable(frame)
            frame.flags.writeable = False
            self.printed_before, self.printed = self.printed, set()
            if self.shape != frame.shape:
                self.shape, self.state = frame.shape, {}
            try:
                result = self.process(frame, info, self.state)
                self.processed += 1
                if not self.over:  # it may have been stopped meanwhile
                    self.show(self.name, as_result(result, self.name), info)
            except (Exception, SystemExit) as error:
                self.tell(error, info.index)

        def print_once(self, *values, **options):
            """Print a line unless the cell printed it for the previous frame, too: a warning appears once."""
            line = [str(value) for value in values]
            self.printed.add(tuple(line))
            if tuple(line) not in self.printed_before:
                print(*line, **options)

        def show(self, name, result, info):
            """Show a result in windows whose titles begin with `name`, or print it."""
            if result is None:
                return
            if isinstance(result, Several):
                for key, one in result.results.items():
                    self.show(f"{name} {key}", one, info)
            elif result.kind in SHOW:
                SHOW[result.kind](self, name, result, info)
            else:
                raise TypeError(f"this script cannot show a {result.kind}: export the cell again.")

        def draw(self, name, values, axes, unit="", line=False, new=slice(None), kind=ImageWindow):
            """Show values in their window, or in a new one if the shape has changed."""
            window = self.windows.get(name)
            if window is None or (not window.closed and window.like != (values.shape, line)):
                if window is not None:
                    self.windows.pop(name).release(delete=True)
                window = self.windows[name] = kind(f"{name} of {title_of(self.image)}", values, line)
                new = slice(None)
                if self.over:  # the script was executed again while the window opened
                    window.release(delete=True)
            if not window.closed:
                window.write(values, axes, unit, new)
            return window

        def unseen(self):
            """Return whether the user has closed all result windows."""
            windows = list(self.windows.values())  # a copy, because the loop may add one
            closed = [window.closed for window in windows if hasattr(window, "closed")]  # marks have no window
            return closed and all(closed)

        def tell(self, error, index):
            """Print an error of a frame, once per line of the cell."""
            steps = [s for s in traceback.extract_tb(error.__traceback__) if s.filename == self.file]
            lines = [s.lineno for s in steps if s.lineno < self.end_of_cell]
            where = f"line {lines[-1]} of the script" if lines else "showing the result"
            if (type(error), where) not in self.errors and not self.over:
                self.errors.add((type(error), where))
                what = traceback.format_exception_only(type(error), error)[-1].strip()
                print(f"{self.name}: frame {index}, {where}: {what}")

        def tell_pace(self, seconds):
            """Print occasionally that there is no time for all frames; `seconds` is the time for one."""
            if self.dropped and time.monotonic() - self.told > 60:
                self.told = time.monotonic()
                print(f"{self.name}: {1e3 * seconds:.0f} ms per frame; {self.dropped} frames dropped.")

        def end(self, why, delete=False):
            """Release the windows, and print why."""
            if not self.over:
                self.over, self.image = True, None
                unsure = f" Events that may have been incomplete frames: {self.unsure}." if self.unsure else ""
                counts = f"{self.processed} frames processed, {self.dropped} dropped.{unsure}"
                print(f"{self.name}: stopped, {why}. {counts}")
                for window in list(self.windows.values()):  # a copy, because a frame may be in progress
                    window.release(delete)


    # ------------------------------------------------------------
    # Marks: points and boxes as annotations on an image; those of each frame replace the previous ones.

    BOX, WORDS = 5, 13  # DM's type numbers of these annotations
    MOST = 200  # marks of each kind
    RADIUS = 3  # px, size of the box that represents a point
    REMOVE = "FindImageByID({}).ImageGetImageDisplay(0).ComponentGetChild({}).ComponentRemoveFromParent()"


    class Marks:
        """The annotations of one result."""

        def __init__(self, name):
            self.name, self.image_id, self.drawn, self.others, self.stuck = name, None, [], 0, False

        def draw(self, image, marks, corner=(0, 0)):
            """Draw points and boxes, with (0, 0) at `corner`; a failure affects nothing else."""
            try:
                self.replace(image, marks, corner)
            except Exception as error:
                if not self.stuck:
                    print(f"{self.name}: annotations cannot be drawn here: {error}")
                self.stuck = True

        def replace(self, image, marks, corner):
            """Replace the current marks with these."""
            if image.GetID() != self.image_id:
                self.image_id, self.drawn = image.GetID(), []
            display = image.GetImageDisplay(0)
            self.remove(display)
            for mark in () if self.stuck else marks:
                for i, place in enumerate(boxes_of(mark)[:MOST]):
                    top, left, bottom, right = (place + np.tile(corner, 2)).tolist()
                    made = [display.AddNewComponent(BOX, top, left, bottom, right)]
                    if mark.labels:
                        made.append(display.AddNewComponent(WORDS, bottom, left, bottom + 12, right))
                        with contextlib.suppress(Exception):  # shown without its text
                            made[1].TextAnnotationSetText(ascii_text(mark.labels[i]))
                    for component in made:
                        component.SetForegroundColor(1.0, 0.8, 0.0)
                        self.drawn.append((component.GetType(), component.GetRect()))

        def remove(self, display):
            """Remove the marks, which only DM-script can do. If it fails, they stay, and no more are drawn."""
            before = display.CountChildren()
            with contextlib.suppress(RuntimeError):  # DM-script does not know the call
                for i in reversed(range(before if self.drawn else 0)):
                    child = display.GetChild(i)
                    if (child.GetType(), child.GetRect()) in self.drawn:  # the others belong to the user
                        DM.ExecuteScriptString(REMOVE.format(self.image_id, i))
            after = display.CountChildren()
            if after > self.others and before - after < len(self.drawn):
                self.stuck = True
                print(f"{self.name}: annotations cannot be removed here; one frame's remain, no more are drawn.")
            self.drawn, self.others = [], after

        def release(self, delete):
            """Remove the annotations."""
            with contextlib.suppress(Exception):  # the image is gone, and so are its annotations
                self.replace(DM.FindImageByID(self.image_id), [], (0, 0))


    def boxes_of(mark):
        """Return (n, 4): the boxes, or a small one around each point."""
        if mark.kind == "boxes":
            return mark.tlbr
        middle = mark.yx + 0.5  # DM counts from the corner of the first pixel, points from its middle
        return np.hstack([middle - RADIUS, middle + RADIUS])


    def show_marks(cell, name, mark, info):
        """Draw points or boxes on the live view, at the position of the frame."""
        marks = cell.windows.setdefault(f"{name} places", Marks(name))  # the next result may be an image
        marks.draw(cell.image, [mark], (info.roi or (0, 0))[:2])


    SHOW["points"] = SHOW["boxes"] = show_marks


    # ------------------------------------------------------------
    # Live: receives every frame of the live view, and lets the cell process those for which there is time.
    #
    # With "Execute on background thread" ticked, the cell runs in a loop of this script, beside DigitalMicrograph.
    # Otherwise it runs at each event of a frame, while DigitalMicrograph waits, so it pauses in between.

    OVERDUE = 2.0  # s without an event before the loop polls


    class LiveView(DM.Py_ScriptObject):
        """The image that the script processes, and its events."""

        def __init__(self, image, cell, reads, place_of):
            DM.Py_ScriptObject.__init__(self)  # first, because the registration needs it
            self.image, self.cell, self.reads, self.place_of = image, cell, reads, place_of
            # if unknown, rely on events: a loop on the main thread would stop DigitalMicrograph
            self.background, self.listens = not on_main_thread(unknown=True), True
            self.waiting = collections.deque()  # frames to be processed, with their Info
            self.frames, self.rest_until, self.came = WholeFrames(), 0.0, time.monotonic()

        def __del__(self):
            """Call DM's own __del__, as published scripts do."""
            DM.Py_ScriptObject.__del__(self)

        def listen(self):
            """Take the current frame, in case no other arrives, and all frames from then on."""
            self.look(announced=False)
            try:
                window = self.image.GetOrCreateImageDocument().GetWindow()
                self.WindowHandleWindowClosedEvent(window, "pythonplugin")
                self.ImageHandleDataChangedEvent(self.image, "pythonplugin")  # last, because frames start now
            except Exception as error:  # for whatever reason this GMS refuses it
                self.listens = False
                if not self.background:
                    self.end(f"a listener cannot be created ({error}): tick Execute on background thread")

        def HandleWindowClosedEvent(self, flags, window):
            """Stop: the live view is gone."""
            self.end("the live view was closed")

        def HandleDataChangedEvent(self, flags, image):
            """Look at the image: DM says that it has changed."""
            self.came = time.monotonic()
            self.look(announced=True)

        def look(self, announced):
            """Count the frame if it is new and complete."""
            if self.cell.over:
                return
            try:
                if self.cell.unseen():
                    self.end("its window was closed")
                    return
                array = pixels_of(self.image)
                seen = self.frames.see(array, announced)
                self.cell.unsure = self.frames.unsure
                there_is_time = not self.waiting and time.perf_counter() >= self.rest_until
                if seen.late is not None:  # only now is it clear that the previous frame was whole
                    late = np.frombuffer(seen.late, np.uint8).view(array.dtype).reshape(array.shape)
                    self.count(late, there_is_time)
                if seen.whole:
                    self.count(array, there_is_time)
            except Exception as error:
                self.cell.tell(error, self.cell.index)

        def count(self, array, there_is_time):
            """Copy a frame to be processed, unless there is no time for it."""
            self.cell.index += 1
            if not there_is_time:
                self.cell.dropped += 1
                return
            self.waiting.append(self.copied(array))
            if not self.background:  # in the background, the script's loop processes it
                self.run()

        def copied(self, array):
            """Return a copy of the first rectangle, or of the whole image, and its Info: the camera writes on."""
            rectangles = [roi.GetRectangle() for roi in rois_on(self.image) if roi.IsRectangle()]
            height, width = array.shape[:2]
            place = clamped(rectangles[0] if rectangles else (0, 0, height, width), height, width)
            top, left, bottom, right = place
            info = Info(self.cell.index, steady_time(), source=title_of(self.image))
            info.x, info.y = axis(self.image, 0).part(left), axis(self.image, 1).part(top)
            info.roi = self.place_of(place, True) if rectangles else None
            if "tags" in self.reads:
                info.tags = tags_on(self.image)
            if "line" in self.reads:
                info.line = line_from(line_on(self.image), top, left)
            if "rois" in self.reads:
                places = (clamped(each, height, width) for each in rectangles)
                seen = [(a - top, b - left, c - top, d - left) for a, b, c, d in places]
                named = [(f"roi {n}" if n > 1 else "roi", roi) for n, roi in enumerate(seen, start=1)]
                info.rois = {name: self.place_of(roi, name == "roi") for name, roi in named}
            return np.array(array[top:bottom, left:right]), info

        def run(self):
            """Process the waiting frame; afterwards, DM gets at least half of the time for itself."""
            began = time.perf_counter()
            self.cell.run(*self.waiting[0])
            took = time.perf_counter() - began
            self.waiting.popleft()  # now, because no other frame is taken earlier
            if not self.background:
                self.rest_until = max(self.rest_until, began) + 2 * took
            self.cell.tell_pace(took)

        def loop(self):
            """Process frames until the end; poll for them if no events arrive."""
            try:
                while not self.cell.over:
                    if self.waiting:
                        self.run()
                    elif not self.listens and not has_window(self.image):
                        self.end("the live view was closed")
                    elif not self.listens or time.monotonic() - self.came > OVERDUE:
                        self.look(announced=False)
                    time.sleep(0.01)
            finally:
                self.end("its script was stopped")

        def end(self, why, delete=False):
            """Stop and release everything; `delete` closes the result windows."""
            self.image = None
            self.cell.end(why, delete)
            unregister(self)


    def process_live_view(name, mechanics, names, reads, place_of=rectangle):
        """Run process() on every frame of the live view; stop an earlier run of this script.

        `reads` says which information about the frame the cell uses: "tags", "line", "rois".
        `place_of` makes `info.roi` and `info.rois` of the rectangles; the first one is processed.
        """
        running = names[RUNNING]
        if refusal(version()):
            return print(f"{name}: {refusal(version())}")
        image = view_in_front(running)
        end_previous(running, name)
        if image is None:
            return print(f"{name}: there is no live view. Start it, click it, and execute this script again.")
        view = LiveView(image, Cell(name, names, mechanics, image), reads, place_of)
        while running.setdefault(name, view) is not view:  # DM does not keep it alive, but this does
            end_previous(running, name)  # it was executed twice at the same moment
        view.listen()
        if view.cell.over:
            return None
        print(f"{name}: running on {ascii_text(title_of(image))}. Close the live view or the result to stop it.")
        if view.background:
            view.loop()


    def end_previous(running, name):
        """Stop an earlier run of this script and close its windows."""
        previous = running.pop(name, None)
        if previous is not None:
            previous.end("it was executed again", delete=True)


    def view_in_front(running):
        """Return the front image; if that is the result of a script, the image that the script processes."""
        try:
            image = DM.GetFrontImage()
            if not is_ours(image):
                return image
        except Exception:  # there is none
            pass
        return next((view.image for view in running.values() if view.image is not None), None)

    # This script

    names = own_names(sys._getframe(), before, {"Points": Points})
    if names is not None:
        process_live_view("brightest", sys._getframe(), names, reads=[])


dmlink_live(before=dmlink_before)
