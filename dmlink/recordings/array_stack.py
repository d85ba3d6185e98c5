"""Array stack: the frames in one array with any number of dimensions, memory-mapped or chunked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.frame import Axis
from dmlink.recordings.recording import Dimension, Recording, grey
from dmlink.recordings.steps import SECONDS, Uneven

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item
    from dmlink.recordings.mapped import MappedFile


class ArrayStack(Recording):
    """The frames of an array: counted along `axis`, with the last two other dimensions as rows and columns.

    Parameters
    ----------
    path : pathlib.Path
        Where the array is from.
    array : numpy.ndarray, h5py.Dataset or zarr.Array
        The array, indexed once per frame.
    axis : int, str or tuple of them, optional
        The dimensions that count the frames, by number or by name in `names`. By default all but the last
        two, so that a scan of patterns gives one pattern after another; more than two need names. Of any
        other dimension outside the image, only the first element is used.
    axes : sequence of Axis or Uneven, optional
        Calibration of every dimension.
    names : sequence of str, optional
        Names of the dimensions.
    colour : bool
        Whether the last dimension is colour (3 or 4 values), to be converted to grey.
    file : MappedFile, optional
        The file in which the array is mapped.
    files : callable, optional
        Returns the array's files, if they are not just `path`.
    close : callable, optional
        Called on close.
    """

    def __init__(
        self,
        path: Path,
        array: Any,
        *,
        axis: Dimensions = None,
        axes: Sequence[Axis | Uneven] = (),
        names: Sequence[str] = (),
        colour: bool = False,
        name: str | None = None,
        fps: float | None = None,
        times: np.ndarray | Sequence[float] | Callable[[], np.ndarray | None] | None = None,
        tags: dict[str, Any] | None = None,
        expected: int = 0,
        items: Sequence[str] = (),
        notes: Sequence[str] = (),
        file: MappedFile | None = None,
        files: Callable[[], Iterable[Path]] | None = None,
        close: Callable[[], object] | None = None,
    ) -> None:
        shape = tuple(map(int, array.shape))
        dimensions = len(shape) - colour
        if dimensions < 1:
            raise ValueError(
                f"{path} contains a single number; a recording needs rows and columns of pixels."
            )
        counted = frame_axes(path, shape[:dimensions], axis, names)
        picture = [d for d in range(dimensions) if d not in counted][-2:]
        axes = list(axes) or [Axis()] * dimensions
        names = list(names) or [""] * dimensions
        self._array: Any = array
        self._file, self._files, self._end = file, files, close
        self._colour = colour
        self._counted = counted
        self._lengths = tuple(shape[d] for d in counted)
        self._index: list[Any] = [slice(None) if d in picture else 0 for d in range(dimensions)]
        self._leading = counted == tuple(range(len(counted)))  # a frame's pixels are contiguous
        self._in_order = counted == (0,) and len(picture) == dimensions - 1
        # A spectrum is an image of one row.
        h, w = ([1] * (2 - len(picture)) + [shape[d] for d in picture])[:2]
        y, x = ([Axis()] * (2 - len(picture)) + [axes[d] for d in picture])[:2]
        n = int(np.prod(self._lengths, dtype=object))
        if times is None and len(counted) == 1:
            times = _times(axes[counted[0]], n)
        uneven = [f"The pixels along {side} are not evenly spaced ({a.unit}); this calibration is not used."
                  for side, a in (("y", y), ("x", x)) if isinstance(a, Uneven)]  # fmt: skip
        first = [
            f"Only the first of {names[d] or f'dimension {d}'} ({shape[d]}) is shown; choose with axis what "
            "counts the frames."
            for d in range(dimensions)
            if d not in counted and d not in picture and shape[d] > 1
        ]
        super().__init__(
            path,
            (n, h, w),
            np.dtype(array.dtype),
            y=y if isinstance(y, Axis) else Axis(),
            x=x if isinstance(x, Axis) else Axis(),
            name=name,
            fps=fps,
            times=times,
            dimensions=[_dimension(names[d], axes[d], shape[d]) for d in counted],
            tags=tags,
            expected=expected,
            items=items,
            notes=[*notes, *uneven, *first],
        )

    def files(self) -> Iterator[Path]:
        """Yield the array's files."""
        yield from self._files() if self._files else super().files()

    def _read(self, i: int) -> np.ndarray:
        if self._file is not None:
            self._file.check()
            if self._leading:
                self._file.release()
        if self._in_order:
            pixels = self._array[i]
        else:
            index = list(self._index)
            for dimension, at in zip(self._counted, np.unravel_index(i, self._lengths), strict=True):
                index[dimension] = int(at)
            pixels = self._array[tuple(index)]
        if self._colour:
            pixels = grey(pixels)
        return np.asarray(pixels if pixels.ndim == 2 else pixels.reshape(self.shape[1:]))

    def _close(self) -> None:
        self._array = None  # unmapped as soon as no frame uses it
        self._file = None
        if self._end is not None:
            self._end()
            self._end = None


def _times(axis: Axis | Uneven, n: int) -> np.ndarray | None:
    """Return the times (s) along an axis of frames; None if its unit is not one of time."""
    if axis.unit not in SECONDS:
        return None
    values = axis.values(n) if isinstance(axis, Axis) else axis.values
    return np.asarray(values * SECONDS[axis.unit])


def _dimension(name: str, axis: Axis | Uneven, size: int) -> Dimension:
    if isinstance(axis, Axis):
        return Dimension(name, size, axis)
    return Dimension(name, size, Axis(unit=axis.unit), axis.values)


def choose(path: Path, several: list[Any], names: list[str], item: Item) -> Any:
    """Return the one of `several` images with the number or name `item`; without it, the first."""
    if item is None:
        return several[0]
    if isinstance(item, str) and item in names:
        return several[names.index(item)]
    if isinstance(item, int) and -len(several) <= item < len(several):
        return several[item]
    known = ", ".join(f"{i} {name!r}" for i, name in enumerate(names[:20]))
    more = "" if len(names) <= 20 else f" and {len(names) - 20} more"
    raise ValueError(
        f"{path} has {len(several)} images: {known}{more}; item={item!r} is not one of them. Set item "
        "(--item) to one of these numbers or names."
    )


def frame_axes(
    path: Path, shape: tuple[int, ...], axis: Dimensions, names: Sequence[str] = ()
) -> tuple[int, ...]:
    """Return the dimensions of `shape` that count the frames; ValueError if `axis` is not among them."""
    if axis is None:
        leading = range(len(shape) - 2)
        counted = tuple(d for d in leading if shape[d] != 1) or tuple(leading[:1])
        if len(counted) > 2 and not (names and all(names[d] for d in counted)):
            raise ValueError(
                f"{path} has {len(shape)} dimensions {shape} without names; choose which of them count the "
                f"frames: axis={counted} for all, the last one fastest."
            )
        return counted
    wanted = axis if isinstance(axis, tuple) else (axis,)
    called = [str(name).lower() for name in names]
    found = []
    for one in wanted:
        dimension = called.index(one.lower()) if isinstance(one, str) and one.lower() in called else one
        if not isinstance(dimension, int) or not -len(shape) <= dimension < len(shape):
            known = f" called {', '.join(names)}" if names else ""
            raise ValueError(
                f"{path} has {len(shape)} dimensions {shape}{known}; axis={axis!r} is not one of them."
            )
        found.append(dimension % len(shape))
    if len(set(found)) != len(found) or len(shape) - len(found) < 1:
        raise ValueError(f"{path} has shape {shape}: axis={axis!r} leaves no image; choose fewer axes.")
    return tuple(found)
