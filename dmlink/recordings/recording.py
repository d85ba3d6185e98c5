"""Recording: a lazy sequence of calibrated frames, the same for every format family."""

from __future__ import annotations

import contextlib
import math
import operator
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np

from dmlink.frame import Axis, Frame, Roi
from dmlink.indm.results import free_name
from dmlink.recordings.steps import even_steps, sound
from dmlink.summary import pixel_size, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True, eq=False)
class Dimension:
    """One of the dimensions that count the frames: the time, or the rows of a scan.

    Attributes
    ----------
    name : str
        Its name.
    size : int
        Its length.
    axis : Axis
        Its calibration; with `values`, only the unit is used.
    values : numpy.ndarray or None
        The value of each element, shape (size,), if they are not evenly spaced.
    """

    name: str
    size: int
    axis: Axis = Axis()
    values: np.ndarray | None = None

    def sound(self) -> Dimension:
        """Return it, without calibration if that is not finite."""
        if self.values is not None and not np.isfinite(self.values).all():
            return Dimension(self.name, self.size)
        return replace(self, axis=sound(self.axis))

    def coordinates(self) -> np.ndarray:
        """Return the value of each element, shape (size,), in the axis's unit."""
        return self.axis.values(self.size) if self.values is None else self.values


class Recording(ABC):
    """Frames of one shape and data type, read one at a time on demand.

    `recording[i]` is a Frame, `recording[a:b]` a recording of those frames, `np.asarray(recording)` all
    pixels. Format families derive from it and implement `_read` and, if they keep files open, `_close`.

    Attributes
    ----------
    path : pathlib.Path
        The file or folder.
    name : str
        Its name, and the `source` of its frames.
    shape : tuple of int
        (n, h, w): frames, rows, columns.
    dtype : numpy.dtype
        Data type of the frames, in the machine's byte order.
    y, x : Axis
        Calibration of the rows and of the columns.
    times : numpy.ndarray
        When each frame was taken, shape (n,), in seconds; the frame numbers if unknown.
    timed : bool
        Whether `times` are known.
    fps : float or None
        Frames per second, the mean if their times are not evenly spaced; None if unknown.
    dimensions : tuple of Dimension
        The dimensions that count the frames, slowest first: the time, or the rows and columns of a scan.
    tags : dict
        The file's other metadata. Frames get its plain values (str, bool, numbers) without its tables.
    expected : int
        Frames that the file says it has: more than n if it is incomplete.
    items : tuple of str
        The images in the file if there are several; `item` chooses one.
    notes : tuple of str
        What was left out or could not be used, one sentence each.
    options : dict
        Options of `dmlink.open` other than calibration and frame rate, to open it again in another process.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        *,
        name: str | None = None,
        y: Axis = Axis(),
        x: Axis = Axis(),
        fps: float | None = None,
        times: np.ndarray | Sequence[float] | Callable[[], np.ndarray | None] | None = None,
        dimensions: Sequence[Dimension] = (),
        tags: dict[str, Any] | None = None,
        expected: int = 0,
        items: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> None:
        if min(shape) < 1:
            raise ValueError(f"{path} has no pixels: its shape is {shape}; choose another recording.")
        if dtype.kind not in "biufc":
            raise ValueError(f"{path} contains {dtype}, not numbers; convert it to an integer or float type.")
        self.path = path
        self.name = name or path.stem
        self.shape = shape
        self.dtype = dtype.newbyteorder("=")
        self.y, self.x = sound(y), sound(x)
        self.tags = {} if tags is None else tags
        self.expected = max(expected, shape[0])
        self.items = tuple(items)
        self.notes = tuple(notes)
        self._frame_tags = {k: v for k, v in self.tags.items() if isinstance(v, str | bool | int | float)}
        self.options: dict[str, Any] = {}
        self._calibration: dict[str, Any] = {}  # as given to `calibrate`
        self._closed = False
        self._dimensions = tuple(d.sound() for d in dimensions)
        self._fps = float(fps) if fps and math.isfinite(fps) and fps > 0 else None
        self._read_times = times if callable(times) else None
        self._times: np.ndarray | None = None
        if times is not None and not callable(times):
            self._take_times(times)

    def _take_times(self, times: np.ndarray | Sequence[float] | None) -> None:
        """Keep the file's times, unless they are not all finite or not one per frame."""
        if times is None or len(times) != self.shape[0] or not np.isfinite(times).all():
            return
        self._times = np.asarray(times, float)
        if len(times) > 1 and np.ptp(self._times) > 0:
            self._fps = (len(times) - 1) / float(np.ptp(self._times))

    def _look_for_times(self) -> None:
        """Read times that are elsewhere in the file, the first time they are needed."""
        if self._read_times is not None:
            read_times, self._read_times = self._read_times, None
            self._take_times(read_times())

    @property
    def times(self) -> np.ndarray:  # noqa: D102 - among the attributes
        self._look_for_times()
        if self._times is None:
            return np.arange(self.shape[0]) / (self._fps or 1.0)
        return self._times

    @times.setter
    def times(self, times: Sequence[float] | np.ndarray) -> None:
        values = np.asarray(times, float)
        if values.shape != (self.shape[0],) or not np.isfinite(values).all():
            raise ValueError(
                f"{self.name} has {self.shape[0]} frames; give one finite time for each, in seconds."
            )
        self._read_times, self._fps = None, None
        self._take_times(values)
        self._calibration["times"] = values

    def _time(self, i: int) -> float:
        """Return `times[i]`."""
        self._look_for_times()
        return i / (self._fps or 1.0) if self._times is None else float(self._times[i])

    @property
    def timed(self) -> bool:  # noqa: D102
        self._look_for_times()
        return self._times is not None or self._fps is not None

    @property
    def fps(self) -> float | None:  # noqa: D102
        self._look_for_times()
        return self._fps

    @property
    def dimensions(self) -> tuple[Dimension, ...]:  # noqa: D102
        if self._dimensions and not (len(self._dimensions) == 1 and self.timed):
            return self._dimensions
        n = self.shape[0]
        if not self.timed:
            return (Dimension("frame", n),)
        even = even_steps(self.times)
        if even and n == 1:
            even = even[0], 1 / (self._fps or 1.0)
        name = self._dimensions[0].name if self._dimensions else ""
        if even:
            return (Dimension(name or "t", n, Axis(*even, "s")),)
        return (Dimension(name or "t", n, Axis(unit="s"), self.times),)

    @abstractmethod
    def _read(self, i: int) -> np.ndarray:
        """Return the pixels of frame `i`, 0 <= i < n; shape (h, w)."""

    def files(self) -> Iterator[Path]:
        """Yield the files of the frames; some may have been deleted since it was opened."""
        yield self.path

    def _frame(self, data: np.ndarray, i: int) -> Frame:
        """Return frame `i` with its metadata."""
        return Frame(data, i, self._time(i), self.y, self.x, source=self.name, tags=dict(self._frame_tags))

    def _close(self) -> None:  # noqa: B027 - a folder keeps nothing open
        """Close what is open."""

    def calibrate(
        self, *, scale: float | None = None, unit: str | None = None, fps: float | None = None
    ) -> None:
        """Override the file's pixel size (`scale` in `unit`) and frame rate."""
        if scale is not None:
            self._calibration["scale"] = _positive(scale, "scale", self.name)
        if unit is not None:
            self._calibration["unit"] = unit
        self.y, self.x = self._calibrated(self.y), self._calibrated(self.x)
        if fps is not None:
            self._fps = self._calibration["fps"] = _positive(fps, "fps", self.name)
            self._times = self._read_times = None

    def _calibrated(self, axis: Axis) -> Axis:
        """Return an axis with the calibration given to `calibrate`; its zero stays at the same pixel."""
        new = axis._replace(**{k: v for k, v in self._calibration.items() if k in ("scale", "unit")})
        if new.scale == axis.scale:
            return new
        return new._replace(origin=axis.origin / axis.scale * new.scale)

    def __len__(self) -> int:
        return self.shape[0]

    @overload
    def __getitem__(self, index: int) -> Frame: ...

    @overload
    def __getitem__(self, index: slice) -> Recording: ...

    def __getitem__(self, index: int | slice) -> Frame | Recording:
        if isinstance(index, slice):
            return Part(self, range(self.shape[0])[index])
        n = self.shape[0]
        i = operator.index(index)
        if not -n <= i < n:
            raise IndexError(f"{self.name} has {n} frames; there is no frame {i}.")
        if self._closed:
            raise ValueError(f"{self.name} is closed; open it again with dmlink.open({str(self.path)!r}).")
        i %= n
        try:
            pixels = self._read(i)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{error.filename} was deleted after {self.name} was opened; open the recording again."
            ) from error
        flags, data = pixels.flags, pixels
        if pixels.dtype != self.dtype or not (flags.c_contiguous and flags.aligned):
            data = np.require(pixels, self.dtype, ["C_CONTIGUOUS", "ALIGNED"])
        data.flags.writeable = False
        return self._frame(data, i)

    def __iter__(self) -> Iterator[Frame]:
        return (self[i] for i in range(self.shape[0]))

    def part(self, roi: str | Roi) -> Recording:
        """Return the recording cut to an ROI: a cell gets what it would have got live on that ROI.

        Parameters
        ----------
        roi : str or Roi
            The name of an ROI that was recorded with the frames, which may move but not change its size; or a
            rectangle in pixels of the frames, with or without a mask (`Roi.around`).

        Raises
        ------
        ValueError
            If the first frame has no ROI of that name.
        """
        from dmlink.recordings import RoiPart  # noqa: PLC0415 - it imports us

        return RoiPart(self, roi)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all pixels, shape (n, h, w); if they do not fit into memory, use `to_dask()`."""
        if copy is False:
            raise ValueError(f"The frames of {self.name} are read from disk, so copy=False is impossible.")
        try:
            stack = np.empty(self.shape, self.dtype if dtype is None else dtype)
        except MemoryError:
            size = math.prod(self.shape) * self.dtype.itemsize / 1e9
            raise MemoryError(
                f"{self.name} needs {size:.0f} GB, more than is free; use a slice of it, or to_dask()."
            ) from None
        for i in range(self.shape[0]):
            stack[i] = self[i].data
        return stack

    def to_dask(self) -> Any:
        """Return a dask.array.Array (n, h, w) with one chunk per frame, each read when it is computed."""
        from dmlink.exchange import dask_array  # noqa: PLC0415 - Dask is slow to import

        return dask_array(self, self.shape, self.dtype)

    def to_xarray(self) -> Any:
        """Return an xarray.DataArray of `to_dask()` with the coordinates `dimensions`, y and x.

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        from dmlink.exchange import xarray_array  # noqa: PLC0415

        _n, h, w = self.shape
        coordinates: dict[str, tuple[np.ndarray, str]] = {}
        for i, d in enumerate(self.dimensions):
            name = free_name(d.name or f"dim_{i}", lambda name: name in {"y", "x", *coordinates})
            coordinates[name] = d.coordinates(), d.axis.unit
        coordinates |= {"y": (self.y.values(h), self.y.unit), "x": (self.x.values(w), self.x.unit)}
        return xarray_array(self._laid_out(), coordinates, self.name, self._frame_tags)

    @property
    def logs(self) -> dict[str, np.ndarray]:
        """Other instruments' newest number at each frame, by name: shape (n,), NaN before the first."""
        return {}

    def to_hyperspy(self) -> Any:
        """Return a lazy HyperSpy signal of images with calibrated axes, navigated along `dimensions`.

        `logs`, where there are any, are in its metadata as `Logs`.

        Raises
        ------
        ImportError
            If HyperSpy is not installed.
        """
        from dmlink.exchange import hyperspy_signal, signal_axis  # noqa: PLC0415

        h, w = self.shape[1:]
        axes = [signal_axis(d.name, d.axis, d.size, d.values, navigate=True) for d in self.dimensions]
        axes += [signal_axis("y", self.y, h), signal_axis("x", self.x, w)]
        return hyperspy_signal(self._laid_out(), axes, self.name, self.logs)

    def _laid_out(self) -> Any:
        """Return `to_dask()` with a dimension for each of `dimensions`."""
        sizes = tuple(d.size for d in self.dimensions)
        frames = self.to_dask()
        return frames if len(sizes) == 1 else frames.reshape(*sizes, *self.shape[1:], merge_chunks=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process, perhaps on another computer, opens the same file itself.
        return _opened_again, (
            self.path.absolute(), self.options, self._calibration, self.name, self.y, self.x
        )  # fmt: skip

    def close(self) -> None:
        """Close the file; frames already read stay valid."""
        if not self._closed:
            self._closed = True
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        n, h, w = self.shape
        pixel = f", {self.x.scale:.4g} {self.x.unit}/px" if self.x.unit else ""
        rate = f", {self.fps:.4g} frames/s" if self.fps else ""
        notes = f"; {' '.join(self.notes)}" if self.notes else ""
        return f"<Recording {self.name!r}: {n} x {h} x {w} {self.dtype}{pixel}{rate}{notes}>"

    def _repr_html_(self) -> str:
        n, h, w = self.shape
        facts = {
            "frames": f"{n} of {h} x {w} {self.dtype}",
            "pixel": pixel_size(self.x),
            "rate": f"{self.fps:.4g} frames/s" if self.fps else "",
            "duration": f"{self.times[-1] - self.times[0]:.4g} s" if self.fps and n > 1 else "",
            "path": str(self.path),
            "note": " ".join(self.notes),
        }
        first = None
        with contextlib.suppress(OSError, ValueError):  # it is closed, or its file can no longer be read
            first = self[0].data if n else None
        return summary(f"Recording {self.name}", facts, first)


def _opened_again(
    path: Path, options: dict[str, Any], calibration: dict[str, Any], name: str, y: Axis, x: Axis
) -> Recording:
    """Return the recording that was pickled."""
    from dmlink.recordings import open as opened  # noqa: PLC0415 - it imports us

    given = dict(calibration)
    times = given.pop("times", None)
    recording = opened(path, **options, **given)
    recording.name, recording.y, recording.x = name, y, x
    if times is not None:
        recording.times = times
    return recording


class Composed(Recording):
    """Frames of other recordings, with their own calibration unless `calibrate` overrides it."""

    @abstractmethod
    def _where(self, i: int) -> tuple[Recording, int]:
        """Return the recording that contains frame `i`, and the frame's index there."""

    def _read(self, i: int) -> np.ndarray:
        recording, at = self._where(i)
        return recording[at].data

    def _frame(self, data: np.ndarray, i: int) -> Frame:
        recording, at = self._where(i)
        frame = recording._frame(data, at)  # noqa: SLF001 - also a Recording
        y, x = self._calibrated(frame.y), self._calibrated(frame.x)
        return replace(frame, y=y, x=x, time=self._time(i))


class Part(Composed):
    """Some frames of a recording, with their numbers in it; it closes with the whole recording."""

    def __init__(self, whole: Recording, which: range) -> None:
        if not which:
            raise ValueError(f"{whole.name} has {len(whole)} frames; this slice selects none of them.")
        self._whole, self._which = whole, which
        dimensions: tuple[Dimension, ...] = ()
        if len(whole.dimensions) == 1 and not whole.timed:
            (d,) = whole.dimensions
            values = None if d.values is None else d.values[list(which)]
            axis = Axis(d.axis.origin + d.axis.scale * which.start, d.axis.scale * which.step, d.axis.unit)
            dimensions = (Dimension(d.name, len(which), axis, values),)
        super().__init__(
            whole.path,
            (len(which), *whole.shape[1:]),
            whole.dtype,
            name=whole.name,
            y=whole.y,
            x=whole.x,
            times=whole.times[list(which)] if whole.timed else None,
            fps=whole.fps,
            dimensions=dimensions,
            tags=whole.tags,
            notes=whole.notes,
        )
        self.options = {**whole.options, "frames": [which.start, which.stop, which.step]}

    def files(self) -> Iterator[Path]:
        """Yield the files of the whole recording."""
        yield from self._whole.files()

    def _where(self, i: int) -> tuple[Recording, int]:
        return self._whole, self._which[i]

    @property
    def logs(self) -> dict[str, np.ndarray]:
        """Those of its frames; see `Recording.logs`."""
        return {name: values[list(self._which)] for name, values in self._whole.logs.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return _part_again, (self._whole, self._which, self._calibration)


def _part_again(whole: Recording, which: range, calibration: dict[str, Any]) -> Recording:
    part = Part(whole, which)
    recalibrate(part, calibration)
    return part


def recalibrate(recording: Recording, calibration: dict[str, Any]) -> None:
    """Give a recording the calibration of another one."""
    given = dict(calibration)
    times = given.pop("times", None)
    recording.calibrate(**given)
    if times is not None:
        recording.times = times


def grey(pixels: np.ndarray) -> np.ndarray:
    """Return a colour image (h, w, 3 or 4) as grey (h, w): a channel if all are equal, else luminance."""
    red, green, blue = (pixels[..., c] for c in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return np.asarray(red)
    luminance = pixels[..., :3] @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, like Pillow
    return np.asarray(luminance.round() if pixels.dtype.kind in "biu" else luminance, pixels.dtype)


def _positive(value: object, what: str, name: str) -> float:
    """Return `value` as a float; raise a ValueError if it cannot be the `what` of a recording."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:  # type: ignore[arg-type, operator]
        raise ValueError(f"{what}={value!r} for {name}: it must be a number greater than 0.")
    return float(value)  # type: ignore[arg-type]
