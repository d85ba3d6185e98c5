"""Growing: processes a recording while it is written, each block as soon as its frames are on disk."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmlink import recordings
from dmlink.batch.job import PARTS, Job, digest, load, work_onward
from dmlink.batch.processing import (
    begun_in,
    block_of,
    describe,
    describe_program,
    give_up,
    make_folder,
    process,
    program_at,
    run_blocks,
    write_about,
)
from dmlink.batch.workers import cluster, result, some_worker
from dmlink.growing import follow
from dmlink.recordings.writing.ome_zarr_writer import end_image, journal_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from os import PathLike

    from distributed import Client

    from dmlink.growing import Following
    from dmlink.program.program import HasProgram, Program
    from dmlink.recordings.recording import Recording

#: Length of result images until the number of frames is known; unused length takes no disk space.
ROOM = 1 << 24

#: Seconds between checks for enough new frames for a block.
LOOK_SECONDS = 0.2


def process_growing(
    path: str | PathLike[str],
    cell: HasProgram | Program | str | PathLike[str],
    out: str | PathLike[str],
    client: Client | str | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    idle: float = 30.0,
    progress: bool = True,
) -> Path:
    """Run a live cell on every frame of a recording while it is written.

    It ends when the recording is finished, or when nothing new has arrived for `idle` seconds; the results
    are then those of `process` on the finished recording. Call it again after an interruption to continue.
    `path` need not exist yet; see `dmlink.follow`. For the other parameters, see `process`.

    Raises
    ------
    ValueError
        If there was no frame at all.
    FileExistsError, ConnectionError, OSError, RuntimeError
        As from `process`.
    """
    program = program_at(cell).with_values(**parameters or {})
    out = Path(out).expanduser().absolute()
    load(program)  # so that an import that fails raises before anything is written
    begun = _begin(Path(path).expanduser(), program, out)
    if begun.get("growing"):
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(follow(path, idle=idle))
            workers = stack.enter_context(cluster(client))
            bar = stack.enter_context(_bar(program, progress))
            _follow(source, program, out, begun, workers, bar)
            finished = _finished(source, path)
        with finished:
            block = _keep_what_is_right(finished, program, out)
            write_about(out, {**describe(finished, program), "block": block, "done": False})
    with recordings.open(path) as recording:
        return process(recording, program, out, client, progress=progress)


def _begin(path: Path, program: Program, out: Path) -> dict[str, Any]:
    """Create the folder, or continue the job in it; return the job's metadata."""
    about = {"growing": str(path.absolute()), **describe_program(program)}
    if not (out.exists() or out.is_symlink()):
        make_folder(out, program)
        write_about(out, {**about, "block": 0, "done": False})
    begun = begun_in(out)
    if "growing" not in begun and "files" in begun:
        return begun  # the recording was finished; `process` checks that it is the same
    if {key: begun.get(key) for key in about} != about:
        raise FileExistsError(f"{out} exists and belongs to another job; choose another folder.")
    return begun


@contextlib.contextmanager
def _bar(program: Program, progress: bool) -> Iterator[Any]:
    from tqdm.auto import tqdm  # noqa: PLC0415 - takes a moment

    with tqdm(unit="frame", desc=program.name, disable=not progress) as bar:
        yield bar


def _follow(
    source: Following, program: Program, out: Path, begun: dict[str, Any], workers: Client, bar: Any
) -> None:
    """Process blocks as they fill up, until the recording is finished."""
    block, done = int(begun["block"]), 0
    while True:
        finished = source.finished
        written = source.written
        if written and not block:
            with source.recording() as recording:
                block = block_of(recording)
            write_about(out, {**begun_in(out), "block": block})
        if block and written // block > done:
            with source.recording() as recording:
                job = Job(recording, [], program, out, block, ROOM)
                full = [frames for frames in job.blocks()[done:] if len(frames) == block]
                if not done and _order(recording, begun.get("order")) != begun.get("order"):
                    _forget(out)  # an earlier run saw the files in another order
                write_about(out, {**begun_in(out), "order": _order(recording)})
                todo = [frames for frames in full if not job.part(frames).exists()]
                bar.total = len(recording)
                bar.update(block * (len(full) - len(todo)))
                _run(job, workers, bar, todo)
                done += len(full)
            continue
        if finished:
            return
        time.sleep(LOOK_SECONDS)


def _run(job: Job, workers: Client, bar: Any, todo: list[range]) -> None:
    from distributed import KilledWorker  # noqa: PLC0415

    if not todo:
        return
    file = job.write()
    try:
        if not job.in_order:
            run_blocks(job, file, workers, bar, todo)
            return
        same = some_worker(workers)  # the worker that has the state
        for frames in todo:
            future = workers.submit(
                work_onward, file, frames, pure=False, workers=[same], allow_other_workers=True
            )
            try:
                result(workers, future)
            except KilledWorker:
                give_up(job, frames)
            bar.update(len(frames))
    finally:
        file.unlink(missing_ok=True)


def _finished(source: Following, path: str | PathLike[str]) -> Recording:
    """Open the finished recording."""
    if not source.written:
        raise ValueError(f"No frame arrived: {source.reason}")
    return recordings.open(path)


def _order(recording: Recording, like: list[Any] | None = None) -> list[Any]:
    """Return the number of the frames' files (at most that in `like`), and a digest of their order."""
    files = [str(file) for file in recording.files() if file != recording.path]
    files = files[: like[0]] if like else files
    return [len(files), digest("\n".join(files).encode())]


def _forget(out: Path) -> None:
    """Remove the finished blocks."""
    for part in (out / PARTS).glob("*.jsonl"):
        part.unlink()


def _keep_what_is_right(recording: Recording, program: Program, out: Path) -> int:
    """Remove blocks that would differ for the finished recording; return the number of frames per block.

    A frame that could not be read may be complete now, and its time may be more accurate.
    """
    begun = begun_in(out)
    block = int(begun["block"]) or block_of(recording)
    if _order(recording, begun.get("order")) != begun.get("order"):
        _forget(out)
    job = Job(recording, [], program, out, block)
    knows_info = "info" in program.text
    wrong = False
    for part in sorted((out / PARTS).glob("*.jsonl")):
        start = int(part.stem)
        lines = journal_lines(part)
        failed = any("error" in line for line in lines) or start + block > len(recording)
        moved = not failed and any(line["time"] != float(recording.times[line["frame"]]) for line in lines)
        wrong = (wrong and job.in_order) or failed or (moved and knows_info)
        if wrong:
            part.unlink()
        elif moved:
            for line in lines:
                line["time"] = float(recording.times[line["frame"]])
            job.write_part(range(start, start + block), lines)
    for image in out.glob("*.ome.zarr"):
        end_image(image, len(recording), recording.times if recording.timed else ())
    return block
