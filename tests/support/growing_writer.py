"""A writer of recordings, in a separate process, with everything that may go wrong, controlled by a seed.

python growing_writer.py KIND FOLDER SEED FRAMES finally prints a line of JSON: the numbers of the frames
that it has permanently spoilt, and what it did.
"""

import json
import os
import random
import sys
import time
from pathlib import Path

import numpy as np

SHAPE = 48, 40
KINDS = "raw", "tree", "tiff", "dm4", "mrc", "mib", "zarr"
AXES = [(0.0, 0.5, "nm"), (0.0, 0.25, "nm")]


def frame(i):
    """Return frame `i`: all are different, and some are black, at the end or completely."""
    pixels = np.random.default_rng(i).integers(1, 60_000, SHAPE).astype(np.uint16)
    if i % 7 == 3:
        pixels[-12:] = 0
    if i % 11 == 5:
        pixels[:] = 0
    return pixels


def until(condition, timeout=180.0):
    """Wait until the condition holds, and return its value."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {timeout} s"
        time.sleep(0.02)
    return value


def command(kind, folder, seed, frames):
    """Return the command that runs the writer."""
    return [sys.executable, __file__, kind, str(folder), str(seed), str(frames)]


def path_of(kind, folder):
    """Return the path to follow."""
    return folder / {"raw": "a.dm4", "mib": "a.mib", "zarr": "a.ome.zarr"}.get(kind, ".")


class Writer:
    """Writes, and occasionally does something else."""

    def __init__(self, folder, seed, frames):
        self.folder, self.frames = folder, frames
        self.random = random.Random(seed)  # noqa: S311 - to do the same again
        self.spoilt, self.did = [], []

    def rest(self):
        """Pause, mostly briefly, sometimes for longer than a file must be unchanged."""
        time.sleep(self.random.choice([0, 0, 0, 0.01, 0.05]) if self.random.random() < 0.95 else 0.6)

    def chance(self, what, probability):
        if self.random.random() < probability:
            self.did.append(what)
            return True
        return False

    def pieces(self, path, data):
        """Write a file in pieces."""
        with path.open("ab", buffering=0) as file:
            while data:
                n = self.random.randrange(1, len(data) + 1)
                file.write(data[:n])
                data = data[n:]
                if data:
                    self.rest()

    def place(self, path, data, i):
        """Write the file of one frame, in one of the ways in which programs write files."""
        if self.chance("renamed", 0.3):
            part = path.with_name(f"{path.name}.part")
            self.pieces(part, data)
            part.rename(path)
        elif 0 < i < self.frames - 1 and self.chance("cut for good", 0.04):
            self.spoilt.append(i)
            path.write_bytes(data[: len(data) // 2])
        elif self.chance("half, then begun again", 0.1):
            path.write_bytes(data[: len(data) // 2])
            self.rest()
            path.write_bytes(b"")
            self.rest()
            path.write_bytes(data)
        else:
            self.pieces(path, data)
        if self.chance("touched", 0.1):
            ago = time.time() - 300  # times from another computer's clock
            os.utime(path, (ago, ago))
        if self.chance("a stray file", 0.1):
            (self.folder / f"notes{i}.txt").write_text("not a frame")

    # Kinds

    def raw(self):
        from dmlink.simulator.dm.gatan_files import write_dm4

        header = self.folder / "a.dm4"
        tags = {"Acquisition:Parameters:High Level:Exposure (s)": 0.05}
        count = "In-situ:Recorded:# Frames"
        first = self.chance("header first", 0.5)
        preallocated = self.chance("preallocated", 0.5)
        if first:
            write_dm4(header, frame(0), axes=AXES, tags=tags | {count: self.random.choice([0, 1, 3, 10_000])})
        data = b"".join(frame(i).tobytes() for i in range(self.frames))
        step = self.random.randrange(frame(0).nbytes, 8 * frame(0).nbytes)
        for k, start in enumerate(range(0, len(data), step)):
            part = self.folder / (f"a.raw_{k}" if k else "a.raw")
            piece = data[start : start + step]
            if not preallocated:
                self.pieces(part, piece)
                if self.chance("cut and written again", 0.1):
                    os.truncate(part, len(piece) // 2)
                    self.rest()
                    self.pieces(part, piece[len(piece) // 2 :])
                continue
            with part.open("wb", buffering=0) as file:
                file.truncate(step)
                at = 0
                while at < len(piece):
                    n = self.random.randrange(1, len(piece) - at + 1)
                    file.write(piece[at : at + n])
                    at += n
                    self.rest()
        if preallocated:
            os.truncate(part, len(piece))
        new = self.folder / "new.dm4"
        write_dm4(new, frame(0), axes=AXES, tags=tags | {count: self.frames})
        new.replace(header)

    def tree(self):
        from dmlink.simulator.dm.gatan_files import write_dm4

        tags = {"Acquisition:Parameters:High Level:Exposure (s)": 0.1}
        count = {"In-situ:Recorded:# Frames": self.frames}
        each = 5
        for i in range(self.frames):
            second, k = divmod(i, each)
            place = self.folder / "Hour_00" / f"Minute_{second // 60:02}" / f"Second_{second % 60:02}"
            place.mkdir(parents=True, exist_ok=True)
            self.dm(write_dm4, place / f"a_Frame_{k:04}.dm4", i, tags | count)
            self.rest()
        write_dm4(self.folder / "a.dm4", frame(0), axes=AXES, tags=tags | count)

    def dm(self, write, path, i, tags):
        made = self.folder.parent / f"{self.folder.name}-one.dm4"
        write(made, frame(i), axes=AXES, tags=tags)
        data = made.read_bytes()
        made.unlink()
        self.place(path, data, i)

    def dm4(self):
        from dmlink.simulator.dm.gatan_files import write_dm4

        for i in range(self.frames):
            self.dm(write_dm4, self.folder / f"x {i}.dm4", i, {})
            self.rest()

    def tiff(self):
        import io

        import tifffile

        for i in range(self.frames):
            file = io.BytesIO()
            tifffile.imwrite(file, frame(i), photometric="minisblack")
            self.place(self.folder / f"x_{i:04}.tif", file.getvalue(), i)
            self.rest()

    def mrc(self):
        import mrcfile

        for i in range(self.frames):
            made = self.folder.parent / f"{self.folder.name}-one.mrc"
            mrcfile.write(made, frame(i), overwrite=True)
            self.place(self.folder / f"x_{i:04}.mrc", made.read_bytes(), i)
            made.unlink()
            self.rest()

    def mib(self):
        from detector_files import mib

        one = len(mib([frame(0)]))
        for i in range(self.frames):
            data = mib([frame(i)])
            assert len(data) == one
            self.pieces(self.folder / "a.mib", data)
            self.rest()

    def zarr(self):
        from dmlink.frame import Axis
        from dmlink.recordings.writing.ome_zarr_writer import JOURNAL, ImageWriter, Journal

        path = self.folder / "a.ome.zarr"
        path.mkdir()
        journal = Journal(path / JOURNAL)
        image = ImageWriter(path, SHAPE, np.uint16, y=Axis(0, 0.5, "nm"), x=Axis(0, 0.25, "nm"), name="a")
        for i in range(self.frames):
            image.write(i, frame(i))
            journal.write({"index": i, "time": 0.1 * i})
            self.rest()
        image.close(self.frames, interval=0.1)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    kind, folder, seed, frames = sys.argv[1:]
    writer = Writer(Path(folder), int(seed), int(frames))
    getattr(writer, kind)()
    print(  # noqa: T201
        json.dumps({"spoilt": writer.spoilt, "did": sorted(set(writer.did))})
    )
