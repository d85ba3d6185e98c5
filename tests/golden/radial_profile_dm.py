"""radial_profile: processes every frame of the live view in DigitalMicrograph.

How to run it: open this file in a script window (File > Open, language Python), click the live view, then
execute it. On GMS before 3.6.1 leave "Execute on background thread" unticked. A rectangular ROI on the live
view limits what is processed. Close the live view or the result to stop it; execute it again to start anew.

Needs: NumPy, which comes with GMS.
Change the parameters and process() as you like. Made by dmlink 0.1.0.dev0.
"""

from __future__ import annotations

import numpy as np

# Parameters
n_bins = 32  # 16 to 256 in steps of 16: points of the profile
log = True  # True or False: logarithmic scale


def rings(power, n):
    """Average `power` (half of a spectrum) over `n` rings from the centre to the Nyquist frequency."""
    fy = np.fft.fftfreq(power.shape[0])[:, None]
    fx = np.linspace(0, 0.5, power.shape[1])[None, :]
    ring = (np.hypot(fy, fx) * 2 * n).astype(int).ravel()
    total = np.bincount(ring, power.ravel(), minlength=n)[:n]
    return total / np.maximum(np.bincount(ring, minlength=n)[:n], 1)


def process(frame, info, state):
    power = np.abs(np.fft.rfft2(frame - frame.mean())) ** 2
    profile = rings(power, n_bins)
    return Profile(np.log10(profile + 1) if log else profile, scale=0.5 / n_bins / info.scale, unit="1/" + info.unit)


# -------------------- Nothing below needs to be changed --------------------

