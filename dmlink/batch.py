"""Batch: a live cell over a whole recording, on all cores of this computer or on a Dask cluster."""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import os
import pickle
import threading
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmlink import ipynb, recordings
from dmlink.job import PARTS, Job, digest, failure, load, work, work_in_order, write_whole
from dmlink.program import Program
from dmlink.recordings.recording import Recording
from dmlink.recordings.results import HEADS, finish
from dmlink.recordings.writing import journal_lines, why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from distributed import Client, Future

    from dmlink.cell import LiveCell
    from dmlink.recordings.results import Line

BLOCK_BYTES = 32 << 20  # of frames that a worker is given at once; it reads them one by one
BLOCK_FRAMES = 64
AHEAD = 512  # blocks that Dask knows of at once: it keeps some kB for each, here and where it is worked on
SCHEDULER_SECONDS = 10  # that a scheduler may take to answer
LOOK_SECONDS = 0.5  # how often progress is looked at where one task does all
ABOUT = "process.json"
ERRORS = "errors.csv"
#: How workers on this computer use memory. They keep less of the past for Dask's developers than the thousand
#: entries of each kind, and more of what a cell is done with: Dask gives that back to the system at once, and
#: has pages cleared anew for each array of each frame, most of the time of a cell with many small ones.
THRIFT = {
    "distributed.admin.low-level-log-length": 10,
    "distributed.worker.profile.enabled": False,
    "distributed.nanny.pre-spawn-environ.MALLOC_ARENA_MAX": 1,  # a task's thread is not the main one
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 32 << 20,  # the most that glibc takes
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 64 << 20,
}


def process(
    recording: Recording | str | PathLike[str],
    cell: LiveCell | Program | str | PathLike[str],
    out: str | PathLike[str],
    client: Client | str | None = None,
    *,
    progress: bool = True,
) -> Path:
    """Run a live cell on every frame of a recording; what it gives is what the live cell would give.

    Begun again after an interruption, it goes on where it was. A cell that uses `state` gets the frames in
    their order, on one core; begun again, it goes through all of them once more to have its state back.

    Parameters
    ----------
    recording : Recording or path
    cell : LiveCell, Program or path
        Also "CELL.py", the text of a cell, or "NOTEBOOK.ipynb:NAME".
    out : path
        A folder that is made. Each result by its name: numbers, tables, places and texts as NAME.csv with a
        column `frame` (and as NAME.parquet if pyarrow is installed), images as NAME.ome.zarr, profiles as
        both. A name that is taken gets a `'`: a column `time` of the cell's is called `time'`. Frames on
        which the cell failed are in errors.csv.
    client : distributed.Client or str, optional
        A Dask cluster, or the address of its scheduler; its workers have to see the same files. By default
        all cores of this computer. In a script, call this under `if __name__ == "__main__":`.
    progress : bool
        Whether to show how far it is.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    FileExistsError
        If there is something else in `out`, or all is done already.
    ConnectionError
        If no scheduler answers.
    OSError
        If it cannot be written.
    RuntimeError
        If the cell cannot be loaded, a worker does not see the recording, or it was changed meanwhile.
    """
    program = program_of(cell)
    out = Path(out).expanduser()
    with contextlib.ExitStack() as stack:
        if not isinstance(recording, Recording):
            recording = stack.enter_context(recordings.open(recording))
        load(program)  # here, so that what cannot be imported is told at once, and nothing is begun
        job = _begin(recording, program, out.absolute())
        workers = stack.enter_context(_cluster(client))
        bar = stack.enter_context(_bar(job, progress))
        _run(job, workers, bar)
        if _fingerprint(recording) != job.files:
            raise RuntimeError(
                f"{recording.path} was changed while it was processed; what is in {out} is not complete. "
                "Remove it, and process the recording again when nobody writes to it."
            )
    _end(job)
    return out


def program_of(cell: LiveCell | Program | str | PathLike[str]) -> Program:
    """Return the program of a live cell, of CELL.py, or of NOTEBOOK.ipynb:NAME."""
    if isinstance(cell, Program):
        return cell
    if hasattr(cell, "program"):
        return cell.program
    text = os.fspath(cell)
    file, mark, name = text.rpartition(".ipynb:")
    if mark:
        return ipynb.program(f"{file}.ipynb", name)
    return ipynb.program(text)


