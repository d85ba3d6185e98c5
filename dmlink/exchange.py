"""Exchange: calibrated arrays as Dask, xarray and HyperSpy objects, if those packages are installed."""

# ruff: noqa: PLC0415 - these packages are optional and slow to import

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dmlink.indm.info import Axis


def dask_array(frames: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Return a Dask array with one chunk per frame.

    Parameters
    ----------
    frames : sequence of Frame
        Indexed once for each computed chunk; pickled for workers in other processes.
    shape : tuple of int
        (n, h, w).
    dtype : numpy.dtype
        The frames' data type.
    """
    import dask.array

    from_array: Any = dask.array.from_array
    return from_array(
        _Chunks(frames, shape, dtype), chunks=(1, *shape[1:]), name=False, asarray=False, fancy=False
    )


class _Chunks:
    """Frames as an array that Dask can slice."""

    def __init__(self, frames: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._frames = frames
        self.shape, self.dtype, self.ndim = shape, dtype, len(shape)

    def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
        which = range(self.shape[0])[index[0]]
        stack = np.empty((len(which), *self.shape[1:]), self.dtype)
        for at, i in enumerate(which):
            stack[at] = self._frames[i].data
        return stack[(slice(None), *index[1:])]


def signal_axis(
    name: str, axis: Axis, size: int, values: np.ndarray | None = None, *, navigate: bool = False
) -> dict[str, Any]:
    """Return an axis as a HyperSpy axis dict; give `values` for an unevenly spaced one."""
    about: dict[str, Any] = {"name": name, "units": axis.unit or None, "navigate": navigate}
    if values is not None:
        return {**about, "axis": values}
    return {**about, "size": size, "scale": axis.scale, "offset": axis.origin}


def hyperspy_signal(
    data: Any, axes: Sequence[Mapping[str, Any]], title: str, logs: Mapping[str, np.ndarray] | None = None
) -> Any:
    """Return data as a HyperSpy signal of images; a Dask array becomes a lazy one.

    Parameters
    ----------
    data : numpy.ndarray or dask.array.Array
        Shape (..., h, w).
    axes : sequence of dict
        One for each dimension, from `signal_axis`.
    title : str
        The signal's title.
    logs : mapping, optional
        Numbers of other instruments, each of shape (n,).
    """
    try:
        from hyperspy import signals
    except ImportError as error:
        raise ImportError("to_hyperspy() needs HyperSpy: pip install hyperspy.") from error
    kind = signals.ComplexSignal2D if np.dtype(data.dtype).kind == "c" else signals.Signal2D
    metadata: dict[str, Any] = {"General": {"title": title}}
    if logs:
        metadata["Logs"] = dict(logs)
    signal = kind(data, axes=[dict(axis) for axis in axes], metadata=metadata)
    return signal if isinstance(data, np.ndarray) else signal.as_lazy()


def xarray_array(
    data: Any, coordinates: Mapping[str, tuple[np.ndarray, str]], name: str, tags: Mapping[str, Any]
) -> Any:
    """Return data as an xarray.DataArray; `coordinates` has each dimension's values and unit, in order."""
    try:
        import xarray
    except ImportError as error:
        raise ImportError("to_xarray() needs xarray: pip install xarray.") from error
    coords = {
        key: (key, values, {"units": unit} if unit else {}) for key, (values, unit) in coordinates.items()
    }
    return xarray.DataArray(data, dims=tuple(coordinates), coords=coords, name=name, attrs=dict(tags))
