"""Array stacks: frames out of one array of any number of dimensions, mapped into memory or in chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.frame import Axis
from dmlink.recordings.recording import Recording, grey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item
    from dmlink.recordings.mapped import MappedFile

#: Seconds in the units of a frame axis; such an axis tells when its frames were taken.
SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "millisecond": 1e-3}
SECONDS |= {"\u00b5s": 1e-6, "us": 1e-6, "microsecond": 1e-6, "ns": 1e-9, "min": 60.0, "minute": 60.0}
SECONDS |= {"h": 3600.0, "hour": 3600.0, "msec": 1e-3}


class ArrayStack(Recording):
    """The frames of an array: numbers along `axis`, and the last two other dimensions as rows and columns.

    Parameters
    ----------
    path : pathlib.Path
        Where the array comes from.
    array : numpy.ndarray, h5py.Dataset or zarr.Array
        The array; indexed once for every frame.
    axis : int, str or tuple of them, optional
        The dimension, or dimensions, that count the frames: a number, or a name in `names`. Without it, all
        but the last two, so that a scan of patterns gives one pattern after the other. A dimension that is
        neither among them nor in the picture stays at its first element.
    axes : sequence of Axis, optional
        Calibration of every dimension.
    names : sequence of str, optional
        What the dimensions are called.
    colour : bool
        The last dimension are colours (3 or 4); they become grey.
    file : MappedFile, optional
        Where the array is mapped.
    files : callable, optional
        Returns the files that it lies in, where that is not `path` alone.
    close : callable, optional
        Called at the end.
    """

    def __init__(
        self,
        path: Path,
        array: Any,
        *,
        axis: Dimensions = None,
        axes: Sequence[Axis] = (),
        names: Sequence[str] = (),
        colour: bool = False,
        name: str | None = None,
        fps: float | None = None,
        times: np.ndarray | None = None,
        tags: dict[str, Any] | None = None,
        expected: int = 0,
        file: MappedFile | None = None,
        files: Callable[[], Iterable[Path]] | None = None,
        close: Callable[[], object] | None = None,
    ) -> None:
        shape = tuple(map(int, array.shape))
        dimensions = len(shape) - colour
        if dimensions < 1:
            raise ValueError(f"{path} holds a single number; a recording has rows and columns of pixels.")
        counted = frame_axes(path, shape[:dimensions], axis, names)
        picture = [d for d in range(dimensions) if d not in counted][-2:]
        axes = axes or [Axis()] * dimensions
        self._array: Any = array
        self._file, self._files, self._end = file, files, close
        self._colour = colour
        self._counted = counted
        self._lengths = tuple(shape[d] for d in counted)
        self._index: list[Any] = [slice(None) if d in picture else 0 for d in range(dimensions)]
        self._leading = counted == tuple(range(len(counted)))  # a frame's pixels lie together
        self._in_order = counted == (0,) and len(picture) == dimensions - 1
        # A spectrum is a picture of one row.
        h, w = ([1] * (2 - len(picture)) + [shape[d] for d in picture])[:2]
        y, x = ([Axis()] * (2 - len(picture)) + [axes[d] for d in picture])[:2]
        n = int(np.prod(self._lengths, dtype=object))
        if times is None and len(counted) == 1 and axes[counted[0]].unit in SECONDS:
            times = axes[counted[0]].values(n) * SECONDS[axes[counted[0]].unit]
        super().__init__(
            path,
            (n, h, w),
            np.dtype(array.dtype),
            y=y,
            x=x,
            name=name,
            fps=fps,
            times=times,
            tags=tags,
            expected=expected,
        )

    def files(self) -> Iterator[Path]:
        """Yield the files that the array lies in."""
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


def choose(path: Path, several: list[Any], names: list[str], item: Item) -> Any:
    """Return the one of `several` images that `item` is the number or the name of; the first without it."""
    if item is None:
        return several[0]
    if isinstance(item, str) and item in names:
        return several[names.index(item)]
    if isinstance(item, int) and -len(several) <= item < len(several):
        return several[item]
    known = ", ".join(f"{i} {name!r}" for i, name in enumerate(names[:20]))
    raise ValueError(f"{path} holds {len(several)} images: {known}; item={item!r} is none of them.")


def frame_axes(
    path: Path, shape: tuple[int, ...], axis: Dimensions, names: Sequence[str] = ()
) -> tuple[int, ...]:
    """Return the dimensions of `shape` that count the frames; a ValueError if `axis` names none of them."""
    if axis is None:
        leading = range(len(shape) - 2)
        return tuple(d for d in leading if shape[d] != 1) or tuple(leading[:1])
    wanted = axis if isinstance(axis, tuple) else (axis,)
    called = [str(name).lower() for name in names]
    found = []
    for one in wanted:
        dimension = called.index(one.lower()) if isinstance(one, str) and one.lower() in called else one
        if not isinstance(dimension, int) or not -len(shape) <= dimension < len(shape):
            known = f" called {', '.join(names)}" if names else ""
            raise ValueError(
                f"{path} has {len(shape)} dimensions {shape}{known}; axis={axis!r} is none of them."
            )
        found.append(dimension % len(shape))
    if len(set(found)) != len(found) or len(shape) - len(found) < 1:
        raise ValueError(f"{path} has the shape {shape}: axis={axis!r} leaves no picture; choose fewer axes.")
    return tuple(found)
