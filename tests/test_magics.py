"""`%%live` in a real IPython: what it starts, replaces and refuses; each mistake is one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import dmlink
from dmlink.simulator import Microscope


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "dmlink")
    yield shell
    for panel in shell.magics_manager.registry["LiveMagics"].panels.values():
        panel.close()


@pytest.fixture
def link(shell, tmp_path):
    np.save(tmp_path / "view.npy", np.arange(40 * 16 * 16, dtype=np.uint16).reshape(40, 16, 16))
    with (
        Microscope(dmlink.open(tmp_path / "view.npy"), fps=50) as microscope,
        dmlink.connect(microscope.start_companion()) as link,
    ):
        shell.user_ns["link"] = link
        yield link


def first_result(shell, name):
    return next(iter(shell.run_line_magic("live", name).results()))[1]


def test_live_cell_runs_with_the_names_of_the_notebook(shell, link):
    shell.run_cell("import numpy as np\nfactor = 2\ndef double(x):\n    return factor * np.mean(x)")
    shell.run_cell_magic("live", "twice", "double(frame)\n")
    assert first_result(shell, "twice").value > 0


def test_running_a_cell_again_replaces_it(shell, link):
    shell.run_cell_magic("live", "cell", "1.0\n")
    before = shell.run_line_magic("live", "cell")
    shell.run_cell_magic("live", "cell", "2.0\n")
    assert not before.running
    assert first_result(shell, "cell").value == 2.0
    assert len(shell.run_line_magic("live", "")) == 1


def test_cell_that_is_refused_leaves_the_running_one_alone(shell, link):
    shell.run_cell_magic("live", "cell", "1.0\n")
    with pytest.raises(UsageError, match="line 1"):
        shell.run_cell_magic("live", "cell", "not_there + 1\n")
    assert shell.run_line_magic("live", "cell").running


def test_live_stop_and_export(shell, link, tmp_path):
    shell.run_cell_magic("live", "cell", "frame.mean()\n")
    path = shell.run_line_magic("live", f"export cell {tmp_path / 'cell.py'}")
    assert "def process(frame, info, state):" in path.read_text()
    cell = shell.run_line_magic("live", "cell")
    shell.run_line_magic("live", "stop cell")
    assert not cell.running


def test_without_a_companion_one_sentence_says_what_to_do(shell):
    with pytest.raises(UsageError, match=r"No companion.*dmlink simulate"):
        shell.run_cell_magic("live", "cell", "frame.mean()\n")


@pytest.mark.parametrize(
    ("line", "cell", "says"),
    [
        ("cell", "frame.mean(\n", "line 1"),
        ("cell", "x = 1\nfor\n", "line 2"),
        ("cell", "not_there.mean()\n", "line 1.*not_there"),
        ("cell --roi nowhere", "frame.mean()\n", "no ROI named 'nowhere'"),
        ("", "frame.mean()\n", "name"),
        ("cell --fast", "frame.mean()\n", "--fast"),
    ],
)
def test_mistake_is_told_in_one_sentence(shell, link, line, cell, says):
    with pytest.raises(UsageError, match=says) as told:
        shell.run_cell_magic("live", line, cell)
    assert "\n" not in str(told.value).strip()


@pytest.mark.parametrize("line", ["stop nobody", "export nobody nowhere.py", "dance the tango"])
def test_line_magic_refuses_what_is_not_there(shell, link, line):
    with pytest.raises(UsageError):
        shell.run_line_magic("live", line)
