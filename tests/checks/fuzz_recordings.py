"""Coverage-guided fuzz targets for dmlink's own readers: SER, MIB, the tags of DM files, in-situ headers.

    .venv/bin/python tests/checks/fuzz_recordings.py ser -max_total_time=600

The last word is one of ser, mib, dm, insitu. Whatever bytes a file has, it gives frames, or is refused in one
sentence (a ValueError), within seconds and using no more memory than its own size plus 64 MB.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["dmlink.recordings"]):
    from dmlink import recordings
    from dmlink.recordings.formats import dm, dm_tags, insitu, mib, ser

from dmlink.simulator.dm.gatan_files import write_dm4, write_in_situ_raw

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
import detector_files

STACK = np.arange(3 * 5 * 6, dtype=np.uint16).reshape(3, 5, 6)
READERS = {"ser": ser, "mib": mib, "dm": dm, "insitu": insitu, "tags": dm_tags}
NAMES = {"ser": "x.ser", "mib": "x.mib", "dm": "x.dm4", "insitu": "x.dm4"}
MEMORY = 64 << 20  # bytes in addition to a file's own size
SEVERAL = 16  # most frames read of those announced in a header


def seed(kind: str, folder: Path) -> bytes:
    """Return a valid file."""
    if kind == "ser":
        return detector_files.ser(STACK)
    if kind == "mib":
        return detector_files.mib(STACK)
    path = folder / NAMES[kind]
    if kind == "dm":
        write_dm4(path, STACK, axes=[(0, 1, "s"), (0, 0.5, "nm"), (0, 0.5, "nm")])
    else:
        write_in_situ_raw(path, STACK, exposure=0.1)
    return path.read_bytes()


def read(path: Path, data: bytes) -> None:
    """Open these bytes, and read what they announce."""
    path.write_bytes(data)
    try:
        with recordings.open(path) as recording:
            n = len(recording)
            for i in sorted({*range(min(n, SEVERAL)), n - 1}):
                if recording[i].data.shape != recording.shape[1:]:
                    raise AssertionError(f"frame {i} is not of the shape {recording.shape}")
            recording.times[:SEVERAL].sum()
    except ValueError as error:
        text = str(error)
        if "more memory than this computer has" in text:
            raise AssertionError(text) from error
        if "\n" in text or len(text) > 600 or path.stem not in text:
            raise AssertionError(f"this is no sentence: {text!r}") from error


def main() -> None:
    """Fuzz one kind, starting with a valid file."""
    kind = sys.argv.pop(1)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as corpus:
        path = Path(folder) / NAMES[kind]
        (Path(corpus) / "whole").write_bytes(seed(kind, Path(folder)))

        def run(data: bytes) -> None:
            read(path, data)

        atheris.Setup([*sys.argv, "-timeout=100", corpus], run)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
