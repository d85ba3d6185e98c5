"""Results: what a cell gave for each frame, as tables and images in a folder.

A line of JSON for each frame has numbers, tables, places and texts; profiles and images are OME-Zarr images.
"""

# ruff: noqa: PLC0415 - zarr takes 0.3 s, and every worker imports this module

from __future__ import annotations

import csv
import itertools
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.frame import Axis
from dmlink.recordings.file_names import FileNames, file_name
from dmlink.recordings.writing import ROOM, ImageWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

Line = dict[str, Any]

HEADS = "frame", "time"  # the first columns of each table
TABLE = ".csv", ".parquet"


class ResultWriter:
    """Writes the arrays of results, and tells what else is to be kept of them.

    Arrays of each shape and type are an image of their own: what a cell gives may change its shape.
    """

    def __init__(self, folder: Path, length: int = ROOM, interval: float = 1.0) -> None:
        self._folder = folder
        self._interval = interval
        self._length = length
        self._images: dict[str, ImageWriter] = {}

    def line(self, at: int, frame: int, time: float, result: Any) -> Line:
        """Write the arrays of a frame's result as number `at`; return the line that tells of it."""
        parts = _free(_parts(result, result.name or "result"))
        told = {name: self._part(at, name, part) for name, part in parts.items()}
        return {"frame": frame, "time": time, "at": at, "results": told}

    def close(self, n: int, interval: float) -> None:
        """Cut the images to `n` frames."""
        for image in self._images.values():
            image.close(n, interval)

    def _part(self, at: int, name: str, part: Any) -> dict[str, Any]:
        if part.kind in {"image", "profile"}:
            values = part.values if part.kind == "image" else part.values[np.newaxis]
            y = part.y if part.kind == "image" else Axis()
            array = f"{'x'.join(str(n) for n in values.shape)} {values.dtype}"
            key = _while_written(name, array)
            if key not in self._images:
                self._images[key] = ImageWriter(
                    self._folder / key,
                    values.shape,
                    values.dtype,
                    y=y,
                    x=part.x,
                    name=name,
                    about={"kind": part.kind, "value_unit": getattr(part, "value_unit", "")},
                    length=self._length,
                    interval=self._interval,
                )
            self._images[key].write(at, values)
            return {"kind": part.kind, "array": array}
        return {"kind": part.kind, "columns": _free(_columns(part).items(), *HEADS)}


