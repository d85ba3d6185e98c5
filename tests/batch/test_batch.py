"""Batch: a cell over a whole recording gives the same as the live cell, whatever happens on the way."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import subprocess
import sys
import time
import warnings

import distributed
import h5py
import nbformat
import numpy as np
import pandas as pd
import pytest
import zarr
from disks import make_read_only, small_disk
from PIL import Image as Picture

import dmlink
from dmlink import recordings
from dmlink.batch import processing, workers
from dmlink.cli import main
from dmlink.indm.results import Boxes, Image, Overlay, Points, Profile, Table, Text
from dmlink.program.program import Program
from dmlink.recordings.writing.results import finish
from dmlink.simulator.dm.gatan_files import write_in_situ_raw, write_in_situ_tree

N = 30


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    monkeypatch.setattr(workers, "SCHEDULER_SECONDS", 120)


@pytest.fixture(scope="module")
def client():
    """Two workers for all tests."""
    with two_workers() as client:
        yield client


@contextlib.contextmanager
def two_workers():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A recording of 30 frames, processed in blocks of 4."""
    monkeypatch.setattr(processing, "BLOCK_FRAMES", 4)
    stack = np.random.default_rng(3).integers(0, 4000, (N, 20, 24), np.uint16)
    stack[:, 0, 0] = np.arange(N)
    np.save(tmp_path / "gold.npy", stack)
    (tmp_path / "gold.json").write_text('{"scale": 0.05, "unit": "nm", "fps": 20}', "utf-8")
    return tmp_path / "gold.npy"


def run(path, text, client, out="out", **options):
    namespace = {"np": np, "Image": Image, "Profile": Profile, "Points": Points, "Boxes": Boxes,
                 "Overlay": Overlay, "Table": Table, "Text": Text, "time": time, "os": os}  # fmt: skip
    program = Program.from_cell(text, "cell", namespace)
    folder = path.path.parent if isinstance(path, recordings.Recording) else path.parent
    return processing.process(path, program, folder / out, client, progress=False, **options), program


def stack_of(image):
    return zarr.open_array(image / "0", mode="r")[:]


def test_numbers_equal_those_of_the_live_cell(path, client):
    out, program = run(path, "{'mean': frame.mean(), 'n': info.index, 'scale': info.scale}", client)
    table = pd.read_csv(out / "cell.csv")
    cell = dmlink.LiveCell(program.text, namespace={"np": np})
    with recordings.open(path) as recording:
        expected = [cell.run(frame).value for frame in recording]
        np.testing.assert_array_equal(table.time, recording.times)
    assert table.frame.tolist() == list(range(N))
    for name in ("mean", "n", "scale"):
        assert table[name].tolist() == [value[name] for value in expected]
    pd.testing.assert_frame_equal(pd.read_parquet(out / "cell.parquet"), table)
    assert {p.name for p in out.iterdir()} == {"cell.csv", "cell.parquet", "process.json", "program.py"}


def test_images_are_ome_zarr_with_axes(path, client):
    text = (
        "({'power': Image(frame.astype(float) ** 2, scale=2, unit='nm'),"
        " 'rows': Profile(frame.mean(1), scale=0.5, unit='1/nm')})"
    )
    out, _ = run(path, text, client)
    stack = np.load(path)
    np.testing.assert_array_equal(stack_of(out / "power.ome.zarr"), stack.astype(float) ** 2)
    np.testing.assert_array_equal(stack_of(out / "rows.ome.zarr")[:, 0], stack.mean(2))
    rows = pd.read_csv(out / "rows.csv", index_col="frame")
    np.testing.assert_array_equal(rows.iloc[:, 1:], stack.mean(2))
    assert list(rows.columns[:4]) == ["time", "0 1/nm", "0.5 1/nm", "1 1/nm"]
    with recordings.open(out / "power.ome.zarr") as power:
        assert (power.x.scale, power.x.unit, power.fps) == (2, "nm", pytest.approx(20))