def _begin(recording: Recording, program: Program, out: Path) -> Job:
    """Make the folder, or find what was begun there."""
    frame_bytes = recording.dtype.itemsize * recording.shape[1] * recording.shape[2]
    block = min(BLOCK_FRAMES, max(1, BLOCK_BYTES // frame_bytes))
    files = _fingerprint(recording)
    about = {
        "recording": str(recording.path.resolve()),
        "files": files,
        "shape": list(recording.shape),
        "dtype": recording.dtype.str,
        "axes": [list(recording.y), list(recording.x)],
        "options": json.loads(json.dumps(recording.options)),
        "program": program.source,
        "arrays": {name: digest(pickle.dumps(array)) for name, array in program.arrays.items()},
    }
    if out.exists() or out.is_symlink():
        begun = _begun(out)
        others = {key for key in about if begun.get(key) != about[key]}
        if others == {"files"}:
            raise FileExistsError(
                f"{recording.path} was changed since {out} was begun; choose another folder to begin anew."
            )
        if others:
            raise FileExistsError(f"{out} exists, and is not what this has begun; choose another folder.")
        if begun["done"]:
            raise FileExistsError(f"{out} exists and is complete; choose another folder.")
        block = begun["block"]
    else:
        if not out.parent.is_dir():
            raise FileNotFoundError(f"There is no folder {out.parent}; make it first.")
        (out / PARTS).mkdir(parents=True)
        (out / "program.py").write_text(program.source, encoding="utf-8")
        _write_about(out, {**about, "block": block, "done": False})
    return Job(recording, files, program, out, block)


def _begun(out: Path) -> dict[str, Any]:
    try:
        begun = json.loads((out / ABOUT).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return begun if isinstance(begun, dict) else {}


def _write_about(out: Path, about: dict[str, Any]) -> None:
    write_whole(out / ABOUT, json.dumps(about, indent=1).encode())


def _fingerprint(recording: Recording) -> list[int]:
    """Return how many files a recording has, their bytes, and the sum of the times when they were written.

    The sum, not the newest: what takes the place of a file may be older than the others.
    """
    n = size = written = 0
    for path in recording.files():
        with contextlib.suppress(OSError):  # it is gone, and not counted
            status = path.stat()
            n, size, written = n + 1, size + status.st_size, written + status.st_mtime_ns
    return [n, size, written]


@contextlib.contextmanager
def local(n_workers: int | None = None) -> Iterator[Client]:
    """Give workers on this computer, one thread each; as many as cores that this process may use."""
    import dask  # noqa: PLC0415 - with distributed 0.3 s
    import distributed  # noqa: PLC0415

    with (
        dask.config.set(THRIFT),
        distributed.LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # any free one: several at once are no trouble
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@contextlib.contextmanager
def _cluster(client: Client | str | None) -> Iterator[Client]:
    import distributed  # noqa: PLC0415

    if client is None:
        with local() as workers:
            yield workers
    elif isinstance(client, str):
        try:
            remote = distributed.Client(client, timeout=SCHEDULER_SECONDS)
        except (OSError, ValueError) as error:
            raise ConnectionError(
                f"No Dask scheduler answers at {client}; start one with `dask scheduler`, and workers with "
                "`dask worker ADDRESS`."
            ) from error
        with remote:
            yield remote
    else:
        yield client


@contextlib.contextmanager
def _bar(job: Job, progress: bool) -> Iterator[Any]:
    from tqdm.auto import tqdm  # noqa: PLC0415 - looks for a notebook

    with tqdm(total=len(job.recording), unit="frame", desc=job.program.name, disable=not progress) as bar:
        yield bar


def _run(job: Job, client: Client, bar: Any) -> None:
    """Have the work done; what is interrupted can be begun again."""
    todo = [frames for frames in job.blocks() if not job.part(frames).exists()]
    bar.update(len(job.recording) - sum(map(len, todo)))
    try:
        file = job.write()
        if job.in_order:
            _run_in_order(job, file, client, bar, todo)
        else:
            _run_blocks(job, file, client, bar, todo)
    except OSError as error:
        raise OSError(why_not(error, f"what is done is kept in {job.out}: begin again to go on")) from error
    except CancelledError as error:
        raise ConnectionError(
            f"The Dask scheduler has gone; what is done is kept in {job.out}: begin again to go on."
        ) from error


def _run_blocks(job: Job, file: Path, client: Client, bar: Any, todo: list[range]) -> None:
    from distributed import KilledWorker, as_completed  # noqa: PLC0415

    left, suspects = iter(todo), []
    given: dict[Future[None], range] = {}

    def give(n: int) -> list[Future[None]]:
        blocks = itertools.islice(left, n)
        new = {client.submit(work, file, frames, pure=False): frames for frames in blocks}
        given.update(new)
        return list(new)

    try:
        done = as_completed(give(AHEAD), loop=client.loop)
        for future in done:
            frames = given.pop(future)  # and with the future, Dask forgets the block
            try:
                future.result()
                bar.update(len(frames))
            except KilledWorker:
                suspects.append(frames)
            done.update(give(1))
        left = iter(suspects)  # one by one, since Dask blames all blocks that were to run on the same worker
        for frames in suspects:
            try:
                give(1)[0].result()
            except KilledWorker:
                _give_up(job, frames)
            bar.update(len(frames))
    finally:
        client.cancel(list(given))


def _run_in_order(job: Job, file: Path, client: Client, bar: Any, todo: list[range]) -> None:
    from distributed import KilledWorker  # noqa: PLC0415

    over = threading.Event()
    future = client.submit(work_in_order, file, pure=False)
    future.add_done_callback(lambda _: over.set())
    try:
        while todo:
            ended = over.wait(LOOK_SECONDS)
            for frames in [frames for frames in todo if job.part(frames).exists()]:
                todo.remove(frames)
                bar.update(len(frames))
            if ended:
                break
        future.result()
    except KilledWorker:
        for frames in todo:
            _give_up(job, frames)
            bar.update(len(frames))
    finally:
        client.cancel([future])


def _give_up(job: Job, frames: range) -> None:
    """Note that frames kill whoever works on them."""
    why = (
        f"The process that worked on frames {frames.start} to {frames.stop - 1} died, again and again: one "
        "of them crashes the cell, or needs more memory than there is."
    )
    job.write_part(frames, [failure(i, 0.0, why) for i in frames])


def _end(job: Job) -> None:
    """Put the parts together."""

    def lines() -> Iterator[Line]:
        for frames in job.blocks():
            yield from journal_lines(job.part(frames))

    finish(job.out, lines, taken=[ERRORS])
    _write_errors(job.out / ERRORS, lines)
    _write_about(job.out, {**_begun(job.out), "done": True})
    job.end()


def _write_errors(path: Path, lines: Callable[[], Iterator[Line]]) -> None:
    if not any("error" in line for line in lines()):
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*HEADS, "error"])
        writer.writerows([line["frame"], line["time"], line["error"]] for line in lines() if "error" in line)
