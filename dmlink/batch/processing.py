"""Processing: a live cell on every frame of a recording, on this computer's cores or a Dask cluster."""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import os
import pickle
import queue
import threading
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmlink import recordings
from dmlink.batch.job import PARTS, Job, digest, failure, load, work, work_in_order
from dmlink.batch.workers import LOOK_SECONDS, cluster, revive
from dmlink.program import notebook_file
from dmlink.program.program import Program, program_of
from dmlink.recordings.recording import Recording
from dmlink.recordings.writing.file_names import write_whole
from dmlink.recordings.writing.ome_zarr_writer import journal_lines, why_not
from dmlink.recordings.writing.results import HEADS, finish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from os import PathLike

    from distributed import Client, Future

    from dmlink.program.program import HasProgram
    from dmlink.recordings.writing.results import JournalLine

BLOCK_BYTES = 32 << 20  # of frames per task; a worker reads them one by one
BLOCK_FRAMES = 64
AHEAD = 512  # blocks submitted at once: Dask keeps some kB for each, in the client and in the scheduler
PROGRESS_SECONDS = 0.5  # between updates of the progress bar if one task does everything
ABOUT = "process.json"
ERRORS = "errors.csv"


def process(
    recording: Recording | str | PathLike[str],
    cell: HasProgram | Program | str | PathLike[str],
    out: str | PathLike[str],
    client: Client | str | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Path:
    """Run a live cell on every frame of a recording, with the same results as the live cell.

    Call it again after an interruption to continue. A cell that uses `state` gets the frames in order, on one
    core; to continue, it processes all frames again to restore its state.

    Parameters
    ----------
    recording : Recording or path
    cell : LiveCell, Program or path
        A path is either a cell's text, "CELL.py", or "NOTEBOOK.ipynb:NAME". A notebook's imports and
        definitions are executed, to find what the cell uses.
    out : path
        A folder to create. Results are named after the cell's: numbers, tables, points, boxes and texts are
        NAME.csv with a column `frame` (and NAME.parquet if pyarrow is installed), images NAME.ome.zarr,
        profiles both.
        A `'` is appended to a name in use: a cell's column `time` becomes `time'`. Frames on which the cell
        failed are in errors.csv.
    client : distributed.Client or str, optional
        A Dask cluster, or the address of its scheduler; its workers need access to the same files. By
        default, all cores of this computer. In a script, call this under `if __name__ == "__main__":`.
    parameters : mapping, optional
        New values of the cell's parameters, by name.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    FileExistsError
        If `out` contains something else, or is complete already.
    ConnectionError
        If no scheduler answers.
    OSError
        If `out` cannot be written.
    ValueError
        If the cell has no such parameter, or it cannot have this value.
    RuntimeError
        If the cell cannot be loaded, a worker cannot access the recording, or the recording has changed.
    """
    program = program_at(cell).with_values(**parameters or {})
    out = Path(out).expanduser()
    with contextlib.ExitStack() as stack:
        if not isinstance(recording, Recording):
            recording = stack.enter_context(recordings.open(recording))
        load(program)  # so that an import that fails raises before anything is written
        job = _begin(recording, program, out.absolute())
        workers = stack.enter_context(cluster(client))
        bar = stack.enter_context(_bar(job, progress))
        _run(job, workers, bar)
        if _fingerprint(recording) != job.files:
            raise RuntimeError(
                f"{recording.path} changed while it was processed, so the results in {out} are incomplete. "
                "Remove them, and process the recording again when it is no longer being written."
            )
    _end(job)
    return out


def program_at(cell: HasProgram | Program | str | PathLike[str]) -> Program:
    """Return the program of a live cell, of CELL.py, or of NOTEBOOK.ipynb:NAME."""
    if not isinstance(cell, (str, os.PathLike)):
        return program_of(cell)
    text = os.fspath(cell)
    file, mark, name = text.rpartition(".ipynb:")
    if mark:
        return notebook_file.program(f"{file}.ipynb", name)
    return notebook_file.program(text)


def _begin(recording: Recording, program: Program, out: Path) -> Job:
    """Create the folder, or continue the job that it contains."""
    block = block_of(recording)
    about = describe(recording, program)
    if out.exists() or out.is_symlink():
        begun = begun_in(out)
        others = {key for key in about if begun.get(key) != about[key]}
        if others == {"files"}:
            raise FileExistsError(
                f"{recording.path} has changed since {out} was started; choose another folder to start over."
            )
        if others:
            raise FileExistsError(f"{out} exists and belongs to another job; choose another folder.")
        if begun["done"]:
            raise FileExistsError(f"{out} exists and is complete; choose another folder.")
        block = begun["block"]
    else:
        make_folder(out, program)
        write_about(out, {**about, "block": block, "done": False})
    return Job(recording, about["files"], program, out, block)


def block_of(recording: Recording) -> int:
    """Return the number of frames per block."""
    frame_bytes = recording.dtype.itemsize * recording.shape[1] * recording.shape[2]
    return min(BLOCK_FRAMES, max(1, BLOCK_BYTES // frame_bytes))


def describe(recording: Recording, program: Program) -> dict[str, Any]:
    """Return what identifies a job, as JSON."""
    return {
        "recording": str(recording.path.resolve()),
        "files": _fingerprint(recording),
        "shape": list(recording.shape),
        "dtype": recording.dtype.str,
        "axes": [list(recording.y), list(recording.x)],
        "options": json.loads(json.dumps(recording.options)),
        **describe_program(program),
    }


def describe_program(program: Program) -> dict[str, Any]:
    """Return what identifies a program, as JSON."""
    arrays = {name: digest(pickle.dumps(array)) for name, array in program.arrays.items()}
    return {"program": program.source, "arrays": arrays}


def make_folder(out: Path, program: Program) -> None:
    """Create the folder of a job; FileNotFoundError if its parent does not exist."""
    if not out.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {out.parent}; create it first.")
    (out / PARTS).mkdir(parents=True)
    (out / "program.py").write_text(program.source, encoding="utf-8")


def begun_in(out: Path) -> dict[str, Any]:
    """Return the metadata of the job in a folder; empty if there is none."""
    try:
        begun = json.loads((out / ABOUT).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return begun if isinstance(begun, dict) else {}


def write_about(out: Path, about: dict[str, Any]) -> None:
    """Write the job's metadata."""
    write_whole(out / ABOUT, json.dumps(about, indent=1).encode())


def _fingerprint(recording: Recording) -> list[int]:
    """Return the number of a recording's files, their total size, and the sum of their modification times.

    The sum rather than the newest time, because a file may be replaced with an older one.
    """
    n = size = written = 0
    for path in recording.files():
        with contextlib.suppress(OSError):  # the file was deleted, which changes the count
            status = path.stat()
            n, size, written = n + 1, size + status.st_size, written + status.st_mtime_ns
    return [n, size, written]


@contextlib.contextmanager
def _bar(job: Job, progress: bool) -> Iterator[Any]:
    from tqdm.auto import tqdm  # noqa: PLC0415 - takes a moment

    with tqdm(total=len(job.recording), unit="frame", desc=job.program.name, disable=not progress) as bar:
        yield bar


def _run(job: Job, client: Client, bar: Any) -> None:
    """Process all blocks that are not done."""
    todo = [frames for frames in job.blocks() if not job.part(frames).exists()]
    bar.update(len(job.recording) - sum(map(len, todo)))
    try:
        file = job.write()
        if job.in_order:
            _run_in_order(job, file, client, bar, todo)
        else:
            run_blocks(job, file, client, bar, todo)
    except OSError as error:
        raise OSError(
            why_not(error, f"finished frames are kept in {job.out}; start again to continue")
        ) from error
    except CancelledError as error:
        raise ConnectionError(
            f"Lost the Dask scheduler. Finished frames are kept in {job.out}; start again to continue."
        ) from error


def run_blocks(job: Job, file: Path, client: Client, bar: Any, todo: list[range]) -> None:
    """Process blocks on all workers; frames that kill them count as failed."""
    from distributed import KilledWorker  # noqa: PLC0415

    done: queue.SimpleQueue[Future[None]] = queue.SimpleQueue()
    submitted: dict[Future[None], range] = {}

    def submit(blocks: Iterable[range]) -> None:
        for frames in blocks:
            future = client.submit(work, file, frames, pure=False)
            submitted[future] = frames
            future.add_done_callback(done.put)

    def next_done() -> tuple[range, bool]:
        """Return the frames of a finished block, and whether it killed its worker each time."""
        future = _get(done, client)
        frames = submitted.pop(future)  # Dask forgets the block with its future
        try:
            future.result()
        except KilledWorker:
            return frames, True
        bar.update(len(frames))
        return frames, False

    left, suspects = iter(todo), []
    try:
        submit(itertools.islice(left, AHEAD))
        while submitted:
            frames, killed = next_done()
            suspects += [frames] * killed
            submit(itertools.islice(left, 1))
        for suspect in suspects:  # one at a time: Dask blames all blocks that were on the worker that died
            submit([suspect])
            _, killed = next_done()
            if killed:
                give_up(job, suspect)
                bar.update(len(suspect))
    finally:
        client.cancel(list(submitted))


def _get(done: queue.SimpleQueue[Future[None]], client: Client) -> Future[None]:
    """Return the next finished future; meanwhile, make sure that there are workers."""
    while True:
        try:
            return done.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            revive(client)


def _run_in_order(job: Job, file: Path, client: Client, bar: Any, todo: list[range]) -> None:
    from distributed import KilledWorker  # noqa: PLC0415

    if not todo:
        return
    over = threading.Event()
    future = client.submit(work_in_order, file, pure=False)
    future.add_done_callback(lambda _: over.set())
    try:
        while todo:
            ended = over.wait(PROGRESS_SECONDS)
            for frames in [frames for frames in todo if job.part(frames).exists()]:
                todo.remove(frames)
                bar.update(len(frames))
            if ended:
                break
            revive(client)
        future.result()
    except KilledWorker:
        if todo:
            _give_up_from(job, *todo)
        bar.update(sum(len(frames) for frames in todo))
    finally:
        client.cancel([future])


def give_up(job: Job, frames: range) -> None:
    """Mark frames as failed because they kill the workers that process them."""
    why = (
        f"The process for frames {frames.start} to {frames.stop - 1} died repeatedly: one of them crashes "
        "the cell, or needs more memory than the computer has."
    )
    _fail(job, frames, why)


def _give_up_from(job: Job, fatal: range, *later: range) -> None:
    """Mark frames as failed that kill the worker, and those that need them."""
    give_up(job, fatal)
    died = f"{fatal.start} to {fatal.stop - 1}"
    why = f"Not processed, because the cell needs the frames in order and died at frames {died}."
    for frames in later:
        _fail(job, frames, why)


def _fail(job: Job, frames: range, why: str) -> None:
    times = job.recording.times
    job.write_part(frames, [failure(i, float(times[i]), why) for i in frames])


def _end(job: Job) -> None:
    """Merge the blocks into the final files."""

    def lines() -> Iterator[JournalLine]:
        for frames in job.blocks():
            yield from journal_lines(job.part(frames))

    finish(job.out, lines, taken=[ERRORS])
    _write_errors(job.out / ERRORS, lines)
    write_about(job.out, {**begun_in(job.out), "done": True})
    job.end()


def _write_errors(path: Path, lines: Callable[[], Iterator[JournalLine]]) -> None:
    if not any("error" in line for line in lines()):
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*HEADS, "error"])
        writer.writerows([line["frame"], line["time"], line["error"]] for line in lines() if "error" in line)