def dmlink_live(name):
    import DigitalMicrograph as DM
    import contextlib
    import io
    import math
    import numpy as np
    import sys
    import time
    import traceback
    from typing import Any, Iterator, NamedTuple, Sequence, Union


    # What a cell is told about its frame: where it comes from and what a pixel means.

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
            """Return the axis of a region that begins at pixel `start`."""
            return Axis(self.origin + self.scale * start, self.scale, self.unit)

        def values(self, n: int) -> np.ndarray:
            """Return the values of the first `n` pixels, shape (n,), in `unit`."""
            return self.origin + self.scale * np.arange(n)


    class Info:
        """The circumstances of one frame, as `info` in a cell."""

        __slots__ = ("index", "roi", "source", "tags", "time", "x", "y")

        def __init__(
            self,
            index: int = 0,
            time: float = 0.0,
            x: Axis = Axis(),
            y: Axis = Axis(),
            roi: tuple[int, int, int, int] | None = None,
            source: str = "",
            tags: dict[str, Any] | None = None,
        ) -> None:
            self.index = index
            self.time = time
            self.x = x
            self.y = y
            self.roi = roi
            self.source = source
            self.tags = {} if tags is None else tags

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
            """Unit of the horizontal axis, such as "nm"; empty when the image is not calibrated."""
            return self.x.unit


    def tags_of(image: Any) -> dict[str, float]:
        """Return those of TAGS that an image of DigitalMicrograph has, in its units (s, mm, V)."""
        group = image.GetTagGroup()
        read = {name: group.GetTagAsDouble(path) for name, path in TAGS.items()}
        tags = {name: float(value) for name, (found, value) in read.items() if found and math.isfinite(value)}
        with contextlib.suppress(Exception):  # a pair of numbers, where there is one
            binning = image.GetTagGroup()["Acquisition"]["Parameters"]["High Level"]["Binning"]
            tags.setdefault("binning", float(binning[0]))
        return tags


    # The kinds of result that a cell can give, in the notebook and in DigitalMicrograph alike.

    Result = Union["Scalar", "Profile", "Image"]  # drawn, each in a plot of its own
    Written = Union["Points", "Boxes", "Table", "Text", "Overlay", "Several"]  # said where nothing is drawn

    MAX_ROWS = 50  # of a table in a text: what fits on a screen
    MAX_BYTES = 512 << 20  # of an image or a profile: 8192 x 8192 numbers of 8 bytes
    MAX_SEVERAL = 16  # results at once: what still can be looked at


    class Scalar:
        """A number for each frame, or several with names: drawn as a strip chart."""

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

        @property
        def text(self) -> str:
            """The numbers, one a line if there are several."""
            unit = f" {self.unit}" if self.unit else ""
            if isinstance(self.value, dict):
                return "\n".join(f"{name} = {value:.6g}{unit}" for name, value in self.value.items())
            return f"{self.value:.6g}{unit}"


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

        @property
        def text(self) -> str:
            """What it is, in words."""
            return f"a profile of {len(self.values)} values"


    class Image:
        """An image for each frame: `values` of shape (h, w), or (h, w, 3) uint8 for colour."""

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

        @property
        def text(self) -> str:
            """What it is, in words."""
            return "an image of {} x {} pixels".format(*self.values.shape[1::-1])


    class Points:
        """Places on the frame: `yx` of shape (n, 2), row and column in pixels of the frame; n may be 0."""

        kind = "points"

        def __init__(self, yx: Any, name: str = "", labels: Any = None, tails: Any = None) -> None:
            self.yx = _places(yx, "y, x")
            self.name = str(name)
            self.labels = _labels(labels, len(self.yx))
            self.tails = tuple(_places(tail, "y, x") for tail in (() if tails is None else tails))
            if self.tails and len(self.tails) != len(self.yx):
                raise ValueError(f"{len(self.tails)} tails for {len(self.yx)} points: give one to each.")

        @property
        def text(self) -> str:
            """The places as a table."""
            return _listed(self.labels, y=self.yx[:, 0], x=self.yx[:, 1])


    class Boxes:
        """Rectangles on the frame: `tlbr` of shape (n, 4), top, left, bottom, right in pixels; n may be 0."""

        kind = "boxes"

        def __init__(self, tlbr: Any, name: str = "", labels: Any = None) -> None:
            self.tlbr = _places(tlbr, "top, left, bottom, right")
            self.name = str(name)
            self.labels = _labels(labels, len(self.tlbr))

        @property
        def text(self) -> str:
            """The rectangles as a table."""
            return _listed(self.labels, **dict(zip(("top", "left", "bottom", "right"), self.tlbr.T)))


    class Overlay:
        """Marks over an image: `image` is an Image, `marks` a tuple of Points and Boxes in its pixels."""

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
            """The places that it marks, as tables."""
            return "\n".join(mark.text for mark in self.marks) or self.image.text


    class Several:
        """Results side by side: `results` is a dict of name to result, in order; none of them is Several."""

        kind = "several"

        def __init__(self, results: Any, name: str = "") -> None:
            if len(results) > MAX_SEVERAL:
                raise ValueError(
                    f"These are {len(results)} results at once; at most {MAX_SEVERAL} are shown side by side. "
                    "Many numbers belong into a list or an array, which is a profile."
                )
            self.results: dict[str, Any] = {}
            for key, value in results.items() if isinstance(results, dict) else enumerate(results, start=1):
                result = as_result(value)
                if result is None:
                    continue
                if isinstance(result, Several):
                    raise TypeError(f"The result {str(key)!r} is itself several: put all of them side by side.")
                own = str(key) if isinstance(results, dict) or not result.name else result.name
                while own in self.results:
                    own += "'"
                result.name = result.name or own
                self.results[own] = result
            self.name = str(name)

        @property
        def text(self) -> str:
            """All of them in words, each below its name."""
            return "\n".join(f"{name}:\n{result.text}" for name, result in self.results.items())


    class Table:
        """Columns with names: `columns` is a dict of arrays of shape (n,), numbers or text; n may be 0."""

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
        """Give a cell's last value its obvious meaning."""
        if value is None:
            return None
        if isinstance(value, (Scalar, Profile, Image, Points, Boxes, Table, Text, Overlay, Several)):
            value.name = value.name or name
            return value
        if isinstance(value, str):
            return Text(value, name=name)
        if isinstance(value, dict) and {_is_number(v) for v in value.values() if v is not None} == {True}:
            return Scalar({k: float("nan") if v is None else v for k, v in value.items()}, name=name)
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
            if array.ndim == 1:
                return Profile(array, name=name)
            if array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3):
                return Image(array, name=name)
        raise TypeError(
            f"The cell's last line gives this: {_described(value)}, which cannot be shown."
            f"{_advice(value, array)} End the cell with a number, a dict of numbers, a 1-D array (profile), "
            "a 2-D array (image), an (h, w, 3) uint8 array (colour), text, a list of dicts (table), or several "
            "of these as a tuple or dict."
        )


    def _as_array(value: Any) -> np.ndarray:
        try:
            return np.asarray(value)
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
            return " Of complex numbers show the magnitude (np.abs) or the phase (np.angle)."
        if array.dtype.kind == "O" and isinstance(value, (np.ndarray, list)):
            return " Its elements are Python objects, perhaps of different lengths: make it plain numbers."
        if array.dtype.kind in "biuf" and array.ndim > 2:
            return " Show one image of it (stack[0]), or the mean over an axis (stack.mean(axis=0))."
        return ""


    def _drawn(figure: Any) -> np.ndarray:
        """Return a matplotlib figure as it looks, (h, w, 3) uint8."""
        width, height = figure.canvas.get_width_height()
        pixels = io.BytesIO()
        with sys.modules["matplotlib"].rc_context({"savefig.bbox": None}):  # of its own size
            figure.savefig(pixels, format="rgba", dpi=figure.dpi)
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None:
            pyplot.close(figure)  # it would keep every frame's
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
                f"most {MAX_BYTES >> 20} are shown: bin it, or cut a part out."
            )
        if array.dtype.kind == "f" and np.isnan(array[(0,) * array.ndim]) and np.isnan(array).all():
            raise ValueError(
                f"This {what} is nothing but NaN: look for a division by zero or a mean of nothing, or end the "
                "cell with None where there is nothing to show."
            )
        return array


    def _labels(labels: Any, n: int) -> tuple[str, ...]:
        texts = () if labels is None else tuple(str(label) for label in labels)
        if texts and len(texts) != n:
            raise ValueError(f"{len(texts)} labels for {n} places: give one to each.")
        return texts


    def _listed(labels: tuple[str, ...], **columns: np.ndarray) -> str:
        return Table({"label": labels, **columns} if labels else columns).text


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


    # What a cell remembers from frame to frame, to be kept in its `state`.

    class RunningAverage:
        """The average over about the last `n` frames, in which the older ones fade."""

        def __init__(self, n: float) -> None:
            self.n = n
            self.average: Any = None

        def add(self, frame: Any) -> Any:
            """Add a frame (h, w); return the average, of the same shape, float32 or, for 32-bit counts, float64."""
            frame = np.asarray(frame)
            frame = frame.astype(np.result_type(frame.dtype, np.float32))
            if self.average is None or self.average.shape != frame.shape or self.n <= 1:
                self.average = frame
            else:
                p = (self.n - 1) / (self.n + 1)
                self.average = p * self.average + (1 - p) * frame
            return self.average


    class LastFrames:
        """The last `n` frames. `n` may be changed at any time, such as by a slider."""

        def __init__(self, n: int) -> None:
            self.n = n
            self._frames: list[Any] = []

        def add(self, frame: Any) -> None:
            """Add a frame (h, w); the oldest goes when there are `n`. One of another shape begins anew."""
            frame = np.array(frame)
            if self._frames and self._frames[0].shape != frame.shape:
                self._frames.clear()
            self._frames.append(frame)
            del self._frames[: -max(1, int(self.n))]

        @property
        def frames(self) -> Any:
            """The frames, shape (k, h, w), oldest first; k is at most `n`, and at least 1 once one was added."""
            return np.array(self._frames)

        def __len__(self) -> int:
            return len(self._frames)


    class Reference:
        """A frame to compare others with."""

        def __init__(self) -> None:
            self.frame: Any = None

        def take(self, frame: Any) -> Any:
            """Make a frame (h, w) the reference; return the copy that is kept."""
            self.frame = np.array(frame)
            return self.frame


    class FrameCounter:
        """Counts frames, or what is found in them."""

        def __init__(self) -> None:
            self.n = 0

        def add(self, n: int = 1) -> int:
            """Count `n` more; return how many there are now."""
            self.n += int(n)
            return self.n


    # What one has to know of DigitalMicrograph (GMS) to use its images: version, axes, rectangles, changes.

    RESULT_TAG = "dmlink:result"  # set on images that dmlink has made: they are nobody's live view
    SAMPLED_ROWS = 8
    SAMPLED_PIXELS = 500  # of each of these rows; up to so many NumPy copies without giving up the lock
    UNKNOWN = -2  # how far a scan was when we came
    CRASHING = {(3, 50), (3, 51)}  # GMS 3.5.0 and 3.5.1 crash with scripts that listen to a live view


    def version() -> tuple[int, ...]:
        """Return (major, minor, build) of GMS, such as (3, 61, 4719); only DM-script knows it."""
        DM.ExecuteScriptString(
            "number a, b, c\n"
            "GetApplicationVersion(a, b, c)\n"
            'GetPersistentTagGroup().TagGroupSetTagAsLong("dmlink:version:major", a)\n'
            'GetPersistentTagGroup().TagGroupSetTagAsLong("dmlink:version:minor", b)\n'
            'GetPersistentTagGroup().TagGroupSetTagAsLong("dmlink:version:build", c)\n'
        )
        numbers = []
        for part in ("major", "minor", "build"):
            found, value = DM.GetPersistentTagGroup().GetTagAsLong("dmlink:version:" + part)
            numbers.append(int(value) if found else 0)
        return tuple(numbers)


    def refusal(gms: tuple[int, ...]) -> str:
        """Return why this version of GMS cannot be used; empty when it can."""
        if gms[:2] in CRASHING:
            return "GMS 3.5.0 and 3.5.1 crash with scripts that listen to a live view. Use GMS 3.5.2 or later."
        return ""


    def axis(image: Any, dimension: int) -> Axis:
        """Return the calibration of a dimension of an image: 0 is x, 1 is y, which a spectrum does not have."""
        if dimension >= image.GetNumDimensions():
            return Axis()
        origin, scale, unit = image.GetDimensionCalibration(dimension, 0)
        if not (math.isfinite(origin) and math.isfinite(scale)):
            return Axis()
        return Axis(float(origin), float(scale), ascii_unit(unit))


    def pixels_of(image: Any) -> np.ndarray:
        """Return the memory of an image as frames: (h, w), spectra as (1, n), colours as (h, w, 3) uint8."""
        name = str(image.GetName())
        try:
            array: np.ndarray = image.GetNumArray()
        except Exception as error:  # what DM raises for colour images is not known
            raise ValueError(
                f"DigitalMicrograph does not give the pixels of {name!r} to Python: {error}"
            ) from None
        if array.ndim == 1:
            array = array.reshape(1, -1)
        colour = array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8
        if array.ndim != 2 and not colour:
            raise ValueError(
                f"The image {name!r} has the shape {array.shape}; only images (h, w), spectra and colour images "
                "can be streamed."
            )
        return array


    def shown_images() -> Iterator[Any]:
        """Yield every image that has a window, the one in front first, but not the results that dmlink shows."""
        seen = set()
        for i in range(-1, DM.CountImageDocuments()):
            try:
                image = DM.GetFrontImage() if i < 0 else _with_window(DM.GetImageDocument(i))
                number = image.GetID()
            except Exception:  # without a window or an image, or closed just now
                continue
            if number not in seen and not _is_ours(image):
                seen.add(number)
                yield image
            del image  # DM frees an image only when Python has let go of it


    def live_view() -> Any:
        """Return the image in front if it can be streamed, else the first one that can; None if there is none."""
        for image in shown_images():
            try:
                pixels_of(image)
            except ValueError:
                continue
            return image
        return None


    def _with_window(document: Any) -> Any:
        document.GetWindow()
        return document.GetImage(0)


    def _is_ours(image: Any) -> bool:
        try:
            found, value = image.GetTagGroup().GetTagAsBoolean(RESULT_TAG)
        except Exception:  # an image whose tags cannot be read is not one that we have made
            return False
        return bool(found and value)


    def ascii_unit(unit: Any) -> str:
        """Return a unit as plain text; micrometres come from DM as bytes and crash it when sent back as such."""
        text = str(unit, "latin-1") if isinstance(unit, bytes) else str(unit or "")
        return text.replace("\u00b5", "u").replace("\u03bc", "u").encode("ascii", "replace").decode("ascii")


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


    def samples(array: Any) -> list[bytes]:
        """Return some pixels of a few rows, the last one among them: cheap to take, and other in each frame."""
        step = max(1, -(-len(array) // SAMPLED_ROWS))
        rows = range(len(array) - 1, -1, -step)
        flat = array.reshape(len(array), -1)
        stride = -(-flat.shape[1] // SAMPLED_PIXELS)
        return [flat[row, ::stride].tobytes() for row in reversed(rows)]


    class Changes:
        """Tells a new frame from an event that brings none, or only a part of one."""

        def __init__(self) -> None:
            self._samples: list[bytes] = []
            self._like: tuple[Any, ...] = ()
            self._tail = -1  # the sampled row that completes a frame
            self._scanned = -1  # the last sampled row of the part that has come already

        def complete(self, array: Any) -> bool:
            """Look at the array; True if it holds a new, complete frame."""
            now, like = samples(array), (array.shape, array.dtype)
            before, self._samples = self._samples, now
            if like != self._like:
                self._like, self._tail, self._scanned = like, len(now) - 1, UNKNOWN
                return True
            changed = [i for i, (old, new) in enumerate(zip(before, now)) if old != new]
            if not changed:
                return False
            if self._tail not in changed and self._is_part(changed):
                self._tail = max(self._tail, changed[-1])
                self._scanned = changed[-1]
                return False
            if self._tail not in changed:
                self._tail = changed[-1]
            elif 0 <= changed[0] < self._scanned and len(changed) < len(now):
                # the end of one scan and the beginning of the next: we came too late for a whole frame
                self._scanned = next(i for i in range(len(now)) if i not in changed) - 1
                return False
            self._scanned = -1
            return True

        def _is_part(self, changed: list[int]) -> bool:
            """Tell whether these rows are the beginning of a scan, or go on where it was."""
            first, last = changed[0], changed[-1]
            if last - first + 1 != len(changed):
                return False
            if self._scanned == UNKNOWN:
                return True
            if self._scanned < 0:
                return first == 0 or first > self._tail
            return first in {self._scanned, self._scanned + 1} and last > self._scanned


    # A window of DigitalMicrograph with a result in it.

    LINE_PLOT = 3  # DM's number of this kind of display
    STRIP_LENGTH = 256  # frames that a strip chart begins with; it is doubled when full


    class Closing(DM.Py_ScriptObject):
        """Remembers that the user has closed a window."""

        def __init__(self, image: Any) -> None:
            DM.Py_ScriptObject.__init__(self)
            self.happened = False
            window = image.GetOrCreateImageDocument().GetWindow()
            self.WindowHandleWindowClosedEvent(window, "pythonplugin")

        def __del__(self) -> None:
            """Let DM know, as its own scripts do."""
            DM.Py_ScriptObject.__del__(self)

        def HandleWindowClosedEvent(self, flags: Any, window: Any) -> None:  # DM's names
            """Remember it."""
            self.happened = True

        def end(self) -> None:
            """Ask for no more events, where GMS knows how."""
            if hasattr(self, "UnregisterAllListeners"):
                self.UnregisterAllListeners()


    class Window:
        """Made for the first result, then kept up to date; once the user has closed it, it stays closed."""

        def __init__(self, title: str) -> None:
            self.title = title
            self._image: Any = None
            self._closing: Any = None
            self._closed = False
            self._like: tuple[Any, ...] = ()  # what can be drawn into the image that is there
            self._history = np.zeros((1, STRIP_LENGTH), np.float32)
            self._n = 0  # frames in the history

        @property
        def closed(self) -> bool:
            """Whether the user has closed it."""
            if self._closing is not None and self._closing.happened:
                self._closed = True
            return self._closed

        def show(self, result: Result) -> None:
            """Take and draw a result."""
            self.take(result)
            self.draw(result)

        def take(self, result: Result) -> None:
            """Note a number for the strip chart; of other results only the one that is drawn counts."""
            if isinstance(result, Scalar):
                self._append(list(result.series.values()))

        def draw(self, result: Result) -> None:
            """Draw a result that has been taken."""
            if self.closed:
                return
            if isinstance(result, Scalar):
                self._draw(self._history, Axis(unit="frames"), Axis(), result.unit, line=True)
            elif isinstance(result, Profile):
                self._draw(result.values, result.x, Axis(), result.value_unit, line=True)
            elif result.values.ndim == 3:
                self._draw_colour(result.values)
            else:
                self._draw(result.values, result.x, result.y, "", line=False)

        def close(self) -> None:
            """Close the window and let DM free its image."""
            image, gone = self._image, self.closed
            self.release()
            if image is not None and not gone:
                DM.DeleteImage(image)

        def release(self) -> None:
            """Let go of the image; a window that is open stays so, but is not drawn into any more."""
            if self._closing is not None:
                self._closing.end()
            self._image = self._closing = None
            self._like = ()

        def _append(self, values: list[float]) -> None:
            if len(values) != len(self._history):
                self._history, self._n = np.zeros((len(values), STRIP_LENGTH), np.float32), 0
            if self._n == self._history.shape[1]:
                self._history = np.concatenate([self._history, np.zeros_like(self._history)], axis=1)
            self._history[:, self._n] = values
            self._n += 1

        def _draw(self, values: Any, x: Axis, y: Axis, unit: str, *, line: bool) -> None:
            if self._like != (values.shape, line):
                self.close()
                # DM takes nothing but arrays that own their memory, in C order
                image = DM.CreateImage(np.array(values, dtype=np.float32, order="C", copy=True))
                if image is None:
                    raise RuntimeError(f"DigitalMicrograph cannot make an image of shape {values.shape}.")
                image.SetName(self.title)
                image.GetTagGroup().SetTagAsBoolean(RESULT_TAG, True)
                if line:
                    document = DM.NewImageDocument(self.title)
                    document.AddImageDisplay(image, LINE_PLOT)
                    document.Show()
                else:
                    image.ShowImage()
                self._adopt(image, (values.shape, line))
            else:
                self._image.GetNumArray()[...] = values
            for dimension, a in enumerate((x, y)[: values.ndim]):
                self._image.SetDimensionCalibration(dimension, a.origin, a.scale, ascii_unit(a.unit), 0)
            self._image.SetIntensityUnitString(ascii_unit(unit))
            self._image.UpdateImage()

        def _draw_colour(self, values: Any) -> None:
            """Draw an (h, w, 3) array: DM makes colour images in DM-script only, of three grey ones."""
            planes = [DM.CreateImage(np.array(values[..., i], dtype=np.uint8, order="C")) for i in range(3)]
            rgb = "rgb({}, {}, {})".format(*(plane.GetLabel() for plane in planes))
            if self._like != (values.shape, False):
                self.close()
                DM.ExecuteScriptString(f"{rgb}.ShowImage()")
                image = DM.GetFrontImage()
                image.SetName(self.title)
                image.GetTagGroup().SetTagAsBoolean(RESULT_TAG, True)
                self._adopt(image, (values.shape, False))
            else:
                DM.ExecuteScriptString(
                    f"RGBimage colours := FindImageByID({self._image.GetID()})\n"
                    f"colours = {rgb}\n"
                    "colours.UpdateImage()"
                )
            for plane in planes:
                DM.DeleteImage(plane)

        def _adopt(self, image: Any, like: tuple[Any, ...]) -> None:
            self._image, self._like = image, like
            self._closing = Closing(image)


    # The mechanics of an exported script: `process` on every frame of the live view, results in a window.

    REPORT_SECONDS = 60.0  # how often the script says that it skips frames
    WRITE_SECONDS = 1.0  # how often at most it prints a result
    TAG_SECONDS = 0.5  # how often the image's tags are read
    AT_HOME = "__dmlink_at_home__"  # marks the names of a script that is executed for the second time


    class LiveScript(DM.Py_ScriptObject):
        """Listens to a live view; nothing may escape from here into DM."""

        def __init__(self, image: Any, process: Any, name: str) -> None:
            DM.Py_ScriptObject.__init__(self)
            self.stop = False
            self.skipped = 0
            self.processed = 0
            self._process = process
            self._name = name
            self._source = str(image.GetName())
            self.window = Window(ascii_unit(f"{name} of {self._source}"))
            self._state: dict[str, Any] = {}
            self._shape: tuple[int, ...] = ()
            self._changes = Changes()
            self._index = -1
            self._busy = False
            self._rest_until = 0.0
            self._reported = (time.perf_counter(), 0)  # when, and how many were skipped by then
            self._written = (float("-inf"), "")  # when, and what
            self._tagged: tuple[float, dict[str, float]] = (float("-inf"), {})  # when read, and what
            self._errors: set[Any] = set()

        def __del__(self) -> None:
            """Let DM know, as its own scripts do."""
            DM.Py_ScriptObject.__del__(self)

        def HandleDataChangedEvent(self, flags: Any, image: Any) -> None:  # DM's names
            """Process the frame that has just come, unless the last one took too long."""
            if self.stop:
                return
            try:
                if self.window.closed:
                    self.end("its window was closed")
                    self.window.close()
                else:
                    self._see(image)
            except (Exception, SystemExit) as error:  # nothing may escape into DM
                self._tell(error)

        def HandleWindowClosedEvent(self, flags: Any, window: Any) -> None:  # DM's names
            """End with the live view."""
            self.end("the live view was closed")

        def end(self, why: str) -> None:
            """Stop; GMS up to 3.5.1 cannot be asked to send no more events, `stop` alone has to do there."""
            if not self.stop:
                self.stop = True
                print(f"{self._name}: stopped, {why}. {self.processed} frames processed, {self.skipped} skipped.")
                if hasattr(self, "UnregisterAllListeners"):
                    self.UnregisterAllListeners()

        def _see(self, image: Any) -> None:
            array = pixels_of(image)
            if not self._changes.complete(array):
                return
            self._index += 1
            began = time.perf_counter()
            if self._busy or began < self._rest_until:  # busy: process() has let DM handle its events
                self.skipped += 1
                return
            self._busy = True
            try:
                self._run(image, array)
            finally:
                self._busy = False
                now = time.perf_counter()
                self._rest_until = now + (now - began)  # at most half of DM's time is ours
            self._report(now, now - began)

        def _run(self, image: Any, array: Any) -> None:
            size = array.shape[:2]
            roi = self._first_rectangle(image)
            top, left, bottom, right = place = clamped(roi or (0, 0, *size), *size)
            frame = np.array(array[top:bottom, left:right])  # the camera writes on while we compute
            frame.flags.writeable = False
            if frame.shape != self._shape:
                self._shape = frame.shape
                self._state.clear()
            x, y = axis(image, 0).part(left), axis(image, 1).part(top)
            info = Info(self._index, time.time(), x, y, place if roi else None, self._source, self._tags(image))
            result = as_result(self._process(frame, info, self._state), self._name)
            self.processed += 1
            if isinstance(result, (Scalar, Profile, Image)):
                self.window.show(result)
            elif result is not None:
                self._write(result)

        def _write(self, result: Written) -> None:
            """Print it to the Results window, if it says something new and not too often."""
            now, text = time.perf_counter(), ascii_unit(result.text)
            then, before = self._written
            if text != before and now - then > WRITE_SECONDS:
                self._written = now, text
                print(f"{self._name}, frame {self._index}:\n{text}")

        def _tags(self, image: Any) -> dict[str, float]:
            now = time.perf_counter()
            if now - self._tagged[0] > TAG_SECONDS:
                self._tagged = now, tags_of(image)
            return self._tagged[1]

        def _first_rectangle(self, image: Any) -> Any:
            display = image.GetImageDisplay(0)
            rois = (display.GetROI(i) for i in range(display.CountROIs()))
            return next((roi.GetRectangle() for roi in rois if roi.IsRectangle()), None)

        def _report(self, now: float, seconds: float) -> None:
            then, skipped = self._reported
            if now - then > REPORT_SECONDS and self.skipped > skipped:
                self._reported = now, self.skipped
                print(f"{self._name}: {seconds * 1e3:.0f} ms per frame; {self.skipped} frames skipped.")

        def _tell(self, error: BaseException) -> None:
            """Print an error once for each line of the script where it happens."""
            script = self._process.__code__.co_filename
            steps = traceback.extract_tb(error.__traceback__)
            line = [step.lineno for step in steps if step.filename == script][-1]
            if (type(error), line) not in self._errors:
                self._errors.add((type(error), line))
                what = traceback.format_exception_only(type(error), error)[-1].strip()
                print(f"{self._name}: frame {self._index}, line {line} of the script: {what}")


    def at_home(caller: Any) -> dict[str, Any]:
        """Return the names of the calling script, made once more where no other script can change them."""
        script: dict[str, Any] = caller.f_globals
        if "process" not in caller.f_code.co_names:
            return script  # it is not the whole script that calls, but a line of it
        home = {name: value for name, value in script.items() if name.startswith("__") or name == "DM"}
        home[AT_HOME] = True
        exec(caller.f_code, home)  # it has just been executed in the names of all
        return home


    def start(name: str, caller: Any) -> None:
        """Run the script's `process` on every frame of the live view; stop what an earlier run started."""
        script = caller.f_globals
        if AT_HOME in script:
            return
        why = refusal(version())
        if why:
            print(f"{name}: {why}")
            return
        key = "dmlink_live_" + name
        if script.get(key) is not None:
            script[key].end("it is executed anew")
            script[key].window.close()
        image = live_view()
        if image is None:
            print(f"{name}: there is no live view. Start it, click it, and execute this script again.")
            return
        home = at_home(caller)
        results = (Axis, Scalar, Profile, Image, Points, Boxes, Table, Text, Overlay, Several)
        memory = (RunningAverage, LastFrames, Reference, FrameCounter)
        for kind in (*results, *memory):
            home.setdefault(kind.__name__, kind)
        live = LiveScript(image, home["process"], name)
        window = image.GetOrCreateImageDocument().GetWindow()
        live.WindowHandleWindowClosedEvent(window, "pythonplugin")
        live.HandleDataChangedEvent(0, image)  # also for an image that stands still
        live.ImageHandleDataChangedEvent(image, "pythonplugin")  # last: frames start now
        script[key] = live  # DM keeps no hold on it: this name does
        print(f"{name}: running on {image.GetName()}. Close the live view or the result to stop it.")

    start(name, sys._getframe(1))


dmlink_live('radial_profile')
