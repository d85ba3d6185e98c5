"""The gallery's cells on a link and on a recording: the same text, the same results."""

import csv

import pytest
from microscopes import linked

import dmlink
from dmlink import LiveCell, data, gallery


@pytest.fixture(scope="module")
def link():
    recording = dmlink.open(data.drifting_film())
    with linked(recording, fps=10.0) as (_, opened):
        yield opened


@pytest.mark.parametrize("name", gallery.names())
def test_cell_runs_live(link, name):
    cell = LiveCell(gallery.text(name), name, timeout=60).start(link)
    try:
        _, result = next(cell.results())
        assert result.name == name
        assert not cell.error
    finally:
        cell.stop()


def test_process_equals_cell_frame_by_frame(tmp_path):
    with dmlink.open(data.moving_particles()) as recording:
        cell = LiveCell(gallery.text("particle_tracking"), "particle_tracking")
        expected = [len(cell.run(frame).results["particles"].yx) for frame in recording]
    out = dmlink.process(data.moving_particles(), cell, tmp_path / "out")
    with (out / "count.csv").open() as file:
        assert [float(row["value"]) for row in csv.DictReader(file)] == expected
    with (out / "particles.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(expected)
    assert set(rows[0]) == {"frame", "time", "y", "x", "label"}
