"""Job: what a cell is to do with a recording, and how a worker does a part of it."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import json
import os
import pickle
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dmlink.program import Instance, Program
from dmlink.recordings.results import ResultWriter

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.recordings.recording import Recording
    from dmlink.recordings.results import Line

PARTS = "parts"  # the folder of what is done


@dataclass(frozen=True)
class Job:
    """What is to be done. Workers read it from a file: a program can have arrays of many megabytes."""

    recording: Recording
    files: list[int]  # its fingerprint
    program: Program
    out: Path
    block: int  # frames

    def blocks(self) -> list[range]:
        """Return the frames of each block."""
        n = len(self.recording)
        return [range(i, min(i + self.block, n)) for i in range(0, n, self.block)]

    def part(self, frames: range) -> Path:
        """Return the file that is there once these frames are done."""
        return self.out / PARTS / f"{frames.start:09d}.jsonl"

    @property
    def in_order(self) -> bool:
        """Whether the cell keeps something from frame to frame."""
        names = {node.id for node in ast.walk(ast.parse(self.program.text)) if isinstance(node, ast.Name)}
        return "state" in names

    def write(self) -> Path:
        """Write it where workers read it; another job has another name, so that none is taken for another."""
        data = pickle.dumps(self)
        file = self.out / PARTS / f"{digest(data)}.pickle"
        write_whole(file, data)
        return file

    def write_part(self, frames: range, lines: list[Line]) -> None:
        """Keep what came out for these frames: they are done."""
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_whole(self.part(frames), text.encode())

    def end(self) -> None:
        """Remove what was needed on the way."""
        parts = self.out / PARTS
        for file in (*(self.part(frames) for frames in self.blocks()), *parts.glob("*.pickle")):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the rest of a worker that was killed
            parts.rmdir()


def work(file: Path, frames: range) -> None:
    """Process the frames of a block, which do not depend on others; `file` is the job's."""
    job = _read(file)
    if not job.part(frames).exists():  # else Dask has lost a worker, and with it the news that this is done
        _work(job, frames, _loaded(file))


def work_in_order(file: Path) -> None:
    """Process all frames one after the other; those done already for their state only."""
    job = _read(file)
    instance = load(job.program)  # not one that has the state of another run
    for frames in job.blocks():
        _work(job, frames, instance)


def _work(job: Job, frames: range, instance: Instance) -> None:
    done = job.part(frames).exists()
    recording = job.recording
    writer = ResultWriter(job.out, len(recording), 1 / recording.fps if recording.fps else 1.0)
    lines = []
    for i in frames:
        time, line = float(recording.times[i]), None
        try:
            frame = recording[i]
            result = instance.process(frame.data, frame.info)
        except Exception as error:  # noqa: BLE001 - whatever it was, it was on this frame
            line = failure(i, time, job.program.explain(error))
        else:
            if result is not None and not done:
                line = writer.line(i, i, time, result)
        lines += [line] if line else []
    if not done:
        job.write_part(frames, lines)


def failure(frame: int, time: float, why: str) -> Line:
    """Return the line of a frame of which nothing came out."""
    return {"frame": frame, "time": time, "at": frame, "results": {}, "error": why}


@functools.lru_cache(maxsize=2)
def _read(file: Path) -> Job:
    """Return a job; this opens its recording."""
    try:
        data = file.read_bytes()
        if digest(data) == file.stem:
            job: Job = pickle.loads(data)  # noqa: S301 - from the one who gives us work, as was just seen
            return job
        why = f"{file} is not what was written there"
    except (OSError, ValueError) as error:
        why = str(error)
    raise RuntimeError(
        f"A worker cannot begin ({why}): all of them have to see the same files under the same path."
    )


@functools.lru_cache(maxsize=2)
def _loaded(file: Path) -> Instance:
    return load(_read(file).program)


def load(program: Program) -> Instance:
    """Return a program that can run; a RuntimeError says why one cannot."""
    try:
        return Instance(program)
    except Exception as error:
        raise RuntimeError(f"The cell {program.name!r} cannot be run: {program.explain(error)}") from error


def digest(data: bytes) -> str:
    """Return what tells these bytes from all others."""
    return hashlib.sha256(data).hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there as a whole or not at all, whoever else writes it."""
    made = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    made.write_bytes(data)
    made.replace(path)
