"""Convert: writes a recording as one file for other programs, frame by frame."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import secrets
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.indm.renaming import give_name
from dmlink.recordings.axes_json import axes_to_json
from dmlink.recordings.steps import even_steps
from dmlink.recordings.units import METRES
from dmlink.recordings.writing.ome_zarr_writer import why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from dmlink.frame import Axis
    from dmlink.recordings.recording import Recording

HEADERS = 1 << 20  # most bytes of a file in addition to the pixels
IMAGEJ_BYTES = 4 << 30  # limit of ImageJ's TIFF
IMAGEJ_TYPES = ("uint8", "uint16", "float32")
RATIONAL = 1 << 32  # limit of numerator and denominator in TIFF
ANGSTROM = 1e-10  # m
TIFF = (".tif", ".tiff")


class LossyConversionWarning(UserWarning):
    """The format cannot store all of a recording's calibration; the message says what is missing."""


def convert(recording: Recording, out: str | PathLike[str]) -> Path:
    """Write a recording in the format given by the suffix of `out`, which appears once it is complete.

    .tif, .tiff (calibrated for ImageJ if it is within ImageJ's limits, else BigTIFF), .mrc (pixel size),
    .hspy, .hdf5, .h5 (HyperSpy's layout: axes, title) or .npy (with the calibration in NAME.json).
    The numbers of other instruments, if there are any, go into OUT.logs.csv: `a.tif.logs.csv` for `a.tif`.
    A LossyConversionWarning says what the format cannot store, as `left_behind` does.

    Raises
    ------
    FileExistsError
        If the file exists.
    ValueError
        If the suffix is none of these, or the format cannot store such pixels.
    OSError
        If it cannot be written; no partial file is left.
    """
    made = write(recording, Path(out).expanduser())
    write_logs(recording, made)
    for line in left_behind(recording, made):
        warnings.warn(line, LossyConversionWarning, stacklevel=2)
    return made


