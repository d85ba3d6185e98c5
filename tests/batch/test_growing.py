"""Processing while a recording is being written gives the same results as for the finished recording."""

import subprocess
import time

import numpy as np
import pytest
import tifffile
from growing_writer import command, frame, path_of

import dmlink
from dmlink.batch import process, process_growing, processing, workers
from dmlink.cli import main
from dmlink.growing import growth

FRAMES = 30


@pytest.fixture(scope="module")
def client():
    with workers.local(2) as client:
        yield client


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(processing, "BLOCK_FRAMES", 8)


def same(one, other):
    """Check that two folders of results are equal, row for row and pixel for pixel."""
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    for name in names:
        if name.endswith(".csv"):
            assert (one / name).read_text() == (other / name).read_text()
        if name.endswith(".zarr"):
            with dmlink.open(one / name) as here, dmlink.open(other / name) as there:
                np.testing.assert_array_equal(np.asarray(here), np.asarray(there))
                assert (here.times.tolist(), here.x) == (there.times.tolist(), there.x)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("raw", "{'mean': float(frame.mean()), 'corner': frame[:8, :8] * 1.0}"),
        ("tree", "state['sum'] = state.get('sum', 0) + int(frame.sum())\nstate['sum'] + info.time"),
        pytest.param("tiff", "frame.mean() + info.time", marks=pytest.mark.exhaustive),  # ends after 20 s
    ],
)
def test_results_equal_those_when_finished(kind, text, tmp_path, client):
    (tmp_path / "set").mkdir()
    path = path_of(kind, tmp_path / "set")
    cell = dmlink.LiveCell(text, name="cell")
    writer = subprocess.Popen(command(kind, tmp_path / "set", 3, FRAMES), stdout=subprocess.DEVNULL)
    while not any((tmp_path / "set").iterdir()):
        assert writer.poll() is None
        time.sleep(0.01)
    followed = process_growing(path, cell, tmp_path / "followed", client, idle=20.0, progress=False)
    assert writer.wait(300) == 0
    same(followed, process(path, cell, tmp_path / "afterwards", client, progress=False))


def test_interruption_can_be_continued(tmp_path, client, monkeypatch):
    folder, out = tmp_path / "set", tmp_path / "out"
    folder.mkdir()
    for i in range(20):
        tifffile.imwrite(folder / f"{i}.tif", frame(i), photometric="minisblack")
    cell = dmlink.LiveCell("float(frame.mean())", name="mean")
    blocks = []
    whole = processing.run_blocks

    def cut(job, file, workers, bar, todo):
        blocks.append([frames.start for frames in todo])
        whole(job, file, workers, bar, todo[:1])
        if len(blocks) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr("dmlink.batch.growing.run_blocks", cut)
    with pytest.raises(KeyboardInterrupt):
        process_growing(folder, cell, out, client, idle=2.0, progress=False)
    process_growing(folder, cell, out, client, idle=2.0, progress=False)
    assert blocks == [[0, 8], [8]]
    same(out, process(folder, cell, tmp_path / "other", client, progress=False))
    with pytest.raises(FileExistsError, match="complete"):
        process_growing(folder, cell, out, client, idle=2.0, progress=False)


def test_another_job_is_refused(tmp_path, client):
    tifffile.imwrite(tmp_path / "0.tif", frame(0))
    (tmp_path / "out").mkdir()
    cell = dmlink.LiveCell("float(frame.mean())")
    with pytest.raises(FileExistsError, match="another job"):
        process_growing(tmp_path, cell, tmp_path / "out", client, progress=False)


def test_command_follows_a_recording(tmp_path, capsys, monkeypatch):
    folder, written = tmp_path / "set", tmp_path / "written"
    (tmp_path / "cell.py").write_text("float(frame.mean())")
    written.mkdir()
    for i in range(3):
        tifffile.imwrite(written / f"{i}.tif", frame(i), photometric="minisblack")

    def look(path, find=growth.find_layout):
        try:
            return find(path)
        except FileNotFoundError:  # everything appears at once: no pause seems to be the end
            written.rename(folder)
            raise

    monkeypatch.setattr(growth, "find_layout", look)
    words = ["process", str(folder), str(tmp_path / "cell.py"), "-o", str(tmp_path / "out")]
    assert main([*words, "--follow", "--idle", "5"]) == 0
    assert "cell.csv" in capsys.readouterr().out
    assert len((tmp_path / "out" / "cell.csv").read_text().splitlines()) == 4
