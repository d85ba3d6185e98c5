"""Files from an earlier release can be opened: recordings, their programs, exported scripts."""

import csv
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import dmlink

OF_0_1_0 = Path(__file__).parent / "written_by_0_1_0"
RECORDING, SCRIPT = OF_0_1_0 / "gold.ome.zarr", OF_0_1_0 / "statistics_dm.py"
FRAMES = np.arange(3 * 64, dtype=np.uint16).reshape(3, 8, 8)

#: Names that programs of 0.1.0 import from dmlink, which a cell can use without an import.
IMPORTS = {
    "dmlink.indm.info": {"Axis"},
    "dmlink.indm.memory": {"FrameCounter", "LastFrames", "Reference", "RunningAverage", "Tracks"},
    "dmlink.indm.results": {
        *("Boxes", "Image", "Overlay", "Points", "Profile", "Scalar", "Several", "Table", "Text")
    },
}


def test_recording_of_0_1_0_opens():
    with dmlink.open(RECORDING) as recording:
        assert (recording.shape, recording.dtype, recording.name) == ((3, 8, 8), np.uint16, "Gold")
        assert (recording.y, recording.x) == (dmlink.Axis(-1.0, 0.25, "nm"), dmlink.Axis(-2.0, 0.5, "nm"))
        assert np.array_equal([frame.data for frame in recording], FRAMES)
        assert recording[0].tags["high_tension"] == 200000.0
        assert (np.diff(recording.times) > 0).all()


def test_results_of_0_1_0_open():
    folder = RECORDING / "cells" / "statistics"
    with (folder / "mean.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["frame", "time", "value"]
    assert [float(row[2]) for row in rows[1:]] == [31.5, 95.5, 159.5]
    with dmlink.open(folder / "rows.ome.zarr") as profiles:
        assert np.array_equal([frame.data[0] for frame in profiles], FRAMES.mean(axis=2))


def test_program_of_0_1_0_runs():
    source = (RECORDING / "cells" / "statistics" / "program.py").read_text("utf-8")
    module, state = {}, {}
    exec(source, module)  # noqa: S102 - as whoever finds it beside a recording may do
    with dmlink.open(RECORDING) as recording:
        results = [module["process"](frame.data, frame.info, state) for frame in recording]
    assert [result["mean"].value for result in results] == [31.5, 95.5, 159.5]


@pytest.mark.parametrize("module", IMPORTS)
def test_imports_of_old_programs_resolve(module):
    assert all(hasattr(import_module(module), name) for name in IMPORTS[module])


def test_script_of_0_1_0_becomes_a_cell():
    cell = dmlink.read_script(SCRIPT)
    assert (cell.name, cell.parameters["gain"].comment) == ("statistics", "of the mean")
    result = cell.run(FRAMES[1])
    assert result.results["mean"].value == 95.5
    assert result.results["spots"].labels == ("a",)


def test_script_of_0_1_0_runs_in_dm():
    with dmlink.open(RECORDING) as recording:
        assert dmlink.check(SCRIPT, recording).equal
