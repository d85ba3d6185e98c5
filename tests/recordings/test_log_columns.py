"""The numbers of other instruments stay with a recording: in tables, conversions and other libraries."""

import csv

import numpy as np
import pytest
from microscopes import PATIENCE, linked, until

import dmlink
from dmlink.cli import main
from dmlink.data import nanoparticles
from dmlink.recordings.writing.convert import convert


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("logs") / "a.ome.zarr"
    with linked(fps=30) as (_, link), link.record(path) as recorder:
        until(link, lambda: recorder.frames > 2)
        link.log("T", 300.0, "C")
        link.log("time", 5.0)
        frame = until(link, lambda: len((frame := link.next(PATIENCE)).log) == 2 and frame)
        until(link, lambda: recorder.times[1] > frame.time + 0.1)
    with dmlink.open(recorder.path) as recording:
        yield recording


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_recording_has_its_logs(recording):
    assert list(recording.logs) == ["T", "time"]
    values = recording.logs["T"]
    assert values.shape == (len(recording),)
    assert np.isnan(values[0])
    assert values[-1] == 300.0
    assert [recording[i].log.get("T", np.nan) for i in range(len(recording))] == pytest.approx(
        values.tolist(), nan_ok=True
    )


def test_process_has_columns_for_logs(recording, tmp_path):
    out = dmlink.process(recording, dmlink.LiveCell("frame.mean()", "mean"), tmp_path / "out")
    (path,) = out.rglob("*.csv")
    rows = table(path)
    assert list(rows[0])[:4] == ["frame", "time", "T", "time'"]
    assert rows[0]["T"] == ""
    assert float(rows[-1]["T"]) == 300.0


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_conversion_has_logs_beside_it(recording, tmp_path, suffix):
    made = convert(recording, tmp_path / f"b{suffix}")
    rows = table(tmp_path / f"b{suffix}.logs.csv")
    assert len(rows) == len(recording)
    assert float(rows[-1]["T"]) == 300.0
    assert made.exists()


def test_command_says_where_logs_are(recording, tmp_path, capsys):
    assert main(["convert", str(recording.path), "-o", str(tmp_path / "c.tif")]) == 0
    assert "c.tif.logs.csv" in capsys.readouterr().out
    assert main(["convert", str(recording.path), "-o", str(tmp_path / "c.npy")]) == 0
    assert "c.npy.logs.csv" in capsys.readouterr().out
    (tmp_path / "d.npy.logs.csv").write_text("mine")
    assert main(["convert", str(recording.path), "-o", str(tmp_path / "d.npy")]) == 1
    assert "d.npy.logs.csv exists; choose another name" in capsys.readouterr().err
    assert not (tmp_path / "d.npy").exists()


def test_parts_and_joined_recordings_have_their_logs(recording):
    values = recording.logs["T"]
    n = len(recording)
    np.testing.assert_array_equal(recording[1::2].logs["T"], values[1::2])
    np.testing.assert_array_equal(recording.part(dmlink.Roi(0, 0, 4, 4)).logs["T"], values)
    with dmlink.open([recording.path, recording.path]) as both:
        np.testing.assert_array_equal(both.logs["T"], np.tile(values, 2))
        assert [frame.log.get("T", np.nan) for frame in both[n - 1 :]] == pytest.approx(
            both[n - 1 :].logs["T"].tolist(), nan_ok=True
        )
    assert dmlink.open(nanoparticles())[:3].logs == {}


def test_hyperspy_has_logs(recording):
    pytest.importorskip("hyperspy")
    assert recording.to_hyperspy().metadata.Logs.T[-1] == 300.0
