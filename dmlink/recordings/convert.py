"""Convert: a recording as one file that other programs open, frame by frame."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.recordings.writing import why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from dmlink.recordings.recording import Recording

HEADERS = 1 << 20  # bytes that a file takes beside the pixels, at most
IMAGEJ_BYTES = 4 << 30  # that its TIFF can hold
IMAGEJ_TYPES = ("uint8", "uint16", "float32")
CENTIMETRES = {"pm": 1e-10, "\u00c5": 1e-8, "nm": 1e-7, "\u00b5m": 1e-4, "um": 1e-4, "mm": 0.1}
ANGSTROMS = {unit: size * 1e8 for unit, size in CENTIMETRES.items()}


def convert(recording: Recording, out: str | PathLike[str]) -> Path:
    """Write a recording as the format that the suffix of `out` names; it appears when it is whole.

    .tif, .tiff (calibrated for ImageJ as long as that can hold it, else BigTIFF), .mrc (pixel size),
    .hspy, .hdf5, .h5 (as HyperSpy has them: axes, title) or .npy (NAME.json beside it has the calibration).

    Raises
    ------
    FileExistsError
        If there is such a file.
    ValueError
        If the suffix names none of these, or the format cannot hold such pixels.
    OSError
        If it cannot be written; nothing is left of it then.
    """
    out = Path(out).expanduser()
    if out.suffix.lower() not in WRITERS:
        raise ValueError(f"{out} has the suffix {out.suffix!r}; give one of {', '.join(WRITERS)}.")
    sidecar = out.with_suffix(".json") if out.suffix.lower() == ".npy" else out
    for there in (out, sidecar):
        if there.exists() or there.is_symlink():
            raise FileExistsError(f"{there} exists; choose another name.")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {out.parent}; make it first.")
    size, free = _bytes(recording), shutil.disk_usage(out.parent).free
    if size + HEADERS > free:  # before: HDF5 and mapped files end the process when the disk is full
        raise OSError(
            f"{out} was not written: it takes {size / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free there."
        )
    made = out.with_name(f".{out.stem}.part{out.suffix}")
    try:
        WRITERS[out.suffix.lower()](recording, made)
        if sidecar != out:
            sidecar.write_text(json.dumps(_told(recording)), encoding="utf-8")
        made.rename(out)
    except OSError as error:
        raise OSError(why_not(error, f"{out} was not written")) from error
    finally:
        with contextlib.suppress(OSError):  # there is none, or nothing can be changed there
            made.unlink()
    return out


def _bytes(recording: Recording) -> int:
    return recording.dtype.itemsize * math.prod(recording.shape)


def _frames(recording: Recording) -> Iterator[np.ndarray]:
    return (frame.data for frame in recording)


def _write_tiff(recording: Recording, path: Path) -> None:
    import tifffile  # noqa: PLC0415 - each of these takes its time

    y, x = recording.y, recording.x
    calibrated = bool(x.unit)
    options: dict[str, Any] = {
        "shape": recording.shape,
        "dtype": recording.dtype,
        "photometric": "minisblack",
    }
    interval = {"finterval": 1 / recording.fps, "fps": recording.fps} if recording.fps else {}
    if recording.dtype.name in IMAGEJ_TYPES and _bytes(recording) < 0.9 * IMAGEJ_BYTES:
        if calibrated:
            options["resolution"] = (1 / x.scale, 1 / y.scale)
        metadata = {"axes": "TYX", "unit": x.unit.replace("\u00b5", "u"), **interval}
        with tifffile.TiffWriter(path, imagej=True) as tiff:
            tiff.write(_frames(recording), metadata=metadata, **options)
        return
    if x.unit in CENTIMETRES:
        cm = CENTIMETRES[x.unit]
        options |= {"resolution": (1 / (x.scale * cm), 1 / (y.scale * cm)), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        tiff.write(_frames(recording), metadata={"axes": "TYX", **interval}, **options)


def _write_mrc(recording: Recording, path: Path) -> None:
    import mrcfile  # noqa: PLC0415

    try:
        mode = mrcfile.utils.mode_from_dtype(recording.dtype)
    except ValueError:
        raise ValueError(
            f"MRC cannot hold {recording.dtype}; it can int8, int16, uint16, float32; choose another."
        ) from None
    with mrcfile.new_mmap(path, recording.shape, mode) as mrc:
        for i, pixels in enumerate(_frames(recording)):
            mrc.data[i] = pixels
        mrc.set_image_stack()
        mrc.update_header_stats()
        if recording.x.unit in ANGSTROMS:
            factor = ANGSTROMS[recording.x.unit]
            mrc.voxel_size = (recording.x.scale * factor, recording.y.scale * factor, 1.0)


def _write_hspy(recording: Recording, path: Path) -> None:
    import h5py  # noqa: PLC0415

    interval = 1 / recording.fps if recording.fps else 1.0
    start = float(recording.times[0]) if recording.fps else 0.0
    axes = [
        ("t", interval, start, "s" if recording.fps else "", True),
        ("y", recording.y.scale, recording.y.origin, recording.y.unit, False),
        ("x", recording.x.scale, recording.x.origin, recording.x.unit, False),
    ]
    with h5py.File(path, "x") as file:
        file.attrs.update(file_format="HyperSpy", file_format_version="3.3")
        group = file.create_group(f"Experiments/{recording.name.replace('/', '_')}")
        data = group.create_dataset(
            "data", recording.shape, recording.dtype, chunks=(1, *recording.shape[1:])
        )
        for i, pixels in enumerate(_frames(recording)):
            data[i] = pixels
        for i, (name, scale, offset, unit, navigate) in enumerate(axes):
            axis = group.create_group(f"axis-{i}")
            axis.attrs.update(
                _type="UniformDataAxis", name=name, scale=scale, offset=offset, units=unit,
                size=recording.shape[i], navigate=navigate, is_binned=False,
            )  # fmt: skip
        group.create_group("learning_results")
        group.create_group("original_metadata")
        group.create_group("metadata/General").attrs["title"] = recording.name
        group.create_group("metadata/Signal").attrs["signal_type"] = ""


def _write_numpy(recording: Recording, path: Path) -> None:
    stack = np.lib.format.open_memmap(path, "w+", recording.dtype, recording.shape)
    for i, pixels in enumerate(_frames(recording)):
        stack[i] = pixels
    stack.flush()


def _told(recording: Recording) -> dict[str, Any]:
    told = {"name": recording.name, "scale": recording.x.scale, "unit": recording.x.unit}
    return {**told, "fps": recording.fps} if recording.fps else told


WRITERS: dict[str, Callable[[Recording, Path], None]] = {
    ".tif": _write_tiff,
    ".tiff": _write_tiff,
    ".mrc": _write_mrc,
    ".hspy": _write_hspy,
    ".hdf5": _write_hspy,
    ".h5": _write_hspy,
    ".npy": _write_numpy,
}
