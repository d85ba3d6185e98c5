"""The matrix of formats: what dmlink reads, compared with an independent reader of the same file.

    .venv/bin/python tests/checks/formats_matrix.py                  # prints it
    .venv/bin/python tests/checks/formats_matrix.py -o docs/formats.md

Each file is written by a library or byte by byte, and read twice.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import mrcfile
import numpy as np
import tifffile
import zarr
from PIL import Image

from dmlink import recordings
from dmlink.recordings.steps import SECONDS
from dmlink.recordings.units import METRES, spelled
from dmlink.simulator.dm.gatan_files import write_dm4, write_in_situ_raw, write_in_situ_tree

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
import detector_files

if TYPE_CHECKING:
    from collections.abc import Callable

STACK = np.arange(4 * 6 * 5, dtype=np.uint16).reshape(4, 6, 5)
UNEVEN = [0.0, 0.5, 2.0, 2.1]
READERS = {"bytes": "what was written", "rosettasciio": "RosettaSciIO", "rosettasciio_ser": "RosettaSciIO"}
READERS |= {"pillow": "Pillow", "numpy": "NumPy", "zarr": "Zarr"}
COLUMNS = ("frames", "dtype", "axes", "times")


class Seen(NamedTuple):
    """Frames (n, h, w), (origin, scale, unit) of y and x, times in s, as a reader finds them, or None."""

    frames: np.ndarray
    axes: tuple[Any, Any] | None = None
    times: Any = None


def by_dmlink(path: Path) -> Seen:
    with recordings.open(path) as recording:
        times = recording.times if recording.timed else None
        return Seen(np.asarray(recording), (tuple(recording.y), tuple(recording.x)), times)


def by_tifffile(path: Path) -> Seen:
    with tifffile.TiffFile(path) as tiff:
        frames = tiff.series[0].asarray().reshape(-1, *STACK.shape[1:])
        told = tiff.imagej_metadata
        if told and told.get("unit"):
            tags = tiff.pages[0].tags
            sizes = [b / a for a, b in (tags["YResolution"].value, tags["XResolution"].value)]
            axes = tuple((0.0, size, spelled(told["unit"])) for size in sizes)
            interval = told.get("finterval")
            return Seen(frames, axes, np.arange(len(frames)) * interval if interval else None)
        if tiff.ome_metadata:
            pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
            axes = tuple(
                (0.0, float(pixels[f"PhysicalSize{n}"]), pixels[f"PhysicalSize{n}Unit"]) for n in "YX"
            )
            return Seen(frames, axes, np.arange(len(frames)) * float(pixels["TimeIncrement"]))
        return Seen(frames)


def by_mrcfile(path: Path) -> Seen:
    with mrcfile.open(path) as mrc:
        axes = tuple((0.0, float(size) / 10, "nm") for size in (mrc.voxel_size.y, mrc.voxel_size.x))
        return Seen(np.array(mrc.data), axes)


def by_h5py(place: str, *coordinates: str) -> Callable[[Path], Seen]:
    """Return a reader of a dataset and of the datasets of its times and axes."""

    def read(path: Path) -> Seen:
        with h5py.File(path) as file:
            values = [file[name][:] for name in coordinates]
            units = [spelled(file[name].attrs["units"]) for name in coordinates]
            axes = tuple((v[0], v[1] - v[0], u) for v, u in zip(values[1:], units[1:], strict=True))
            return Seen(file[place][:], axes or None, values[0] if values else None)

    return read


def by_pillow(path: Path) -> Seen:
    return Seen(np.stack([np.asarray(Image.open(file)) for file in sorted(path.iterdir())]))


def by_numpy(path: Path) -> Seen:
    return Seen(np.load(path))


def by_zarr(path: Path) -> Seen:
    group = zarr.open_group(path, mode="r")
    image = group.attrs["ome"]["multiscales"][0]
    scale = image["datasets"][0]["coordinateTransformations"][0]["scale"]
    axes = tuple((0.0, s, spelled(a["unit"])) for s, a in zip(scale[1:], image["axes"][1:], strict=True))
    frames = group["0"][:]
    return Seen(frames, axes, np.arange(len(frames)) * scale[0])


def by_bytes(path: Path) -> Seen:
    """Return what was written, because no other reader supports the format."""
    del path
    return Seen(STACK)


def by_rosettasciio(path: Path) -> Seen:
    """Return what RosettaSciIO finds, with its plug-in for this suffix."""
    import rsciio

    suffix = path.suffix.lower().removeprefix(".")
    plugin = next(p for p in rsciio.IO_PLUGINS if suffix in (e.lower() for e in p["file_extensions"]))
    module = __import__(plugin["api"], fromlist=["file_reader"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signal = module.file_reader(str(path))[0]
    data, axes = signal["data"], sorted(signal["axes"], key=lambda a: a.get("index_in_array", 0))
    found = [
        (
            float(a.get("offset", 0)),
            float(a.get("scale", 1)),
            spelled(a["units"]) if isinstance(a.get("units"), str) else "",
        )
        for a in axes
    ]
    frames = data.reshape(-1, *data.shape[-2:]) if data.ndim > 1 else data[None, None]
    times = None
    if data.ndim == 3 and found[0][2] in SECONDS:
        told = axes[0].get("axis")
        steps = np.asarray(told) if told is not None else found[0][0] + found[0][1] * np.arange(len(data))
        times = steps * SECONDS[found[0][2]]
    return Seen(frames, (((0.0, 1.0, ""), *found))[-2:], times)


def by_rosettasciio_ser(path: Path) -> Seen:
    """Return what RosettaSciIO finds in a .ser; it gives the scale in nm and leaves the origin in m."""
    seen = by_rosettasciio(path)
    return seen._replace(axes=tuple((origin * 1e9, scale, unit) for origin, scale, unit in seen.axes or ()))


def files(folder: Path) -> list[tuple[str, Path, Callable[[Path], Seen]]]:
    """Write a file in each format; return its name, its path, and the other reader."""
    made: list[tuple[str, Path, Callable[[Path], Seen]]] = []

    def add(name: str, file: str, other: Callable[[Path], Seen]) -> Path:
        made.append((name, folder / file, other))
        return folder / file

    grey = {"photometric": "minisblack"}
    tifffile.imwrite(add("TIFF", "plain.tif", by_tifffile), STACK, **grey)
    tifffile.imwrite(add("TIFF, deflate", "packed.tif", by_tifffile), STACK, compression="zlib", **grey)
    tifffile.imwrite(
        add("BigTIFF, big-endian", "big.tif", by_tifffile), STACK, bigtiff=True, byteorder=">", **grey
    )
    told = {"axes": "TYX", "unit": "nm", "finterval": 0.2}
    tifffile.imwrite(
        add("TIFF, ImageJ", "ij.tif", by_tifffile), STACK, imagej=True, resolution=(4, 2), metadata=told
    )
    told = {"axes": "TYX", "TimeIncrement": 0.2}
    told |= {
        f"PhysicalSize{n}{u}": v for n, s in (("X", 0.25), ("Y", 0.5)) for u, v in (("", s), ("Unit", "nm"))
    }
    tifffile.imwrite(add("OME-TIFF", "x.ome.tif", by_tifffile), STACK, ome=True, metadata=told)
    for dtype in ("i1", "u4", "f2", "f8"):
        tifffile.imwrite(
            add(f"TIFF, {np.dtype(dtype)}", f"{dtype}.tif", by_tifffile), STACK.astype(dtype), **grey
        )
    for dtype in ("i1", "i2", "u2", "f4", "f2", "c8"):
        with mrcfile.new(add(f"MRC, {np.dtype(dtype)}", f"{dtype}.mrc", by_mrcfile)) as mrc:
            mrc.set_data(STACK.astype(dtype))
            mrc.set_image_stack()
            mrc.voxel_size = (2.5, 5.0, 1.0)
    axes = [(0, 0.5, "s"), (2, 0.5, "nm"), (0, 0.25, "nm")]
    write_dm4(add("DM4", "x.dm4", by_rosettasciio), STACK, axes=axes)
    write_in_situ_raw(folder / "insitu.dm4", STACK, exposure=0.1)
    add("Gatan in-situ, .raw", "insitu.raw", by_bytes)
    (folder / "tree").mkdir()
    write_in_situ_tree(folder / "tree", STACK, exposure=0.5)
    add("Gatan in-situ, folders", "tree", by_bytes)
    add("SER", "x_1.ser", by_rosettasciio_ser).write_bytes(detector_files.ser(STACK))
    add("MIB", "x.mib", by_bytes).write_bytes(detector_files.mib(STACK))
    np.save(add("NumPy", "x.npy", by_numpy), STACK)
    for kind in ("tif", "png"):
        path = add(f"Folder of .{kind}", f"of_{kind}", by_pillow)
        path.mkdir()
        for i, pixels in enumerate(STACK):
            Image.fromarray(pixels).save(path / f"{i:03}.{kind}")
    _hdf5(folder, add)
    group = zarr.open_group(add("OME-Zarr 0.5", "x.ome.zarr", by_zarr), mode="w")
    group.create_array("0", data=STACK, chunks=(1, 6, 5))
    axes_of = [{"name": "t", "type": "time", "unit": "second"}]
    axes_of += [{"name": n, "type": "space", "unit": "nanometer"} for n in "yx"]
    scale = [{"type": "scale", "scale": [0.2, 0.5, 0.25]}]
    image = {"axes": axes_of, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    return made


def _hdf5(folder: Path, add: Callable[..., Path]) -> None:
    coordinates = [
        ("t", np.asarray(UNEVEN), "s"),
        ("y", np.arange(6) * 0.5 + 1, "nm"),
        ("x", np.arange(5) * 0.25, "nm"),
    ]
    with h5py.File(
        add("NeXus", "x.nxs", by_h5py("entry/data/img", *(f"entry/data/{n}" for n in "tyx"))), "w"
    ) as file:
        file.attrs["default"] = "entry"
        data = file.create_group("entry/data")
        file["entry"].attrs.update(NX_class="NXentry", default="data")
        data.attrs.update(NX_class="NXdata", signal="img", axes=list("tyx"))
        data["img"] = STACK
        for name, values, unit in coordinates:
            data[name] = values
            data[name].attrs["units"] = unit
    for version, first, kind in (("0.2", 1, 1), ("1.0", 0, "array")):
        names = [f"g/dim{i + first}" for i in range(3)]
        with h5py.File(add(f"EMD {version}", f"emd{first}.emd", by_h5py("g/data", *names)), "w") as file:
            group = file.create_group("g")
            group.attrs["emd_group_type"] = kind
            group["data"] = STACK
            for name, (_, values, unit) in zip(names, coordinates, strict=True):
                file[name] = values
                file[name].attrs.update(name=name, units=unit)
    with h5py.File(add("HDF5, chunks", "x.h5", by_h5py("frames")), "w") as file:
        file.create_dataset("frames", data=STACK, chunks=(1, 6, 5), compression="gzip")
    with h5py.File(add(".hspy", "x.hspy", by_rosettasciio), "w") as file:
        file.attrs.update(file_format="HyperSpy", file_format_version="3.3")
        group = file.create_group("Experiments/s")
        group["data"] = STACK
        for i, (name, values, unit) in enumerate(coordinates):
            axis = group.create_group(f"axis-{i}")
            axis.attrs.update(name=name, units=unit, navigate=i == 0, size=len(values))
            if i:
                axis.attrs.update(_type="UniformDataAxis", offset=values[0], scale=values[1] - values[0])
            else:
                axis.attrs["_type"] = "DataAxis"
                axis["axis"] = values
        group.create_group("metadata/General").attrs["title"] = "s"
        group.create_group("metadata/Signal").attrs["signal_type"] = ""
        group.create_group("original_metadata")
        group.create_group("learning_results")


def compared(ours: Seen, other: Seen) -> list[str]:
    """Return the entries for frames, dtype, axes, times: equal, or a dash if the other reader has none."""
    frames = ours.frames.shape == other.frames.shape and np.array_equal(
        ours.frames, other.frames, equal_nan=ours.frames.dtype.kind in "fc"
    )
    dtype = ours.frames.dtype.newbyteorder("=") == other.frames.dtype.newbyteorder("=")
    words = [_word(frames), _word(dtype)]
    if other.axes is None:
        words.append("-")
    else:
        words.append(_word(all(_alike(a, b) for a, b in zip(ours.axes or (), other.axes, strict=True))))
    if other.times is None:
        words.append("-")
    else:
        words.append(_word(ours.times is not None and np.allclose(ours.times, other.times)))
    return words


def _alike(one: Any, other: Any) -> bool:
    """Return whether two axes are the same, in any unit of length."""
    factors = [METRES.get(spelled(axis[2]), 1.0) for axis in (one, other)]
    numbers = [np.array(axis[:2]) * factor for axis, factor in zip((one, other), factors, strict=True)]
    same_kind = (spelled(one[2]) in METRES) == (spelled(other[2]) in METRES)
    return same_kind and bool(np.allclose(*numbers, rtol=1e-5, atol=1e-5 * abs(numbers[1][1])))


def _word(equal: bool) -> str:
    return "equal" if equal else "DIFFERS"


def rows() -> list[list[str]]:
    """Return a row for each format."""
    table = []
    with tempfile.TemporaryDirectory() as folder:
        for name, path, other in files(Path(folder)):
            reader = other.__name__.removeprefix("by_") if other.__name__ != "read" else "h5py"
            table.append([name, READERS.get(reader, reader), *compared(by_dmlink(path), other(path))])
    return table


def main() -> int:
    """Print the matrix, or write it to a page; return 1 if something differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="the page to write")
    options = parser.parse_args()
    table = rows()
    lines = ["| format | compared with | " + " | ".join(COLUMNS) + " |", "|---" * (2 + len(COLUMNS)) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in table]
    text = "\n".join(lines)
    if options.output:
        head, mark, _ = options.output.read_text("utf-8").partition("<!-- matrix -->\n")
        options.output.write_text(f"{head}{mark}\n{text}\n", "utf-8")
    print(text)
    return int(any("DIFFERS" in row for row in table))


if __name__ == "__main__":
    sys.exit(main())
