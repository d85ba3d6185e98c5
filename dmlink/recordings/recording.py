"""Recording: the lazy sequence of calibrated frames that every family of formats offers."""

from __future__ import annotations

import contextlib
import math
import operator
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dmlink.frame import Axis, Frame
from dmlink.summary import pixel_size, summary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Recording(ABC):
    """Frames of one shape and data type, read one at a time when asked for.

    Families derive from it and implement `_read` and, if they hold something open, `_close`.

    Attributes
    ----------
    path : pathlib.Path
        The file or folder.
    name : str
        What it is called; the `source` of its frames.
    shape : tuple of int
        (n, h, w): frames, rows, columns.
    dtype : numpy.dtype
        Data type of the frames, in the machine's byte order.
    y, x : Axis
        Calibration of the rows and of the columns.
    times : numpy.ndarray
        When each frame was taken, shape (n,), in seconds; the frame's number where nobody told.
    fps : float or None
        Frames per second; None where nobody told.
    tags : dict
        What else the file says. Frames carry its plain values (str, bool, numbers), not its tables.
    expected : int
        Frames that the file announces: more than n where it was broken off.
    options : dict
        What `dmlink.open` was told beside calibration and frame rate, to open it again in another process.
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
        times: np.ndarray | None = None,
        tags: dict[str, Any] | None = None,
        expected: int = 0,
    ) -> None:
        if min(shape) < 1:
            raise ValueError(f"{path} holds no pixels: its shape is {shape}; choose another recording.")
        if dtype.kind not in "biufc":
            raise ValueError(f"{path} holds {dtype}, not numbers; convert it to an integer or float type.")
        self.path = path
        self.name = name or path.stem
        self.shape = shape
        self.dtype = dtype.newbyteorder("=")
        self.y, self.x = y, x
        self.times: np.ndarray = np.arange(shape[0], dtype=float)
        self.fps: float | None = None
        self.tags = {} if tags is None else tags
        self.expected = max(expected, shape[0])
        self._frame_tags = {k: v for k, v in self.tags.items() if isinstance(v, str | bool | int | float)}
        self.options: dict[str, Any] = {}
        self._calibration: dict[str, Any] = {}  # the scale and the unit that `calibrate` was told
        self._closed = False
        if times is not None and len(times) > 1 and np.ptp(times) > 0:
            fps = (len(times) - 1) / float(np.ptp(times))
        self.calibrate(fps=fps)
        if times is not None:
            self.times = np.asarray(times, float)

    @abstractmethod
    def _read(self, i: int) -> np.ndarray:
        """Return the pixels of frame `i`, 0 <= i < n; shape (h, w)."""

    def files(self) -> Iterator[Path]:
        """Yield the files that the frames come from; some may be gone since it was opened."""
        yield self.path

    def _frame(self, data: np.ndarray, i: int) -> Frame:
        """Return frame `i` with what is known of it."""
        time = float(self.times[i])
        return Frame(data, i, time, self.y, self.x, source=self.name, tags=dict(self._frame_tags))

    def _close(self) -> None:  # noqa: B027 - a folder holds nothing open
        """Let go of what is open."""

    def calibrate(
        self, *, scale: float | None = None, unit: str | None = None, fps: float | None = None
    ) -> None:
        """Replace what the file says of the pixel size (`scale` in `unit`) and of the frame rate."""
        if scale is not None:
            self._calibration["scale"] = _positive(scale, "scale", self.name)
        if unit is not None:
            self._calibration["unit"] = unit
        self.y, self.x = self._calibrated(self.y), self._calibrated(self.x)
        if fps is not None:
            self.fps = _positive(fps, "fps", self.name)
            self.times = np.arange(self.shape[0]) / self.fps

    def _calibrated(self, axis: Axis) -> Axis:
        """Return an axis as `calibrate` was told; the pixel at which it is zero stays where it is."""
        told = axis._replace(**self._calibration)
        if told.scale == axis.scale:
            return told
        return told._replace(origin=axis.origin / axis.scale * told.scale)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> Frame:
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
                f"{error.filename} is gone since {self.name} was opened; open it again without it."
            ) from error
        data = np.require(pixels, self.dtype, ["C_CONTIGUOUS", "ALIGNED"])
        data.flags.writeable = False
        return self._frame(data, i)

    def __iter__(self) -> Iterator[Frame]:
        return (self[i] for i in range(self.shape[0]))

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process, perhaps elsewhere, opens the same file for itself.
        options = {**self.options, **self._calibration}
        return _opened_again, (self.path.absolute(), options, self.name, self.y, self.x, self.fps)

    def close(self) -> None:
        """Let go of the file; frames already read stay valid."""
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
        return f"<Recording {self.name!r}: {n} x {h} x {w} {self.dtype}{pixel}{rate}>"

    def _repr_html_(self) -> str:
        n, h, w = self.shape
        facts = {
            "frames": f"{n} of {h} x {w} {self.dtype}",
            "pixel": pixel_size(self.x),
            "rate": f"{self.fps:.4g} frames/s" if self.fps else "",
            "lasts": f"{self.times[-1] - self.times[0]:.4g} s" if self.fps and n > 1 else "",
            "path": str(self.path),
        }
        first = None
        with contextlib.suppress(OSError, ValueError):  # it is closed, or its file cannot be read any more
            first = self[0].data if n else None
        return summary(f"Recording {self.name}", facts, first)


def _opened_again(
    path: Path, options: dict[str, Any], name: str, y: Axis, x: Axis, fps: float | None
) -> Recording:
    """Return the recording that was pickled."""
    from dmlink.recordings import open as opened  # noqa: PLC0415 - it imports us

    recording = opened(path, **options)
    recording.name, recording.y, recording.x = name, y, x
    if fps != recording.fps:
        recording.calibrate(fps=fps)
    return recording


def grey(pixels: np.ndarray) -> np.ndarray:
    """Return a colour image (h, w, 3 or 4) as grey (h, w): its one channel, or its luminance."""
    red, green, blue = (pixels[..., c] for c in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return np.asarray(red)
    luminance = pixels[..., :3] @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow does
    return np.asarray(luminance.round() if pixels.dtype.kind in "biu" else luminance, pixels.dtype)


def _positive(value: object, what: str, name: str) -> float:
    """Return `value` as a float, or say that it cannot be the `what` of a recording."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:  # type: ignore[arg-type, operator]
        raise ValueError(f"The {what} of {name} is {value!r}; give a number above zero.")
    return float(value)  # type: ignore[arg-type]
