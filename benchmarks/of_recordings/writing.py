"""Writing: a recorder beside a live view and a cell, against a bare Zarr array of the same chunks."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec

import dmlink
from dmlink.recordings.writing.ome_zarr_writer import JOURNAL, journal_lines

from ..of_link import microscope
from ..of_link.children import answer, child

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

SIZE = 2048
BARE_FRAMES = 60
START_SECONDS = 30.0  # s allowed until a cell's first result
FPS = 33.0  # frames/s of the camera: slightly more than required


def recording(seconds: float, note: Callable[[str], None]) -> dict[str, Any]:
    """Return frames/s of a bare writer, and what a recorder wrote and lost in `seconds`."""
    note("writing a bare Zarr array")
    with TemporaryDirectory(prefix="dmlink-bench-") as folder, child(bare, folder) as process:
        alone = answer(process)
    note(f"recording for {seconds:.0f} s")
    with (
        TemporaryDirectory(prefix="dmlink-bench-") as folder,
        child(microscope.serve, SIZE, FPS, True) as dm,
        child(kernel, answer(dm), folder, seconds) as process,
    ):
        found = answer(process, seconds + 90.0)
        dm.send(("rate", 1.0))
        found["camera"] = answer(dm)
    return {"bare": alone, **found}


def bare(pipe: Connection, folder: str) -> None:
    """Write frames, compressed as a recorder does, and nothing else; send frames/s."""
    stack = microscope.Noise(SIZE).stack
    array = zarr.create_array(
        Path(folder) / "bare.zarr",
        shape=(BARE_FRAMES, SIZE, SIZE),
        chunks=(1, SIZE, SIZE),
        dtype=np.uint16,
        compressors=BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle"),
    )
    array[0] = stack[0]
    begun = time.perf_counter()
    for i in range(BARE_FRAMES):
        array[i] = stack[i % len(stack)]
    pipe.send(BARE_FRAMES / (time.perf_counter() - begun))


def kernel(pipe: Connection, endpoint: str, folder: str, seconds: float) -> None:
    """Record while a view and a cell take the newest frames; send what was recorded, lost and seen."""
    seen, over = 0, threading.Event()
    cell = dmlink.LiveCell("float(frame.mean())", name="mean")

    def look() -> None:
        nonlocal seen
        with dmlink.connect(endpoint) as view:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    view.next(0.5)
                    seen += 1

    watcher = threading.Thread(target=look)
    watcher.start()
    with dmlink.connect(endpoint) as link:
        cell.start(link)
        due = time.perf_counter() + START_SECONDS
        while not cell.stats.processed and time.perf_counter() < due:
            link.next(10.0)
        before, processed = seen, cell.stats.processed
        with link.record(Path(folder) / "bench", cells=[cell]) as recorder:
            recorder.wait(seconds)
            frames, viewed = recorder.frames, seen - before
            lasted, done = recorder.seconds, cell.stats.processed - processed
            assert recorder.state == "recording", recorder.reason
        cell.stop()
        over.set()
        watcher.join()
    indices = np.array([line["index"] for line in journal_lines(recorder.path / JOURNAL)])
    with dmlink.open(recorder.path) as written:
        readable = len(written)
    pipe.send(
        {
            "seconds": lasted,
            "frames/s": frames / lasted,
            "frames": recorder.frames,
            "readable": readable,
            "lost": int(indices[-1] - indices[0] + 1 - len(indices)),
            "view": viewed / lasted,
            "cell": done / lasted,
            "MB a frame": recorder.bytes / recorder.frames / 1e6,
        }
    )
