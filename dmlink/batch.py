"""Batch: a live cell over a whole recording, on all cores of this computer or on a Dask cluster."""

from __future__ import annotations

import ast
import contextlib
import csv
import functools
import json
import os
import pickle
import threading
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmlink import ipynb, recordings
from dmlink.program import Instance, Program
from dmlink.recordings.recording import Recording
from dmlink.recordings.results import ResultWriter, finish
from dmlink.recordings.writing import journal_lines, why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from distributed import Client

    from dmlink.cell import LiveCell
    from dmlink.recordings.results import Line

BLOCK_BYTES = 32 << 20  # of frames that a worker is given at once; it reads them one by one
BLOCK_FRAMES = 64
SCHEDULER_SECONDS = 10  # that a scheduler may take to answer
LOOK_SECONDS = 0.5  # how often progress is looked at where one task does all
ABOUT, PARTS = "process.json", "parts"


@dataclass(frozen=True)
class Job:
    """What a worker needs: the recording (pickled: it is opened once in each process) and the program."""

    recording: bytes
    program: Program
    out: Path
    frames: int
    block: int
    interval: float

    def blocks(self) -> list[range]:
        """Return the frames of each block."""
        return [range(i, min(i + self.block, self.frames)) for i in range(0, self.frames, self.block)]

    def part(self, frames: range) -> Path:
        """Return the file that is there once these frames are done."""
        return self.out / PARTS / f"{frames.start:09d}.jsonl"

    @property
    def in_order(self) -> bool:
        """Whether the cell keeps something from frame to frame."""
        names = {node.id for node in ast.walk(ast.parse(self.program.text)) if isinstance(node, ast.Name)}
        return "state" in names


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
        both. Frames on which the cell failed are in errors.csv.
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
        If the recording was changed meanwhile.
    """
    program = program_of(cell)
    with contextlib.ExitStack() as stack:
        if not isinstance(recording, Recording):
            recording = stack.enter_context(recordings.open(recording))
        before = _fingerprint(recording)
        job = _begin(recording, program, Path(out).expanduser())
        _load(program)  # here, so that what cannot be imported is told at once
        workers = stack.enter_context(_cluster(client))
        bar = stack.enter_context(_bar(job, progress))
        _run(job, workers, bar)
        if _fingerprint(recording) != before:
            raise RuntimeError(
                f"{recording.path} was changed while it was processed; what is in {job.out} is not complete. "
                "Remove it, and process the recording again when nobody writes to it."
            )
    _end(job)
    return job.out


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
    if text.endswith(".ipynb"):
        return ipynb.program(text)
    return Program.from_cell(Path(text).read_text("utf-8"), Path(text).stem)


# What workers do


def work(job: Job, frames: range) -> None:
    """Process the frames of a block, which do not depend on others."""
    recording, instance = _opened(job.recording), _instance(job.program)
    _work(job, frames, recording, instance)


def work_in_order(job: Job) -> None:
    """Process all frames one after the other; those done already for their state only."""
    recording, instance = _opened(job.recording), Instance(job.program)
    for frames in job.blocks():
        _work(job, frames, recording, instance)


def _work(job: Job, frames: range, recording: Recording, instance: Instance) -> None:
    done = job.part(frames).exists()
    writer = ResultWriter(job.out, job.frames, job.interval)
    lines = []
    for i in frames:
        time, line = float(recording.times[i]), None
        try:
            frame = recording[i]
            result = instance.process(frame.data, frame.info)
        except Exception as error:  # noqa: BLE001 - whatever it was, it was on this frame
            line = _failure(i, time, job.program.explain(error))
        else:
            if result is not None and not done:
                line = writer.line(i, i, time, result)
        lines += [line] if line else []
    if not done:
        _write_part(job, frames, lines)


def _write_part(job: Job, frames: range, lines: list[Line]) -> None:
    part = job.part(frames)
    made = part.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
    made.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    made.replace(part)


def _failure(frame: int, time: float, why: str) -> Line:
    return {"frame": frame, "time": time, "at": frame, "results": {}, "error": why}


@functools.lru_cache(maxsize=2)
def _opened(recording: bytes) -> Recording:
    found: Recording = pickle.loads(recording)  # noqa: S301 - from the one who gives us work
    return found


_loaded: dict[str, Instance] = {}  # the program that this process runs


def _instance(program: Program) -> Instance:
    if program.source not in _loaded:
        _loaded.clear()
        _loaded[program.source] = Instance(program)
    return _loaded[program.source]


# What is done here


def _load(program: Program) -> None:
    try:
        program.load()
    except Exception as error:
        raise RuntimeError(f"The cell {program.name!r} cannot be run: {program.explain(error)}") from error


def _begin(recording: Recording, program: Program, out: Path) -> Job:
    """Make the folder, or find what was begun there."""
    frame_bytes = recording.dtype.itemsize * recording.shape[1] * recording.shape[2]
    block = min(BLOCK_FRAMES, max(1, BLOCK_BYTES // frame_bytes))
    about = {
        "recording": str(recording.path.resolve()),
        "shape": list(recording.shape),
        "dtype": recording.dtype.str,
        "axes": [list(recording.y), list(recording.x)],
        "options": json.loads(json.dumps(recording.options)),
        "program": program.source,
    }
    if out.exists() or out.is_symlink():
        begun = _begun(out)
        if {key: begun.get(key) for key in about} != about:
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
    fps = recording.fps
    return Job(pickle.dumps(recording), program, out, len(recording), block, 1 / fps if fps else 1.0)


def _begun(out: Path) -> dict[str, Any]:
    try:
        begun = json.loads((out / ABOUT).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return begun if isinstance(begun, dict) else {}


def _write_about(out: Path, about: dict[str, Any]) -> None:
    made = out / f"{ABOUT}.new"
    made.write_text(json.dumps(about, indent=1), encoding="utf-8")
    made.replace(out / ABOUT)


def _fingerprint(recording: Recording) -> tuple[int, int] | None:
    try:
        status = recording.path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


@contextlib.contextmanager
def _cluster(client: Client | str | None) -> Iterator[Client]:
    import distributed  # noqa: PLC0415 - takes 0.3 s

    if client is None:
        with (
            distributed.LocalCluster(
                n_workers=os.cpu_count(),
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",  # any free one: several at once are no trouble
                silence_logs=50,
            ) as cluster,
            distributed.Client(cluster) as local,
        ):
            yield local
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

    with tqdm(total=job.frames, unit="frame", desc=job.program.name, disable=not progress) as bar:
        yield bar


def _run(job: Job, client: Client, bar: Any) -> None:
    """Have the work done; what is interrupted can be begun again."""
    todo = [frames for frames in job.blocks() if not job.part(frames).exists()]
    bar.update(job.frames - sum(map(len, todo)))
    try:
        if job.in_order:
            _run_in_order(job, client, bar, todo)
        else:
            _run_blocks(job, client, bar, todo)
    except OSError as error:
        raise OSError(why_not(error, f"what is done is kept in {job.out}: begin again to go on")) from error
    except CancelledError as error:
        raise ConnectionError(
            f"The Dask scheduler has gone; what is done is kept in {job.out}: begin again to go on."
        ) from error


def _run_blocks(job: Job, client: Client, bar: Any, todo: list[range]) -> None:
    from distributed import KilledWorker, as_completed  # noqa: PLC0415

    futures = {client.submit(work, job, frames, pure=False): frames for frames in todo}
    try:
        for future in as_completed(futures):
            frames = futures[future]
            try:
                future.result()
            except KilledWorker:
                _give_up(job, frames)
            bar.update(len(frames))
    finally:
        client.cancel(list(futures))


def _run_in_order(job: Job, client: Client, bar: Any, todo: list[range]) -> None:
    from distributed import KilledWorker  # noqa: PLC0415

    over = threading.Event()
    future = client.submit(work_in_order, job, pure=False)
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
    _write_part(job, frames, [_failure(i, 0.0, why) for i in frames])


def _end(job: Job) -> None:
    """Put the parts together."""

    def lines() -> Iterator[Line]:
        for frames in job.blocks():
            yield from journal_lines(job.part(frames))

    finish(job.out, lines)
    _write_errors(job.out / "errors.csv", lines)
    _write_about(job.out, {**_begun(job.out), "done": True})
    for frames in job.blocks():
        job.part(frames).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # the rest of a worker that was killed
        (job.out / PARTS).rmdir()


def _write_errors(path: Path, lines: Callable[[], Iterator[Line]]) -> None:
    if not any("error" in line for line in lines()):
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", "time", "error"])
        writer.writerows([line["frame"], line["time"], line["error"]] for line in lines() if "error" in line)