def write_logs(recording: Recording, out: Path) -> Path | None:
    """Write the numbers of other instruments as OUT.logs.csv, a line for each frame; None if there are none.

    Raises
    ------
    FileExistsError
        If the file exists.
    """
    logs = recording.logs
    if not logs:
        return None
    path = _logs_of(out)
    with path.open("x", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", "time", *logs])
        for i, row in enumerate(zip(recording.times, *logs.values(), strict=True)):
            writer.writerow([i, *(float(value) for value in row)])
    return path


def _logs_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.logs.csv")


def left_behind(recording: Recording, out: str | PathLike[str]) -> tuple[str, ...]:
    """Return which of a recording's axes and times the format of `out` cannot store, one sentence each."""
    path = Path(out)
    lost = tuple(LOST[path.suffix.lower()](recording))
    if not lost:
        return ()
    hidden = path.suffix.lower() in TIFF and len(recording.dimensions) == 1
    home = (
        "dmlink reads it from the description, but other programs need .hspy"
        if hidden
        else "use .hspy or .npy to keep it"
    )
    return (f"{path.name} cannot store {'; '.join(lost)}: {home}.",)


def write(recording: Recording, out: Path) -> Path:
    """Do what `convert` does, without warnings."""
    if out.suffix.lower() not in WRITERS:
        raise ValueError(f"{out} has the suffix {out.suffix!r}; use one of {', '.join(WRITERS)}.")
    sidecar = out.with_suffix(".json") if out.suffix.lower() == ".npy" else out
    for there in (out, sidecar, *([_logs_of(out)] if recording.logs else [])):
        if there.exists() or there.is_symlink():
            raise FileExistsError(f"{there} exists; choose another name.")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {out.parent}; create it first.")
    size, free = _bytes(recording), shutil.disk_usage(out.parent).free
    if out.suffix.lower() == ".mrc" and recording.dtype == np.uint8:
        size *= 2  # it has no uint8
    if size + HEADERS > free:  # check first: on a full disk, HDF5 and mapped files kill the process
        raise OSError(
            f"{out} was not written: it needs {size / 1e6:.0f} MB, but only {free / 1e6:.0f} MB are free."
        )
    made = out.with_name(f".{out.stem}.{secrets.token_hex(4)}{out.suffix}")  # two at once do not meet
    try:
        WRITERS[out.suffix.lower()](recording, made)
        if sidecar != out:
            sidecar.write_text(json.dumps(_sidecar(recording), allow_nan=False), encoding="utf-8")
        give_name(made, out)
    except OSError as error:
        raise OSError(why_not(error, f"{out} was not written")) from error
    finally:
        with contextlib.suppress(OSError):  # it does not exist, or the folder is read-only
            made.unlink()
    return out


def _bytes(recording: Recording) -> int:
    return recording.dtype.itemsize * math.prod(recording.shape)


def _frames(recording: Recording) -> Iterator[np.ndarray]:
    return (frame.data for frame in recording)


def _interval(recording: Recording) -> float | None:
    """Return the time between frames (s), if it is constant and the first frame is at zero."""
    if not recording.timed:
        return None
    even = even_steps(recording.times)
    if even is None or even[0] != 0 or even[1] <= 0 or len(recording) < 2:
        return 1 / recording.fps if recording.fps and len(recording) < 2 and recording.times[0] == 0 else None
    return even[1]


def _write_tiff(recording: Recording, path: Path) -> None:
    import tifffile  # noqa: PLC0415 - slow to import, like the others below

    y, x = recording.y, recording.x
    options: dict[str, Any] = {
        "shape": recording.shape,
        "dtype": recording.dtype,
        "photometric": "minisblack",
    }
    interval = _interval(recording)
    fields: dict[str, Any] = {"finterval": interval, "fps": 1 / interval} if interval else {}
    # All axes, for dmlink; other programs read only what TIFF and ImageJ can store.
    ours = {"axes": axes_to_json(recording)} if len(recording.dimensions) == 1 else {}
    if recording.dtype.name in IMAGEJ_TYPES and _bytes(recording) < 0.9 * IMAGEJ_BYTES:
        if calibration := imagej_calibration(y, x):
            options["resolution"] = (1 / x.scale, 1 / y.scale)
            fields |= calibration
        fields |= {"Info": json.dumps({"dmlink": ours}, allow_nan=False)} if ours else {}
        with tifffile.TiffWriter(path, imagej=True) as tiff:
            tiff.write(_frames(recording), metadata={"axes": "TYX", **fields}, **options)
        return
    if _is_length(y, x):
        per_cm = [METRES["cm"] / (a.scale * METRES[a.unit]) for a in (x, y)]
        options |= {"resolution": tuple(per_cm), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        tiff.write(
            _frames(recording),
            metadata={"axes": "TYX", **fields, **({"dmlink": ours} if ours else {})},
            **options,
        )


def _in_ascii(unit: str) -> str:
    """Return a unit in ImageJ's spelling: um, and other non-ASCII letters as escapes."""
    plain = unit.replace("\u00b5", "u")
    return "".join(c if c.isascii() else f"\\u{ord(c):04X}" for c in plain)


def imagej_calibration(y: Axis, x: Axis) -> dict[str, Any]:
    """Return the axes as ImageJ's metadata, to which the resolution belongs; empty if TIFF cannot store them.

    TIFF's resolution is a positive fraction, and ImageJ needs a unit.
    """
    if not (x.unit and y.unit) or not all(1 / RATIONAL < 1 / (a.scale or np.inf) < RATIONAL for a in (y, x)):
        return {}
    fields: dict[str, Any] = {"unit": _in_ascii(x.unit)}
    fields |= {"yunit": _in_ascii(y.unit)} if y.unit != x.unit else {}
    return fields | {f"{n}origin": -a.origin / a.scale for n, a in (("x", x), ("y", y)) if a.origin}


def _is_length(y: Axis, x: Axis) -> bool:
    """Whether TIFF's resolution per centimetre can store these axes."""
    if y.unit not in METRES or x.unit not in METRES or min(y.scale, x.scale) <= 0:
        return False
    return all(1 / RATIONAL < METRES["cm"] / (a.scale * METRES[a.unit]) < RATIONAL for a in (y, x))


def _lost_in_tiff(recording: Recording) -> Iterator[str]:
    y, x = recording.y, recording.x
    imagej = recording.dtype.name in IMAGEJ_TYPES and _bytes(recording) < 0.9 * IMAGEJ_BYTES
    if y != x and not (y.unit and x.unit):
        yield f"the calibration of only one side ({_in_words(y, 'y')}, {_in_words(x, 'x')})"
    elif (y.unit or x.unit) and not (imagej_calibration(y, x) if imagej else _is_length(y, x)):
        yield f"{_in_words(y, 'y')}, {_in_words(x, 'x')}"
    elif not imagej and (y.origin or x.origin):
        yield f"the origin ({_in_words(y, 'y')}, {_in_words(x, 'x')})"
    yield from _lost_times(recording)


def _lost_times(recording: Recording) -> Iterator[str]:
    """Yield what is lost in a format with only one interval, from time zero, and one frame dimension."""
    if recording.timed and len(recording) > 1 and _interval(recording) is None:
        even = even_steps(recording.times)
        yield (
            f"times that start at {recording.times[0]:.6g} s" if even else "times that are not evenly spaced"
        )
    yield from _lost_dimensions(recording)


def _lost_dimensions(recording: Recording) -> Iterator[str]:
    if len(recording.dimensions) > 1:
        sizes = " x ".join(f"{d.name or 'frames'} ({d.size})" for d in recording.dimensions)
        yield f"the dimensions {sizes}, which become one"
    elif not recording.timed:
        (d,) = recording.dimensions
        if d.axis != type(d.axis)() or d.values is not None:
            yield f"the axis of the frames ({_in_words(d.axis, d.name or 'frames')})"


def _in_words(axis: Axis, name: str) -> str:
    """Return an axis in a few words."""
    if axis == type(axis)():
        return f"{name} not calibrated"
    origin = f" from {axis.origin:.6g}" if axis.origin else ""
    return f"{name} {axis.scale:.6g} {axis.unit}{origin}".rstrip()


def _write_mrc(recording: Recording, path: Path) -> None:
    import mrcfile  # noqa: PLC0415

    try:
        mode = mrcfile.utils.mode_from_dtype(recording.dtype)
    except ValueError:
        raise ValueError(
            f"MRC cannot store {recording.dtype}, only int8, int16, uint16 and float32; use another format."
        ) from None
    with mrcfile.new_mmap(path, recording.shape, mode) as mrc:
        about = _Statistics()
        for i, pixels in enumerate(_frames(recording)):
            mrc.data[i] = pixels
            about.add(pixels)
        mrc.set_image_stack()
        about.tell(mrc.header)  # mrcfile's own would take twice the memory of all frames
        if _is_for_mrc(recording):
            y, x = (a.scale * METRES[a.unit] / ANGSTROM for a in (recording.y, recording.x))
            mrc.voxel_size = (x, y, 1.0)


class _Statistics:
    """Minimum, maximum, mean and standard deviation of frames that are seen one at a time."""

    def __init__(self) -> None:
        self._n, self._mean, self._squares = 0, 0.0, 0.0
        self._least, self._most = math.inf, -math.inf

    def add(self, pixels: np.ndarray) -> None:
        """Count a frame's finite pixels; of complex ones, the magnitude."""
        values = np.abs(pixels) if pixels.dtype.kind == "c" else pixels
        values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        if not values.size:
            return
        n, mean = self._n + values.size, float(values.mean(dtype=float))
        step = mean - self._mean
        self._squares += float(values.var(dtype=float)) * values.size + step**2 * self._n * values.size / n
        self._mean += step * values.size / n
        self._n = n
        self._least = min(self._least, float(values.min()))
        self._most = max(self._most, float(values.max()))

    def tell(self, header: Any) -> None:
        """Write them into an MRC header, if there are any."""
        if not self._n:
            return
        header.dmin, header.dmax, header.dmean = self._least, self._most, self._mean
        header.rms = math.sqrt(self._squares / self._n)


def _is_for_mrc(recording: Recording) -> bool:
    return all(a.unit in METRES and a.scale > 0 for a in (recording.y, recording.x))


def _lost_in_mrc(recording: Recording) -> Iterator[str]:
    y, x = recording.y, recording.x
    if not _is_for_mrc(recording) and (y, x) != (type(y)(), type(x)()):
        yield f"{_in_words(y, 'y')}, {_in_words(x, 'x')} (it has only lengths)"
    elif y.origin or x.origin:
        yield f"the origin ({_in_words(y, 'y')}, {_in_words(x, 'x')})"
    elif {y.unit, x.unit} - {"nm", "\u00c5", ""}:
        yield f"the unit ({_in_words(y, 'y')}, {_in_words(x, 'x')}; it uses angstroms)"
    elif "\u00c5" in (y.unit, x.unit):
        yield "angstroms, which are read back as nm"
    if recording.timed:
        yield "times"
    yield from _lost_dimensions(recording)
    if recording.dtype == np.uint8:
        yield "uint8, so the numbers become uint16"


def _write_hspy(recording: Recording, path: Path) -> None:
    import h5py  # noqa: PLC0415

    axes = axes_to_json(recording)
    shape = (*(d.size for d in recording.dimensions), *recording.shape[1:])
    with h5py.File(path, "x") as file:
        file.attrs.update(file_format="HyperSpy", file_format_version="3.3")
        group = file.create_group(f"Experiments/{recording.name.replace('/', '_')}")
        data = group.create_dataset(
            "data", shape, recording.dtype, chunks=(*[1] * (len(shape) - 2), *recording.shape[1:])
        )
        for i, pixels in enumerate(_frames(recording)):
            data[tuple(int(at) for at in np.unravel_index(i, shape[:-2]))] = pixels
        for i, one in enumerate(axes):
            axis = group.create_group(f"axis-{i}")
            about = {"name": one["name"], "units": one["unit"], "navigate": i < len(axes) - 2}
            if "values" in one:
                axis.attrs.update(_type="DataAxis", size=shape[i], is_binned=False, **about)
                axis["axis"] = np.asarray(one["values"])
            else:
                axis.attrs.update(
                    _type="UniformDataAxis", scale=one["scale"], offset=one["origin"], size=shape[i],
                    is_binned=False, **about,
                )  # fmt: skip
        group.create_group("learning_results")
        group.create_group("original_metadata")
        group.create_group("metadata/General").attrs["title"] = recording.name
        group.create_group("metadata/Signal").attrs["signal_type"] = ""


def _write_numpy(recording: Recording, path: Path) -> None:
    shape = (*(d.size for d in recording.dimensions), *recording.shape[1:])
    stack = np.lib.format.open_memmap(path, "w+", recording.dtype, shape)
    frames = stack.reshape(recording.shape)
    for i, pixels in enumerate(_frames(recording)):
        frames[i] = pixels
    stack.flush()


def _sidecar(recording: Recording) -> dict[str, Any]:
    """Return the content of a .npy's JSON file: scale, unit and fps if they are enough, else every axis."""
    y, x, interval = recording.y, recording.x, _interval(recording)
    untimed = not recording.timed and not list(_lost_dimensions(recording))
    simple = (
        y == x and not x.origin and x.scale > 0 and len(recording.dimensions) == 1 and (interval or untimed)
    )
    if not simple:
        return {"name": recording.name, "axes": axes_to_json(recording)}
    fields = {"name": recording.name, "scale": x.scale, "unit": x.unit}
    return {**fields, "fps": 1 / interval} if interval else fields


def _nothing(_: Recording) -> Iterator[str]:
    return iter(())


WRITERS: dict[str, Callable[[Recording, Path], None]] = {
    ".tif": _write_tiff,
    ".tiff": _write_tiff,
    ".mrc": _write_mrc,
    ".hspy": _write_hspy,
    ".hdf5": _write_hspy,
    ".h5": _write_hspy,
    ".npy": _write_numpy,
}

#: What each of these formats cannot store.
LOST: dict[str, Callable[[Recording], Iterator[str]]] = {
    ".tif": _lost_in_tiff, ".tiff": _lost_in_tiff, ".mrc": _lost_in_mrc,
    ".hspy": _nothing, ".hdf5": _nothing, ".h5": _nothing, ".npy": _nothing,
}  # fmt: skip
