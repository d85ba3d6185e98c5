"""OME-Zarr writer: an image (version 0.5, Zarr 3) that grows frame by frame and is always readable."""

# ruff: noqa: PLC0415 - zarr takes 0.3 s, and every worker imports this module

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.recordings.steps import even_steps
from dmlink.recordings.writing.file_names import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dmlink.frame import Axis

    Times = Sequence[float] | np.ndarray

ROOM = 256  # frames by which the array grows, because each new size is written to disk
LENGTHS = {
    "pm": "picometer", "\u00c5": "angstrom", "A": "angstrom", "nm": "nanometer", "um": "micrometer",
    "\u00b5m": "micrometer", "mm": "millimeter", "m": "meter",
}  # fmt: skip
JOURNAL = "frames/frames.jsonl"  # a line of metadata for each frame
COMPRESSION: Any = {"cname": "lz4", "clevel": 5}
FULL = {errno.ENOSPC, errno.EDQUOT}
LONGEST_PATH = (
    259 if sys.platform == "win32" else 4095
)  # characters; for longer ones, Windows reports a missing file


class ImageWriter:
    """A stack of frames (n, h, w), or (n, h, w, 3) for colour; one chunk per frame, compressed with Blosc.

    A frame is written to another file and then renamed, so it is either complete or missing. Several
    processes can write different frames if the array is made long enough for all of them. Zarr describes the
    array, but the chunks are written here: through Zarr, a frame of 1024² takes 2.5 times as long.

    Parameters
    ----------
    folder : Path
        The image; created if it does not exist.
    shape : tuple of int
        Shape of a frame: (h, w) or (h, w, 3).
    dtype : numpy.dtype
    y, x : Axis
        Calibration.
    name : str
    about : dict
        Other metadata as JSON values; stored as the attribute "dmlink".
    length : int
        Frames to make room for; the array grows if needed.
    times : sequence of float
        When the frames were taken, in seconds, if known already.
    """

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, ...],
        dtype: Any,
        *,
        y: Axis,
        x: Axis,
        name: str,
        about: dict[str, Any] | None = None,
        length: int = ROOM,
        times: Times = (),
    ) -> None:
        import zarr
        from numcodecs import Blosc, blosc
        from zarr.codecs import BloscCodec
        from zarr.errors import ContainsArrayError

        blosc.use_threads = False  # leave the other cores to the live cells
        self.folder = folder
        self._y, self._x, self._name = y, x, name
        self._about = {"y": list(y), "x": list(x), **(about or {})}
        self._colour = len(shape) == 3
        self._codec = Blosc(**COMPRESSION, shuffle=Blosc.BITSHUFFLE)
        kept = (3, *shape[:2]) if self._colour else shape
        try:
            self._array = self._open()
        except FileNotFoundError:
            self.describe(times)
            with contextlib.suppress(ContainsArrayError):  # another process was faster
                zarr.create_array(
                    folder / "0",
                    shape=(length, *kept),
                    chunks=(1, *kept),
                    dtype=np.dtype(dtype),
                    compressors=BloscCodec(**COMPRESSION, shuffle="bitshuffle"),
                    fill_value=0,
                    dimension_names=["t", *(["c"] if self._colour else []), "y", "x"],
                )
            self._array = self._open()

    def _open(self) -> Any:
        import zarr

        return zarr.open_array(self.folder / "0", mode="r+", zarr_format=3)

    def describe(self, times: Times = (), *, interval: float | None = None) -> None:
        """Write the axes.

        OME-Zarr can store only even steps, so uneven `times` go into dmlink's attribute "times". If each
        frame's time is stored elsewhere, give their mean `interval` (s).
        """
        import zarr
        from zarr.errors import ContainsGroupError

        channel = [{"name": "c", "type": "channel"}] if self._colour else []
        one: list[float] = [1.0] if self._colour else []
        time_axis, start, step, uneven = _time_axis(times, interval)
        about = {**self._about, **uneven}
        axes = [time_axis, *channel]
        for axis, letter in ((self._y, "y"), (self._x, "x")):
            unit = {"unit": LENGTHS[axis.unit]} if axis.unit in LENGTHS else {}
            axes.append({"name": letter, "type": "space", **unit})
        scale = [step, *one, self._y.scale, self._x.scale]
        translation = [start, *(0.0 for _ in one), self._y.origin, self._x.origin]
        transformations = [
            {"type": "scale", "scale": scale},
            {"type": "translation", "translation": translation},
        ]
        datasets = [{"path": "0", "coordinateTransformations": transformations}]
        multiscales = [{"name": self._name, "axes": axes, "datasets": datasets}]
        attributes = {"ome": {"version": "0.5", "multiscales": multiscales}, "dmlink": about}
        try:
            zarr.create_group(self.folder, zarr_format=3, attributes=attributes)
        except ContainsGroupError:  # made by us earlier, or by another process just now
            zarr.open_group(self.folder, mode="r+").update_attributes(attributes)

    def write(self, i: int, pixels: np.ndarray) -> int:
        """Write frame `i`; return its size on disk in bytes."""
        if i >= self._array.shape[0]:
            self._array.resize((i + ROOM, *self._array.shape[1:]))
        stored = np.moveaxis(pixels, -1, 0) if self._colour else pixels
        if stored.shape != self._array.shape[1:]:
            raise ValueError(
                f"A frame of {stored.shape} does not fit among those of {self._array.shape[1:]}."
            )
        dtype = self._array.dtype.newbyteorder("<")  # as Zarr's codec for bytes is set
        data = self._codec.encode(np.ascontiguousarray(stored, dtype))
        chunk = self.folder.joinpath("0", "c", str(i), *"0" * stored.ndim)
        chunk.parent.mkdir(parents=True, exist_ok=True)
        write_whole(chunk, data)
        return len(data)

    def close(self, n: int, times: Times = (), *, interval: float | None = None) -> None:
        """Cut the array to `n` frames and write their times, as in `describe`."""
        _cut(self.folder, n)
        self.describe(times, interval=interval)


