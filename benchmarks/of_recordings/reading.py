"""Reading: a recording's frames in order, and the same bytes by `numpy.fromfile`, from the cache."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import tifffile

from dmlink import recordings
from dmlink.simulator.dm.gatan_files import write_dm4, write_in_situ_raw

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE, FRAMES = 2048, 40
LINE = 64  # bytes in a cache line: touching one reads them all


def speeds(runs: int, note: Callable[[str], None]) -> dict[str, Any]:
    """Return GB/s for each format, and the ratio to `numpy.fromfile` of the same bytes."""
    found = {}
    with TemporaryDirectory(prefix="dmlink-bench-") as folder:
        for name, path in _files(Path(folder)).items():
            note(f"reading {name}")
            with recordings.open(path) as recording:
                _frames(recording), _fromfile(path)  # into the cache
                each = [(_frames(recording), _fromfile(path)) for _ in range(runs)]
            found[name] = {
                "GB/s": median(ours for ours, _ in each),
                "fromfile": median(bare for _, bare in each),
                "ratio": median(ours / bare for ours, bare in each),
            }
    return found


def _files(folder: Path) -> dict[str, Path]:
    """Write the same frames in each format."""
    stack = np.random.default_rng(7).integers(0, 4096, (FRAMES, SIZE, SIZE), np.uint16)
    files = {
        "TIFF": folder / "stack.tif",
        "DM4": folder / "stack.dm4",
        "MRC": folder / "stack.mrc",
        "raw": folder / "insitu.raw",
    }
    tifffile.imwrite(files["TIFF"], stack, photometric="minisblack")
    write_dm4(files["DM4"], stack)
    mrcfile.write(files["MRC"], stack)
    write_in_situ_raw(files["raw"].with_suffix(".dm4"), stack, exposure=0.03)
    return files


def _frames(recording: recordings.Recording) -> float:
    """Return GB/s of the recording's frames, touching every cache line."""
    begun = time.perf_counter()
    for frame in recording:
        _touch(frame.data)
    return _rate(time.perf_counter() - begun)


def _fromfile(path: Path) -> float:
    """Return GB/s of as many bytes at the end of the file, read frame by frame and touched alike."""
    begun = time.perf_counter()
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2 * FRAMES * SIZE**2))
        for _ in range(FRAMES):
            _touch(np.fromfile(file, np.uint16, SIZE**2).reshape(SIZE, SIZE))
    return _rate(time.perf_counter() - begun)


def _touch(pixels: np.ndarray) -> None:
    pixels[:, :: LINE // pixels.itemsize].max()


def _rate(seconds: float) -> float:
    return 2e-9 * FRAMES * SIZE**2 / seconds
