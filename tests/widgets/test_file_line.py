"""The panel of `%%live NAME --file PATH`, without a browser: its line, and its plots."""

import numpy as np
import pytest
from dmlink_widgets.controls.file_line import FileLine
from growing_writer import until
from IPython.core.error import UsageError

import dmlink
from dmlink.cell.file_backed import FileBackedCell
from dmlink.simulator import Microscope
from dmlink.simulator.in_situ import InSitu

N = 30
STACK = np.arange(N * 16 * 16, dtype=np.uint16).reshape(N, 16, 16)


@pytest.fixture
def shell(new_shell, tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    np.save("seen.npy", STACK)
    shell = new_shell()
    shell.run_line_magic("load_ext", "dmlink")
    with (
        Microscope(dmlink.open("seen.npy"), fps=50) as microscope,
        dmlink.connect(microscope.start_companion()) as link,
    ):
        shell.user_ns["link"] = link
        yield shell
        for panel in shell.magics_manager.registry["LiveMagics"].panels.values():
            panel.close()


def panel_of(shell, line):
    shell.run_cell_magic("live", line, "frame.mean()\n")
    return shell.magics_manager.registry["LiveMagics"].panels["cell"]


def says(panel):
    panel.draw_status()
    return panel._file.widget.value


def test_file_results_replace_the_chart(shell):
    panel = panel_of(shell, 'cell --file "my set"')
    cell = panel.cell
    assert isinstance(cell, FileBackedCell)
    until(lambda: cell.latest)
    assert "live, provisional" in says(panel)
    assert "0 of 0 frames" in says(panel)
    assert "There is nothing at" in says(panel)
    shown = panel._plot
    with InSitu(dmlink.open("seen.npy"), "my set", 100) as writer:
        assert writer.ended.wait(60)
    until(lambda: not cell.provisional)
    until(lambda: not panel._provisional)
    assert panel._plot is not shown
    table = np.loadtxt(panel._plot.files()[".csv"]().decode().splitlines(), delimiter=",", skiprows=1)
    np.testing.assert_array_equal(table[:, 1], STACK.mean(axis=(1, 2)))
    assert ">file<" in says(panel)
    assert f"{N} of {N} frames" in says(panel)
    assert "finished" in says(panel)
    panel.close()
    assert not cell.running


def test_problem_is_shown_in_the_panel(shell):
    panel = panel_of(shell, "cell --file set")
    until(lambda: panel.cell.latest)
    shell.user_ns["link"].close()
    until(lambda: not panel.cell.provisional)
    assert "was closed" in says(panel)
    assert "There is nothing at" in says(panel)
    assert panel.cell.running  # the file may still come


def test_unseen_panel_keeps_running(shell):
    panel = panel_of(shell, "cell --file set")
    panel._stop_unseen()
    assert panel.cell.running


def test_other_cells_have_no_such_line(shell):
    panel = panel_of(shell, "cell")
    assert panel._file.widget.layout.display == "none"
    assert FileLine(panel.cell).widget.value == ""


def test_growing_recording_is_no_live_view(shell):
    with dmlink.follow("other") as source:
        shell.user_ns["source"] = source
        with pytest.raises(UsageError, match="needs a live view besides the file set"):
            shell.run_cell_magic("live", "cell --file set", "frame.mean()\n")