def _time_axis(times: Times, interval: float | None) -> tuple[dict[str, str], float, float, dict[str, Any]]:
    """Return the time axis, its start and step, and the attribute for uneven times."""
    start, step = even_steps(times) or (0.0, interval)
    beside = {"times": [float(time) for time in times]} if len(times) > 0 and step is None else {}
    return {"name": "t", "type": "time"} | ({"unit": "second"} if step else {}), start, step or 1.0, beside


def end_image(folder: Path, n: int, times: Times = ()) -> None:
    """Cut an image with spare room to `n` frames, and write their times."""
    import zarr

    _cut(folder, n)
    group = zarr.open_group(folder, mode="r+")
    attributes: Any = group.attrs.asdict()
    axis, start, step, beside = _time_axis(times, None)
    image = attributes["ome"]["multiscales"][0]
    image["axes"][0] = axis
    scale, translation = image["datasets"][0]["coordinateTransformations"]
    scale["scale"][0], translation["translation"][0] = step, start
    ours = {key: value for key, value in attributes["dmlink"].items() if key != "times"}
    attributes["dmlink"] = ours | beside
    group.update_attributes(attributes)


def _cut(folder: Path, n: int) -> None:
    """Cut an image to `n` frames; Zarr would look for a file for every unused frame, which takes 0.1 s."""
    described = folder / "0" / "zarr.json"
    array = json.loads(described.read_text("utf-8"))
    array["shape"][0] = n
    write_whole(described, json.dumps(array).encode())


def _finite(value: Any) -> Any:
    """Return a value for JSON, with None for numbers that are not finite."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Journal:
    """A file of JSON lines; once `write` returns, its line survives even if this process is killed.

    Numbers that are not finite are written as null, which every program can read, unless `plain` is unset.
    """

    def __init__(self, path: Path, *, plain: bool = True) -> None:
        self._plain = plain
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)

    def write(self, line: dict[str, Any]) -> int:
        """Append a line and return its size in bytes; if it does not fit on the disk, no part of it stays."""
        kept = _finite(line) if self._plain else line
        data = (json.dumps(kept, ensure_ascii=False, allow_nan=not self._plain) + "\n").encode()
        end = self._file.tell()
        whole = False
        try:
            whole = self._file.write(data) == len(data)
        finally:
            if not whole:
                self._file.truncate(end)
        if not whole:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.name)
        return len(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def journal_lines(path: Path) -> list[dict[str, Any]]:
    """Return the complete lines of a journal, whose last one may have been cut off by a kill.

    Raises
    ------
    ValueError
        If one of them is damaged.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = data.rstrip(b"\0").split(b"\n")[:-1]  # after a power failure, the newest lines can be zeros
    try:
        return [json.loads(line) for line in whole]
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); copy it again.") from error


def make_folder(path: Path, *, overwrite: bool = False) -> None:
    """Create a folder to write into.

    Raises
    ------
    FileExistsError
        If it exists, unless dmlink wrote it and `overwrite` is set.
    FileNotFoundError, PermissionError, OSError
        If it cannot be created.
    """
    if path.exists() or path.is_symlink():
        if not overwrite:
            advice = "It exists already; choose another name, or overwrite it (overwrite=True, --overwrite)"
            raise FileExistsError(errno.EEXIST, advice, str(path))
        if not _is_ours(path):
            advice = "dmlink did not write it, so it is not overwritten; choose another name"
            raise FileExistsError(errno.EEXIST, advice, str(path))
        shutil.rmtree(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "There is no such folder; create it first", str(path.parent))
    path.mkdir()


def _is_ours(path: Path) -> bool:
    if (path / JOURNAL).is_file():
        return True  # all that a recording without frames has
    try:
        return "dmlink" in json.loads((path / "zarr.json").read_text("utf-8"))["attributes"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def why_not(error: OSError, what: str) -> str:
    """Return why writing failed, as a sentence that ends with `what`, such as what is kept."""
    if error.errno in FULL:
        return f"The disk is full; {what}."
    if error.errno == errno.EFBIG:
        return f"A file would be larger than this system allows (ulimit -f); {what}."
    path = str(error.filename or "")
    if error.errno == errno.ENAMETOOLONG or len(path) > LONGEST_PATH:
        return f"A path of {len(path)} characters is too long for this system (use a shorter one); {what}."
    return f"Writing failed ({error.strerror or error}); {what}."
