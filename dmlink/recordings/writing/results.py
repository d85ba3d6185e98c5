"""Results: a cell's results for each frame, as tables and images in a folder.

Each frame has a line of JSON with numbers, tables, points, boxes and texts; profiles and images are OME-Zarr.
"""

# ruff: noqa: PLC0415 - zarr takes 0.3 s, and every worker imports this module

from __future__ import annotations

import csv
import itertools
import warnings
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.frame import Axis
from dmlink.indm.renaming import give_name
from dmlink.indm.results import free_name
from dmlink.recordings.writing.file_names import FileNames, file_name
from dmlink.recordings.writing.ome_zarr_writer import ROOM, ImageWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

JournalLine = dict[str, Any]

HEADS = "frame", "time"  # the first columns of each table
TABLE = ".csv", ".parquet"
AXES = ".axes.csv"
BLOCK_BYTES = 64 << 20  # of a table, read at once; a row must fit into it


class ResultWriter:
    """Writes the arrays of results, and returns everything else as lines for the journal.

    Each shape and data type of a result becomes a separate image, because a cell's results may change shape.
    """

    def __init__(self, folder: Path, length: int = ROOM, times: Sequence[float] | np.ndarray = ()) -> None:
        self._folder = folder
        self._times = times
        self._length = length
        self._images: dict[str, ImageWriter] = {}

    def line(
        self, at: int, frame: int, time: float, result: Any, log: dict[str, float] | None = None
    ) -> JournalLine:
        """Write the arrays of a frame's result at index `at`; return the line for the journal.

        `log` has the numbers of other instruments, which become columns of each table.
        """
        parts = _free(_parts(result, result.name or "result"))
        written = {name: self._part(at, name, part) for name, part in parts.items()}
        more = {"log": dict(log)} if log else {}
        return {"frame": frame, "time": time, "at": at, "results": written, **more}

    def close(self, n: int, times: Sequence[float] | np.ndarray) -> None:
        """Cut the images to `n` frames and write their times."""
        for image in self._images.values():
            image.close(n, times)

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
                    times=self._times,
                )
            self._images[key].write(at, values)
            return {"kind": part.kind, "array": array, "y": list(y), "x": list(part.x)}
        return {"kind": part.kind, "columns": _free(_columns(part).items(), *HEADS)}