def _parts(result: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the single results in one, with their names."""
    if result.kind == "several":
        for key, value in result.results.items():
            yield from _parts(value, str(key))
    elif result.kind == "overlay":
        yield name, result.image
        for mark in result.marks:
            yield mark.name or f"{name} {mark.kind}", mark
    else:
        yield name, result


def _free(named: Iterable[tuple[str, Any]], *taken: str) -> dict[str, Any]:
    """Return all that is named as a dict; a name that is taken gets a `'`, as among several results."""
    free: dict[str, Any] = {}
    for name, value in named:
        own = name
        while own in free or own in taken:
            own += "'"
        free[own] = value
    return free


def _columns(part: Any) -> dict[str, list[Any]]:
    """Return a result without pixels as columns."""
    if part.kind == "scalar":
        return {key: [value] for key, value in part.series.items()}
    if part.kind == "table":
        return {key: column.tolist() for key, column in part.columns.items()}
    if part.kind == "text":
        return {"text": [part.text]}
    names = ("y", "x") if part.kind == "points" else ("top", "left", "bottom", "right")
    places = part.yx if part.kind == "points" else part.tlbr
    columns = dict(zip(names, places.T.tolist(), strict=True))
    labels = list(getattr(part, "labels", None) or ())
    return {**columns, "label": labels} if labels else columns


def _while_written(name: str, array: str) -> str:
    """Return where an array is until `finish`: before, it is not known what else there will be."""
    plain = file_name(name)
    alone = plain if plain == name.casefold() else f"{plain} {zlib.crc32(name.encode()):08x}"
    return f"{alone} {array}.ome.zarr"


def finish(folder: Path, lines: Callable[[], Iterable[Line]], taken: Iterable[str] = ()) -> None:
    """Make tables of the lines, and give the images their names; done twice it changes nothing.

    `lines()` yields them in the order of the frames, each time it is called. `taken`: names of other files.
    """
    tables: dict[str, dict[str, type]] = {}
    arrays: dict[str, dict[str, str]] = {}  # by name: the kind of each array
    for line in lines():
        for name, part in line["results"].items():
            if "array" in part:
                arrays.setdefault(name, {}).setdefault(part["array"], part["kind"])
                continue
            types = tables.setdefault(name, dict(zip(HEADS, (int, float), strict=True)))
            for column, values in part["columns"].items():
                types[column] = _type([types.get(column), *(type(v) for v in values)])
    names = FileNames(taken)
    for name, types in tables.items():
        _write_table(folder / f"{names.take(name, TABLE)}.csv", name, types, lines())
    for name, kinds in arrays.items():
        ends = ["", *(f" {array}" for array in list(kinds)[1:])]  # the first has the name alone
        profile = next(iter(kinds.values())) == "profile"
        stem = names.take(name, [*(f"{end}.ome.zarr" for end in ends), *(TABLE if profile else ())])
        for array, end in zip(kinds, ends, strict=True):
            made, wanted = folder / _while_written(name, array), folder / f"{stem}{end}.ome.zarr"
            if made.exists() and not wanted.exists():
                made.rename(wanted)
        if profile:
            _write_profiles(folder / f"{stem}.ome.zarr", name, lines())


def _type(types: list[Any]) -> type:
    found = {t for t in types if t is not None}
    if found <= {int, float}:
        return float if float in found else int
    return found.pop() if len(found) == 1 else str


def _write_table(path: Path, name: str, types: dict[str, type], lines: Iterable[Line]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(types)
        for line in lines:
            columns = line["results"].get(name, {}).get("columns")
            if columns is None:
                continue
            ordered = [columns.get(column, []) for column in list(types)[2:]]
            for row in itertools.zip_longest(*ordered, fillvalue=""):
                writer.writerow([line["frame"], line["time"], *row])
    _write_parquet(path, types)


def _write_parquet(path: Path, types: dict[str, type]) -> None:
    """Write the table as Parquet too, where pyarrow is installed."""
    try:
        import pyarrow as pa
        from pyarrow import csv as pacsv
        from pyarrow import parquet
    except ImportError:
        return
    kinds = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string()}
    options = pacsv.ConvertOptions(column_types={c: kinds.get(t, pa.string()) for c, t in types.items()})
    with (
        pacsv.open_csv(path, convert_options=options) as reader,
        parquet.ParquetWriter(path.with_suffix(".parquet"), reader.schema) as writer,
    ):
        for batch in reader:
            writer.write_batch(batch)


def _write_profiles(image: Path, name: str, lines: Iterable[Line]) -> None:
    """Write profiles as a table: a row for each frame, a column for each place on the axis."""
    import zarr

    array = zarr.open_array(image / "0", mode="r")
    x = Axis(*_about(image)["x"])
    kept = "x".join(str(n) for n in array.shape[1:]) + f" {array.dtype}"
    table = image.with_name(image.name.replace(".ome.zarr", ".csv"))
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        unit = f" {x.unit}" if x.unit else ""
        writer.writerow([*HEADS, *(f"{value:.9g}{unit}" for value in x.values(array.shape[2]))])
        for line in lines:
            if line["results"].get(name, {}).get("array") == kept:
                values: Any = array[line["at"], 0]
                writer.writerow([line["frame"], line["time"], *values.tolist()])


def _about(image: Path) -> dict[str, Any]:
    import zarr

    about: Any = zarr.open_group(image, mode="r").attrs["dmlink"]
    return dict(about)
