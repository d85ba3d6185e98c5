"""Job: a cell, a recording and a folder for the results, and the tasks that Dask workers run."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dmlink.program.instance import Instance
from dmlink.program.memory import keeps
from dmlink.recordings.writing.file_names import write_whole
from dmlink.recordings.writing.results import ResultWriter

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.program.program import Program
    from dmlink.recordings.recording import Recording
    from dmlink.recordings.writing.results import JournalLine

PARTS = "parts"  # folder of finished blocks


@dataclass(frozen=True)
class Job:
    """What to process. Workers read it from a file, as a program can have arrays of many megabytes.

    Attributes
    ----------
    recording : Recording
    files : list of int
        Fingerprint of the recording's files, to notice changes.
    program : Program
    out : Path
        Folder for the results.
    block : int
        Frames per block.
    room : int
        Frames to make room for while the total is unknown; 0 if it is known.
    """

    recording: Recording
    files: list[int]
    program: Program
    out: Path
    block: int
    room: int = 0

    def blocks(self) -> list[range]:
        """Return the frames of each block."""
        n = len(self.recording)
        return [range(i, min(i + self.block, n)) for i in range(0, n, self.block)]

    def part(self, frames: range) -> Path:
        """Return the file of a block; it exists once the block is done."""
        return self.out / PARTS / f"{frames.start:09d}.jsonl"

    @property
    def in_order(self) -> bool:
        """Whether the frames must be processed in order, because the cell keeps something between them."""
        return keeps(self.program.source)

    def write(self) -> Path:
        """Write the job for the workers to a file named by its content; return the path."""
        data = pickle.dumps(self)
        file = self.out / PARTS / f"{digest(data)}.pickle"
        write_whole(file, data)
        return file

    def write_part(self, frames: range, lines: list[JournalLine]) -> None:
        """Write the results of a block, which is then done."""
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_whole(self.part(frames), text.encode())

    def end(self) -> None:
        """Remove the temporary files."""
        parts = self.out / PARTS
        for file in (*(self.part(frames) for frames in self.blocks()), *parts.glob("*.pickle")):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty, if a worker was killed while writing
            parts.rmdir()


def work(file: Path, frames: range) -> None:
    """Process a block that does not depend on others; `file` is the job's."""
    job = _read(file)
    if not job.part(frames).exists():  # it exists if Dask lost the worker that finished it
        _work(job, frames, _loaded(file))


def work_in_order(file: Path) -> None:
    """Process all frames in order; finished blocks again too, but only for the state."""
    job = _read(file)
    instance = load(job.program)  # not a cached one, for an empty state
    for frames in job.blocks():
        _work(job, frames, instance)


_onward: dict[str, tuple[Instance, int]] = {}  # by job: the instance, and how many frames it has processed


def work_onward(file: Path, frames: range) -> None:
    """Process a block with the state after the frames before it, which are processed again if necessary."""
    job = _read(file)
    key = f"{job.out} {digest(job.program.source.encode())}"
    instance, at = _onward.pop(key, (None, 0))
    if instance is None or at > frames.start:
        instance, at = load(job.program), 0
    for start in range(at, frames.stop, job.block):
        _work(job, range(start, min(start + job.block, frames.stop)), instance)
    _onward[key] = instance, frames.stop


def _work(job: Job, frames: range, instance: Instance) -> None:
    done = job.part(frames).exists()
    recording = job.recording
    times = recording.times
    known = times if recording.timed and not job.room else ()
    writer = ResultWriter(job.out, job.room or len(recording), known)
    lines = []
    for i in frames:
        time, line = float(times[i]), None
        try:
            frame = recording[i]
            result = instance.process(frame.data, frame.info)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an error costs only this frame
            line = failure(i, time, job.program.explain(error))
        else:
            if result is not None and not done:
                line = writer.line(i, i, time, result, frame.log)
        lines += [line] if line else []
    if not done:
        job.write_part(frames, lines)


def failure(frame: int, time: float, why: str) -> JournalLine:
    """Return the journal line of a frame that failed."""
    return {"frame": frame, "time": time, "at": frame, "results": {}, "error": why}


@functools.lru_cache(maxsize=2)
def _read(file: Path) -> Job:
    """Return the job in a file; unpickling it opens its recording."""
    try:
        data = file.read_bytes()
        if digest(data) == file.stem:
            job: Job = pickle.loads(data)  # noqa: S301 - the digest shows that we wrote it
            return job
        why = f"{file} has been changed"
    except (OSError, ValueError) as error:
        why = str(error)
    raise RuntimeError(
        f"A worker cannot start ({why}). All workers need access to the same files under the same paths."
    )


@functools.lru_cache(maxsize=2)
def _loaded(file: Path) -> Instance:
    return load(_read(file).program)


def load(program: Program) -> Instance:
    """Return the program loaded into this process; RuntimeError if that fails."""
    try:
        return Instance(program)
    except Exception as error:
        raise RuntimeError(f"The cell {program.name!r} cannot run: {program.explain(error)}") from error


def digest(data: bytes) -> str:
    """Return the SHA-256 hex digest."""
    return hashlib.sha256(data).hexdigest()