def _parts(result: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the single results within a result, with their names."""
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
    """Return the named values as a dict; a name that is taken gets a `'`, as in `Several`."""
    free: dict[str, Any] = {}
    for name, value in named:
        free[free_name(name, lambda name: name in free or name in taken)] = value
    return free


def _columns(part: Any) -> dict[str, list[Any]]:
    """Return a result without pixels as columns."""
    if part.kind == "scalar":
        return {key: [value] for key, value in part.series.items()}
    if part.kind == "text":
        return {"text": [part.text]}
    if part.kind == "event":
        return {"event": [part.text] if part.happened else []}
    columns = {key: column.tolist() for key, column in part.columns.items()}
    if part.kind != "table" and "label" in columns:
        columns["label"] = columns.pop("label")  # the last column in files
    return columns


def _while_written(name: str, array: str) -> str:
    """Return an array's folder name until `finish`, when all names are known."""
    plain = file_name(name)
    alone = plain if plain == name.casefold() else f"{plain} {zlib.crc32(name.encode()):08x}"
    return f"{alone} {array}.ome.zarr"


def finish(folder: Path, lines: Callable[[], Iterable[JournalLine]], taken: Iterable[str] = ()) -> None:
    """Make tables from the lines, and give the images their final names; a second call changes nothing.

    `lines()` yields them in frame order each time it is called; `taken` are names of other files. If the axes
    of an image or profile change from frame to frame, NAME.axes.csv has those of each frame.
    """
    tables: dict[str, dict[str, type]] = {}
    arrays: dict[str, dict[str, str]] = {}  # by name: the kind of each array
    axes: dict[tuple[str, str], Any] = {}  # of each array: those of its first frame
    moving = set()  # names of arrays whose axes change
    logs: dict[str, None] = {}  # names, in order of appearance
    for line in lines():
        logs |= dict.fromkeys(line.get("log", ()))
        for name, part in line["results"].items():
            if "array" in part:
                arrays.setdefault(name, {}).setdefault(part["array"], part["kind"])
                here = part.get("y"), part.get("x")  # jobs begun by 0.1.0 have none
                if "x" in part and axes.setdefault((name, part["array"]), here) != here:
                    moving.add(name)
                continue
            types = tables.setdefault(name, dict(zip(HEADS, (int, float), strict=True)))
            for column, values in part["columns"].items():
                types[column] = _type([types.get(column), *(type(v) for v in values)])
    names = FileNames(taken)
    for name, types in tables.items():
        _write_table(folder / f"{names.take(name, TABLE)}.csv", name, types, list(logs), lines())
    for name, kinds in arrays.items():
        ends = ["", *(f" {array}" for array in list(kinds)[1:])]  # the first array has the plain name
        profile = next(iter(kinds.values())) == "profile"
        files = [*(f"{end}.ome.zarr" for end in ends), *(TABLE if profile else ()), AXES]
        stem = names.take(name, files)
        for array, end in zip(kinds, ends, strict=True):
            made, wanted = folder / _while_written(name, array), folder / f"{stem}{end}.ome.zarr"
            if made.exists() and not wanted.exists():
                give_name(made, wanted)
        if profile:
            _write_profiles(folder / f"{stem}.ome.zarr", name, lines(), moving=name in moving)
        if name in moving:
            _write_axes(folder / f"{stem}{AXES}", name, lines())


def _type(types: list[Any]) -> type:
    found = {t for t in types if t not in (None, type(None))}  # recordings by 0.1.0 have None for NaN
    if found <= {int, float}:
        return float if float in found else int
    return found.pop() if len(found) == 1 else str


def _write_table(
    path: Path, name: str, types: dict[str, type], logs: Sequence[str], lines: Iterable[JournalLine]
) -> None:
    """Write a table with frame, time, other instruments' numbers and the result's columns."""
    results = {column: kind for column, kind in types.items() if column not in HEADS}
    columns_of_logs = [free_name(log, {*HEADS, *results}.__contains__) for log in logs]
    types = {**{head: types[head] for head in HEADS}, **dict.fromkeys(columns_of_logs, float), **results}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(types)
        for line in lines:
            columns = line["results"].get(name, {}).get("columns")
            if columns is None:
                continue
            ordered = [columns.get(column, []) for column in results]
            logged = [line.get("log", {}).get(log, "") for log in logs]
            for row in itertools.zip_longest(*ordered, fillvalue=""):
                writer.writerow([line["frame"], line["time"], *logged, *row])
    _write_parquet(path, types)


def _write_parquet(path: Path, types: dict[str, type]) -> None:
    """Write the table as Parquet too, if pyarrow is installed."""
    try:
        import pyarrow as pa
        from pyarrow import csv as pacsv
        from pyarrow import parquet
    except ImportError:
        return
    kinds = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string()}
    lines = pacsv.ParseOptions(newlines_in_values=True)
    options = pacsv.ConvertOptions(column_types={c: kinds.get(t, pa.string()) for c, t in types.items()})
    blocks = pacsv.ReadOptions(block_size=BLOCK_BYTES)
    made = path.with_suffix(".parquet")
    try:
        with (
            pacsv.open_csv(path, blocks, lines, options) as reader,
            parquet.ParquetWriter(made, reader.schema) as writer,
        ):
            for batch in reader:
                writer.write_batch(batch)
    except pa.ArrowInvalid as error:  # such as an integer of more than 64 bits, which CSV can store
        made.unlink(missing_ok=True)
        warnings.warn(f"{made.name} was not written ({error}); {path.name} has all results.", stacklevel=2)


def _write_axes(path: Path, name: str, lines: Iterable[JournalLine]) -> None:
    """Write the axes of each frame: an image has only those of its first frame."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*HEADS, *(f"{axis} {of}" for axis in "yx" for of in Axis._fields)])
        for line in lines:
            part = line["results"].get(name, {})
            if "x" in part:
                writer.writerow([line["frame"], line["time"], *part["y"], *part["x"]])


def _write_profiles(image: Path, name: str, lines: Iterable[JournalLine], *, moving: bool) -> None:
    """Write profiles as a table: a row for each frame, a column for each value of the axis.

    If the axis is `moving` from frame to frame, the columns are numbered; see `_write_axes`.
    """
    import zarr

    array = zarr.open_array(image / "0", mode="r")
    x = Axis(*_about(image)["x"])
    kept = "x".join(str(n) for n in array.shape[1:]) + f" {array.dtype}"
    table = image.with_name(image.name.replace(".ome.zarr", ".csv"))
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        unit = f" {x.unit}" if x.unit else ""
        places = (f"{value:.9g}{unit}" for value in x.values(array.shape[2]))
        writer.writerow([*HEADS, *(range(array.shape[2]) if moving else places)])
        for line in lines:
            if line["results"].get(name, {}).get("array") == kept:
                values: Any = array[line["at"], 0]
                writer.writerow([line["frame"], line["time"], *values.tolist()])


def _about(image: Path) -> dict[str, Any]:
    import zarr

    about: Any = zarr.open_group(image, mode="r").attrs["dmlink"]
    return dict(about)