def test_marks_tables_and_texts_name_their_frame(path, client):
    text = (
        "n = info.index % 3\n"
        "(Points(np.full((n, 2), info.index), name='found'), Boxes(np.ones((1, 4)), name='boxes'),"
        " Text(n, name='note'),\n"
        " Table({'size': np.arange(n), 'kind': np.array(['a', 'b'][:n])}, name='sizes'))"
    )
    out, _ = run(path, text, client)
    found = pd.read_csv(out / "found.csv")
    assert found.frame.tolist() == [i for i in range(N) for _ in range(i % 3)]
    assert found.y.tolist() == found.frame.tolist()
    assert list(pd.read_csv(out / "boxes.csv").columns[2:]) == ["top", "left", "bottom", "right"]
    assert pd.read_csv(out / "sizes.csv").kind.tolist() == list("aab"[:3]) * (N // 3)
    assert pd.read_csv(out / "note.csv").text.tolist() == [i % 3 for i in range(N)]


def test_exit_costs_only_its_frame(path, client):
    out, _ = run(path, "import sys\nif info.index == 9: sys.exit()\nframe.max()", client)
    assert pd.read_csv(out / "errors.csv").frame.tolist() == [9]
    assert len(pd.read_csv(out / "cell.csv")) == N - 1


def test_long_texts_of_several_lines_fit_a_parquet(tmp_path):
    text = "mean\n" * 20
    part = {"kind": "text", "columns": {"text": [text]}}
    lines = [{"frame": i, "time": i / 2, "at": i, "results": {"note": part}} for i in range(20_000)]
    finish(tmp_path, lambda: lines)
    assert pd.read_parquet(tmp_path / "note.parquet").text.tolist() == [text] * len(lines)


@pytest.mark.parametrize("value", [2**63, "x" * 2_000_000])
def test_value_beyond_parquet_is_in_the_csv(tmp_path, value):
    part = {"kind": "table", "columns": {"n": [value]}}
    lines = [{"frame": i, "time": i / 2, "at": i, "results": {"t": part}} for i in range(3)]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        finish(tmp_path, lambda: lines)
    assert str(value) in (tmp_path / "t.csv").read_text()
    refused = any("t.parquet was not written" in str(w.message) for w in told)
    assert refused == (value == 2**63)
    assert (tmp_path / "t.parquet").exists() != refused


def test_frames_after_a_fatal_one_say_why(path):
    text = "state['n'] = 1\nif info.index == 9: os._exit(3)\nframe.mean()"
    out, _ = run(path, text, None)
    assert pd.read_csv(out / "cell.csv").frame.tolist() == list(range(8))
    errors = pd.read_csv(out / "errors.csv")
    assert errors.frame.tolist() == list(range(8, N))
    assert (errors.error[:4].str.contains("died repeatedly")).all()
    assert (errors.error[4:].str.contains("in order and died at frames 8 to 11")).all()
    with recordings.open(path) as recording:
        np.testing.assert_allclose(errors.time, recording.times[8:])


def test_results_of_taken_names_are_kept(path, client):
    text = (
        "({'time': 5, \"time'\": 6, 'mean': 7}, Table({'frame': [1, 2], 'time': ['a', 'b']}, name='sizes'),"
        " Overlay(frame, Points([[1, 2]]), Points([[3, 4]]), Boxes([[1, 2, 3, 4]], name='sizes')))"
    )
    out, _ = run(path, text, client)
    numbers, sizes = (pd.read_csv(out / f"{name}.csv") for name in ("1", "sizes"))
    assert list(numbers.columns) == ["frame", "time", "time'", "time''", "mean"]
    assert numbers.iloc[3].tolist() == [3, 0.15, 5, 6, 7]
    assert sizes.iloc[:2].to_numpy().tolist() == [[0, 0, 1, "a"], [0, 0, 2, "b"]]
    pd.testing.assert_frame_equal(pd.read_parquet(out / "1.parquet"), numbers)
    assert pd.read_csv(out / "3 points.csv").iloc[0].tolist()[2:] == [1, 2]
    assert pd.read_csv(out / "3 points'.csv").iloc[0].tolist()[2:] == [3, 4]
    assert list(pd.read_csv(out / "sizes'.csv").columns[2:]) == ["top", "left", "bottom", "right"]


def test_results_of_one_file_name_are_kept(path, client):
    text = (
        "if info.index == 0:\n    1 / 0\n"
        "now = frame.mean() if info.index % 2 else Profile(frame[0])\n"
        "{'a/b': 1 if info.index % 3 else None, 'a:b': 2, 'A_B': None if info.index % 2 else frame[:2],"
        " 'a_B': frame[:2] + 1, 'errors': 3, 'now': now, 'con': 4}"
    )
    out, _ = run(path, text, client)

    def table(name):
        return pd.read_csv(out / f"{name}.csv")

    assert table("a_b").frame.tolist() == [i for i in range(1, N) if i % 3]
    assert table("a_b'").frame.tolist() == list(range(1, N))
    values = {name: set(table(name).value) for name in ("a_b", "a_b'", "errors'", "con_")}
    assert values == {"a_b": {1}, "a_b'": {2}, "errors'": {3}, "con_": {4}}
    stack = np.load(path)[:, :2]
    np.testing.assert_array_equal(stack_of(out / "a_B.ome.zarr")[1:], stack[1:] + 1)
    np.testing.assert_array_equal(stack_of(out / "A_B'.ome.zarr")[2::2], stack[2::2])
    assert table("errors").frame.tolist() == [0]
    assert table("now").frame.tolist() == list(range(1, N, 2))
    assert table("now'").frame.tolist() == list(range(2, N, 2))


def test_each_image_shape_has_its_own_array(path, client):
    out, _ = run(path, "frame[: 4 + 2 * (info.index > 10)]", client)
    stack = np.load(path)
    np.testing.assert_array_equal(stack_of(out / "cell.ome.zarr")[:11], stack[:11, :4])
    np.testing.assert_array_equal(stack_of(out / "cell 6x24 uint16.ome.zarr")[11:], stack[11:, :6])


def test_result_images_have_frame_times(path, client):
    with recordings.open(path) as recording:
        recording.times = 100 + np.cumsum(np.arange(N))
        out, _ = run(recording, "frame * 2.0", client)
        with recordings.open(out / "cell.ome.zarr") as images:
            np.testing.assert_allclose(images.times, recording.times)


def test_errors_do_not_stop_other_frames(path, client):
    text = "if info.index % 7 == 2:\n    1 / 0\nNone if info.index == 3 else frame.max()"
    out, _ = run(path, text, client)
    errors = pd.read_csv(out / "errors.csv")
    assert errors.frame.tolist() == [2, 9, 16, 23]
    assert "line 2: 1 / 0\nZeroDivisionError" in errors.error[0]
    assert pd.read_csv(out / "cell.csv").frame.tolist() == [
        i for i in range(N) if i % 7 != 2 and i != 3
    ]  # fmt: skip


def test_stateful_cell_gets_frames_in_order(path, client):
    text = "state['sum'] = state.get('sum', 0) + frame[0, 0]\nint(state['sum'])"
    out, _ = run(path, text, client)
    assert pd.read_csv(out / "cell.csv")["value"].tolist() == np.cumsum(np.arange(N)).tolist()


@pytest.mark.parametrize("kind", ["alone", "with state"])
def test_resumes_after_kill_with_same_result(path, client, kind, tmp_path):
    go_on = tmp_path / "go on"
    text = (
        "import time, pathlib\n"
        f"while info.index >= 12 and not pathlib.Path({str(go_on)!r}).exists():\n"
        "    time.sleep(0.01)\n"
        "n = 2\n"
        "frame.astype('float32') * n"
    )
    if kind == "with state":
        text = text.replace("n = 2", "n = state['n'] = state.get('n', 0) + 1")
    (tmp_path / "half.py").write_text(text)
    script = (
        "import sys\nfrom dmlink.batch import processing, workers\n"
        "processing.BLOCK_FRAMES, workers.SCHEDULER_SECONDS = 4, 120\n"
        "processing.process(*sys.argv[1:], progress=False)\n"
    )
    half, address = tmp_path / "half.py", client.scheduler.address
    command = [sys.executable, "-c", script, path, half, tmp_path / "killed", address]
    killed = subprocess.Popen(command)
    parts = tmp_path / "killed" / "parts"
    while len(list(parts.glob("*.jsonl"))) < 2:
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    go_on.touch()
    while busy(client):
        time.sleep(0.01)  # the killed run's tasks go on; they must not write beside the next run's
    assert not json.loads((tmp_path / "killed" / "process.json").read_text())["done"]
    again = processing.process(path, half, tmp_path / "killed", client, progress=False)
    once = processing.process(path, half, tmp_path / "once", client, progress=False)
    np.testing.assert_array_equal(stack_of(again / "half.ome.zarr"), stack_of(once / "half.ome.zarr"))
    assert sorted(p.name for p in again.iterdir()) == sorted(p.name for p in once.iterdir())


def busy(client):
    """Return whether any task is running or about to, even one that nobody waits for."""
    states = client.run_on_scheduler(lambda dask_scheduler: [t.state for t in dask_scheduler.tasks.values()])
    if {"waiting", "queued", "processing", "no-worker"} & set(states):
        return True
    return any(client.run(lambda dask_worker: len(dask_worker.state.executing)).values())


def test_crashing_frame_costs_one_block(path):
    with workers.local(2) as client:
        out, _ = run(path, "if info.index == 9:\n    os._exit(3)\nframe.max()", client)
    errors = pd.read_csv(out / "errors.csv")
    assert errors.frame.tolist() == [8, 9, 10, 11]
    assert "The process for frames 8 to 11 died" in errors.error[0]
    assert pd.read_csv(out / "cell.csv").frame.tolist() == [i for i in range(N) if i // 4 != 2]


def test_lost_workers_are_replaced(path, monkeypatch):
    monkeypatch.setattr(processing, "LOOK_SECONDS", 0.2)
    with workers.local(2) as client:
        for worker in client.cluster.workers.values():
            client.cluster.sync(worker.close)
        assert not client.nthreads()
        out, _ = run(path, "frame.max()", client)
    assert len(pd.read_csv(out / "cell.csv")) == N


def test_workers_that_still_start_are_closed():
    with workers.local(1) as client:
        client.cluster.scale(3)
    assert client.cluster.status == distributed.Status.closed


def test_nothing_is_overwritten(path, client):
    out, _ = run(path, "frame.max()", client)
    before = (out / "cell.csv").read_bytes()
    with pytest.raises(FileExistsError, match="exists and is complete; choose another folder"):
        run(path, "frame.max()", client)
    with pytest.raises(FileExistsError, match="belongs to another job"):
        run(path, "frame.min()", client)
    (path.parent / "mine").mkdir()
    (path.parent / "mine" / "notes.txt").write_text("do not lose")
    with pytest.raises(FileExistsError, match="belongs to another job"):
        run(path, "frame.max()", client, out="mine")
    assert (out / "cell.csv").read_bytes() == before
    assert [p.name for p in (path.parent / "mine").iterdir()] == ["notes.txt"]


def test_bad_arguments_are_refused_at_once(path, client, monkeypatch):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        run(path, "frame.max()", client, out="nowhere/out")
    with pytest.raises(RuntimeError, match="No module named 'no_such_thing'"):
        run(path, "import no_such_thing\nno_such_thing.f(frame)", client, out="import")
    assert not (path.parent / "import").exists()
    monkeypatch.setattr(workers, "SCHEDULER_SECONDS", 0.5)
    with pytest.raises(ConnectionError, match="No Dask scheduler answers at tcp"):
        run(path, "frame.max()", "tcp://127.0.0.1:9", out="scheduler")


def test_changed_recording_is_reported(path, client):
    text = f"import pathlib\nif info.index == 0:\n    pathlib.Path({str(path)!r}).touch()\nframe.max()"
    with pytest.raises(RuntimeError, match="changed while it was processed"):
        run(path, text, client)


def in_files(folder, kind):
    """Write a recording that consists of several files; return its path and one of the files."""
    stack = np.random.default_rng(3).integers(0, 4000, (6, 20, 24), np.uint16)
    path = folder / "x.dm4"
    if kind == "raw":
        write_in_situ_raw(path, stack, exposure=0.1, part_bytes=3000)
        return path, folder / "x.raw_1"
    if kind == "tree":
        write_in_situ_tree(folder, stack, name="x", exposure=0.5)
        return path, next(folder.glob("Hour_00/Minute_00/Second_02/*.dm4"))
    if kind == "zarr":
        zarr.create_array(folder / "x.zarr", data=stack, chunks=(2, 20, 24))
        return folder / "x.zarr", folder / "x.zarr" / "c" / "1" / "0" / "0"
    if kind == "virtual":
        layout = h5py.VirtualLayout(stack.shape, stack.dtype)
        layout[...] = h5py.VirtualSource("part.h5", "frames", stack.shape)
        with h5py.File(folder / "part.h5", "w") as part, h5py.File(folder / "x.h5", "w") as file:
            part["frames"] = stack
            file.create_virtual_dataset("frames", layout)
        return folder / "x.h5", folder / "part.h5"
    if kind == "json":
        np.save(folder / "x.npy", stack)
        return folder / "x.npy", folder / "x.json"
    for i, frame in enumerate(stack):
        Picture.fromarray(frame).save(folder / f"{i}.png")
    return folder, folder / "4.png"


@pytest.mark.parametrize("kind", ["raw", "tree", "zarr", "virtual", "json", "folder"])
def test_resumes_only_if_files_are_unchanged(tmp_path, client, kind, monkeypatch):
    (tmp_path / "data").mkdir()
    path, file = in_files(tmp_path / "data", kind)
    cell = Program.from_cell("frame.max()", "cell", {})

    def process():
        return processing.process(path, cell, tmp_path / "out", client, progress=False)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(processing, "_run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            process()
    before = file.read_bytes() if file.exists() else b""
    if before:
        other = file.with_name("other")
        other.write_bytes(before)
        os.utime(other, (1e9, 1e9))  # neither larger nor newer than the file it replaces
        times = file.stat().st_atime_ns, file.stat().st_mtime_ns
        other.replace(file)
    else:
        file.write_text("{}")
    with pytest.raises(FileExistsError, match=r"has changed since .* was started; choose another"):
        process()
    if before:
        os.utime(file, ns=times)
    else:
        file.unlink()
    assert len(pd.read_csv(process() / "cell.csv")) == 6


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["raw", "folder"])
def test_change_of_another_file_is_reported(tmp_path, client, kind):
    (tmp_path / "data").mkdir()
    path, file = in_files(tmp_path / "data", kind)
    text = f"import pathlib\nif info.index == 0:\n    pathlib.Path({str(file)!r}).touch()\nframe.max()"
    with pytest.raises(RuntimeError, match="changed while it was processed"):
        processing.process(
            path, Program.from_cell(text, "cell", {}), tmp_path / "out", client, progress=False
        )


def test_output_may_lie_in_the_recording(tmp_path, client):
    path, _ = in_files(tmp_path, "folder")
    cell = Program.from_cell("frame.max()", "cell", {})
    out = processing.process(path, cell, path / "results", client, progress=False)
    assert len(pd.read_csv(out / "cell.csv")) == 6


def test_paths_are_relative_to_the_caller(path, client, monkeypatch):
    monkeypatch.chdir(path.parent)
    out = processing.process(path.name, Program.from_cell("frame.max()"), "out", client, progress=False)
    assert len(pd.read_csv(path.parent / out / "cell.csv")) == N


def test_worker_takes_redefined_functions(path, client):
    for factor in (1, 2):
        new = path.with_name("new.npy")
        np.save(new, factor * np.ones((N, 20, 24), np.uint16))
        new.replace(path)
        for offset in (10.0, 20.0):
            mask = np.full((20, 24), offset)
            cell = Program.from_cell("float((frame + mask).max())", "cell", {"mask": mask})
            out = processing.process(path, cell, path.parent / f"{factor} {offset}", client, progress=False)
            assert set(pd.read_csv(out / "cell.csv")["value"]) == {factor + offset}


def test_other_array_means_other_cell(path, client, monkeypatch):
    def process(offset):
        cell = Program.from_cell("float((frame + mask).max())", "cell", {"mask": np.full((20, 24), offset)})
        return processing.process(path, cell, path.parent / "out", client, progress=False)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(processing, "_run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            process(1.0)
    with pytest.raises(FileExistsError, match="belongs to another job"):
        process(2.0)
    assert len(pd.read_csv(process(1.0) / "cell.csv")) == N


def test_arrays_are_not_sent_with_each_task(path, client, monkeypatch):
    sent, submit = [], client.submit

    def watched(*arguments, **options):
        sent.append(len(pickle.dumps(arguments)))
        return submit(*arguments, **options)

    monkeypatch.setattr(client, "submit", watched)
    mask = np.random.default_rng(0).random((1000, 1000))
    cell = Program.from_cell("float(frame.max() + mask[0, 0])", "cell", {"mask": mask})
    out = processing.process(path, cell, path.parent / "out", client, progress=False)
    assert len(pd.read_csv(out / "cell.csv")) == N
    assert max(sent) < 1000


def test_worker_without_recording_says_so(path, client, monkeypatch):
    load = processing.load

    def then_lose_it(program):
        path.unlink()
        return load(program)

    monkeypatch.setattr(processing, "load", then_lose_it)
    told = "A worker cannot start .There is no recording at .* the same files under the same paths"
    with pytest.raises(RuntimeError, match=told):
        run(path, "frame.max()", client)


def test_dask_holds_few_blocks_at_a_time(path, client, monkeypatch):
    monkeypatch.setattr(processing, "AHEAD", 2)
    submit, submitted, before = client.submit, [], set(client.futures)

    def submit_when_others_are_forgotten(*arguments, **options):
        end = time.monotonic() + 60
        while len(set(client.futures) - before) > processing.AHEAD:
            assert time.monotonic() < end, "more blocks are known than were to be"
            time.sleep(0.001)
        submitted.append(arguments)
        return submit(*arguments, **options)

    monkeypatch.setattr(client, "submit", submit_when_others_are_forgotten)
    out, _ = run(path, "frame.max()", client)
    assert len(pd.read_csv(out / "cell.csv")) == N
    assert len(submitted) == 8


def test_full_disk_keeps_finished_results(path, client):
    told = r"The disk is full; finished frames are kept in .*; start again"
    with small_disk(path.parent / "disk", "400k") as disk:
        with pytest.raises(OSError, match=told):
            run(path, "np.random.rand(50, 50)", client, out="disk/out")
        assert list(disk.glob("out/parts/*.jsonl"))


def test_read_only_target_is_reported(path, client):
    with small_disk(path.parent / "disk", "100k") as disk:
        make_read_only(disk)
        with pytest.raises(OSError, match="Read-only file system"):
            run(path, "frame.max()", client, out="disk/out")


def test_command_runs_on_a_cluster(path, client, capsys, tmp_path):
    (tmp_path / "mean.py").write_text("frame.mean()")
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_code_cell("import numpy as np"),
        nbformat.v4.new_code_cell("%%live spread\nnp.ptp(frame)"),
    ]
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    address = client.scheduler.address
    for cell in ("mean.py", "lesson.ipynb:spread"):
        out = str(tmp_path / f"out {cell[:4]}")
        command = ["process", str(path), str(tmp_path / cell), "-o", out, "--scheduler", address]
        assert main(command) == 0
        assert main(command) == 1
        said = capsys.readouterr()
        assert f"{out}: " in said.out
        assert "exists and is complete" in said.err
    assert pd.read_csv(tmp_path / "out less" / "spread.csv").shape == (N, 3)


def test_command_sets_parameters(path, client, capsys, tmp_path):
    text = "n: (0, 9) = None\nword: str = 'a'\nf'{n} {word}'"
    (tmp_path / "cell.py").write_text(text)
    command = ["process", str(path), str(tmp_path / "cell.py"), "--scheduler", client.scheduler.address]
    for given, said in (([], "None a"), (["--set", "n=3", "--set", "word=hann"], "3 hann")):
        out = tmp_path / f"out{len(given)}"
        assert main([*command, "-o", str(out), *given]) == 0
        assert set(pd.read_csv(out / "cell.csv")["text"]) == {said}
    assert main([*command, "-o", str(tmp_path / "no"), "--set", "m=3"]) == 1
    assert "has no parameter 'm'" in capsys.readouterr().err


def test_command_runs_on_local_cores(path, tmp_path):
    (tmp_path / "mean.py").write_text("frame.mean()")
    command = [sys.executable, "-m", "dmlink", "process", path, tmp_path / "mean.py", "-o", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{N}/{N}" in done.stderr
    assert pd.read_csv(tmp_path / "out" / "mean.csv")["value"].tolist() == np.load(path).mean((1, 2)).tolist()


def test_black_image_is_a_result(path, client):
    out, _ = run(path, "Image(frame * 0)", client)
    assert not stack_of(out / "cell.ome.zarr").any()
    assert len(stack_of(out / "cell.ome.zarr")) == N
