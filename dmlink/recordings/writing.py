"""Writing: an OME-Zarr image (version 0.5, Zarr 3) that grows frame by frame and is whole at any moment."""

# ruff: noqa: PLC0415 - zarr takes 0.3 s, and every worker imports this module

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.frame import Axis

ROOM = 256  # frames by which the array grows at once: its size is written to disk every time
LENGTHS = {
    "pm": "picometer", "\u00c5": "angstrom", "A": "angstrom", "nm": "nanometer", "um": "micrometer",
    "\u00b5m": "micrometer", "mm": "millimeter", "m": "meter",
}  # fmt: skip
JOURNAL = "frames/frames.jsonl"  # a line for each frame: what was known of it
#: A black frame is a frame too; and looking whether it is one takes longer than writing.
CONFIG: Any = {"write_empty_chunks": True}
FULL = {errno.ENOSPC, errno.EDQUOT}


class ImageWriter:
    """A stack of frames (n, h, w), or (n, h, w, 3) for colour; one chunk a frame, compressed with Blosc.

    A frame is written elsewhere and then renamed, so it is there as a whole or not at all. Several processes
    may write different frames, if the array is made long enough for all of them.

    Parameters
    ----------
    folder : Path
        The image; made if it is not there.
    shape : tuple of int
        Of a frame: (h, w) or (h, w, 3).
    dtype : numpy.dtype
    y, x : Axis
        Calibration.
    name : str
    about : dict
        What else is to be known, as JSON; stored as the attribute "dmlink".
    length : int
        Frames to make room for; more is made when needed.
    interval : float
        Time between frames, in seconds.
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
        interval: float = 1.0,
    ) -> None:
        import zarr
        from zarr.codecs import BloscCodec
        from zarr.errors import ContainsArrayError

        self.folder = folder
        self._y, self._x, self._name = y, x, name
        self._about = {"y": list(y), "x": list(x), **(about or {})}
        self._colour = len(shape) == 3
        kept = (3, *shape[:2]) if self._colour else shape
        try:
            self._array = self._open()
        except FileNotFoundError:
            self.describe(interval)
            with contextlib.suppress(ContainsArrayError):  # another process was faster
                zarr.create_array(
                    folder / "0",
                    shape=(length, *kept),
                    chunks=(1, *kept),
                    dtype=np.dtype(dtype),
                    compressors=BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle"),
                    fill_value=0,
                    dimension_names=["t", *(["c"] if self._colour else []), "y", "x"],
                    config=CONFIG,
                )
            self._array = self._open()

    def _open(self) -> Any:
        import zarr

        # Zarr takes no notice of a configuration when it opens what is there.
        return zarr.open_array(self.folder / "0", mode="r+", zarr_format=3).with_config(CONFIG)

    def describe(self, interval: float) -> None:
        """Write what the axes mean; `interval` is the mean time between frames, in seconds."""
        import zarr
        from zarr.errors import ContainsGroupError

        channel = [{"name": "c", "type": "channel"}] if self._colour else []
        one: list[float] = [1.0] if self._colour else []
        axes = [{"name": "t", "type": "time", "unit": "second"}, *channel]
        for axis, letter in ((self._y, "y"), (self._x, "x")):
            unit = {"unit": LENGTHS[axis.unit]} if axis.unit in LENGTHS else {}
            axes.append({"name": letter, "type": "space", **unit})
        scale = [interval, *one, self._y.scale, self._x.scale]
        translation = [0.0, *(0.0 for _ in one), self._y.origin, self._x.origin]
        transformations = [
            {"type": "scale", "scale": scale},
            {"type": "translation", "translation": translation},
        ]
        datasets = [{"path": "0", "coordinateTransformations": transformations}]
        multiscales = [{"name": self._name, "axes": axes, "datasets": datasets}]
        told = {"ome": {"version": "0.5", "multiscales": multiscales}, "dmlink": self._about}
        try:
            zarr.create_group(self.folder, zarr_format=3, attributes=told)
        except ContainsGroupError:  # ours, or of a process that was faster
            zarr.open_group(self.folder, mode="r+").update_attributes(told)

    def write(self, i: int, pixels: np.ndarray) -> int:
        """Write frame `i`; return the bytes that it takes on disk."""
        if i >= self._array.shape[0]:
            self._array.resize((i + ROOM, *self._array.shape[1:]))
        self._array[i] = np.moveaxis(pixels, -1, 0) if self._colour else pixels
        key = f"c/{i}" + "/0" * (self._array.ndim - 1)
        size: int = (self.folder / "0" / key).stat().st_size
        return size

    def close(self, n: int, interval: float) -> None:
        """Cut the room that was not needed after `n` frames, and say how long they took."""
        self._array.resize((n, *self._array.shape[1:]))
        self.describe(interval)


class Journal:
    """A file of JSON lines: each is there once `write` has returned, also if this process is killed."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)

    def write(self, line: dict[str, Any]) -> int:
        """Append a line; return its bytes. One that did not fit on the disk leaves no part behind."""
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode()
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
    """Return the whole lines of a journal; the last one may have been cut by a kill.

    Raises
    ------
    ValueError
        If one of them is damaged.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = data.rstrip(b"\0").split(b"\n")[:-1]  # zeros are what a loss of power leaves of the newest lines
    try:
        return [json.loads(line) for line in whole]
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); copy it again.") from error


def make_folder(path: Path, *, overwrite: bool = False) -> None:
    """Make a folder for what is written.

    Raises
    ------
    FileExistsError
        If there is something, unless it is what dmlink has written and `overwrite` is set.
    FileNotFoundError, PermissionError, OSError
        If it cannot be made.
    """
    if path.exists() or path.is_symlink():
        if not overwrite:
            raise FileExistsError(errno.EEXIST, "There is something already", str(path))
        if not _is_ours(path):
            raise FileExistsError(
                errno.EEXIST, "This was not written by dmlink and is not overwritten", str(path)
            )
        shutil.rmtree(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "There is no such folder; make it first", str(path.parent))
    path.mkdir()


def _is_ours(path: Path) -> bool:
    if (path / JOURNAL).is_file():
        return True  # a recording that has ended before its first frame has no more
    try:
        told = json.loads((path / "zarr.json").read_text("utf-8"))
        return "dmlink" in told["attributes"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def why_not(error: OSError, what: str) -> str:
    """Return why writing has ended, as a sentence that says what is kept."""
    if error.errno in FULL:
        return f"The disk is full; {what}."
    if error.errno == errno.EFBIG:
        return f"A file would be larger than is allowed here (ulimit -f); {what}."
    return f"It cannot be written ({error.strerror or error}); {what}."
