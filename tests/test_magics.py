"""`%%live` in a real IPython: what it starts, replaces and refuses; each mistake is one sentence."""

from __future__ import annotations

import itertools
import threading

import nbformat
import numpy as np
import pytest
from IPython.core.error import UsageError

import dmlink
from dmlink import gallery
from dmlink.cli import main
from dmlink.runner import Options
from dmlink.simulator import Microscope


@pytest.fixture
def shell(new_shell, tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shell = new_shell()
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


def test_the_button_the_magic_and_the_command_write_the_same_script(shell, link, tmp_path):
    text = "gain: (0, 9) = 2  # counts\nnp.mean(gain * frame)\n"
    shell.run_cell("import numpy as np")
    shell.run_cell_magic("live", "mean", text)
    magic = shell.run_line_magic("live", f"export mean {tmp_path / 'magic.py'}")
    panel = shell.magics_manager.registry["LiveMagics"].panels["mean"]
    panel._write()
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in ("import numpy as np", f"%%live mean\n{text}")]
    )
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    (tmp_path / "mean.py").write_text(f"import numpy as np\n\n{text}")
    assert main(["export", "lesson.ipynb", "mean", "-o", "notebook.py"]) == 0
    assert main(["export", "mean.py", "-o", "file.py"]) == 0
    written = [tmp_path / name for name in (magic, "mean_dm.py", "notebook.py", "file.py")]
    assert len({path.read_text("utf-8") for path in written}) == 1


def test_live_stop_and_export(shell, link, tmp_path, monkeypatch):
    shell.run_cell_magic("live", "cell", "frame.mean()\n")
    path = shell.run_line_magic("live", f"export cell {tmp_path / 'cell.py'}")
    assert "def process(frame, info, state):" in path.read_text()
    cell = shell.run_line_magic("live", "cell")
    with pytest.raises(UsageError, match=r"exists.*--overwrite"):
        shell.run_line_magic("live", f"export cell {path}")
    assert shell.run_line_magic("live", f"export cell '{path}' --overwrite") == path
    monkeypatch.chdir(tmp_path)
    assert shell.run_line_magic("live", r"export cell .\cell_dm.py").name.endswith(r"\cell_dm.py")
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
        ("cell --every 0", "frame.mean()\n", "every=0"),
        ("cell --max-rate 5 --lossless", "frame.mean()\n", "choose one"),
        ("cell --memory -1", "frame.mean()\n", "memory"),
        ("cell --history 1", "frame.mean()\n", "--history 1: it takes at least 2"),
        ("cell --source nothing", "frame.mean()\n", "nothing"),
    ],
)
def test_mistake_is_told_in_one_sentence(shell, link, line, cell, says):
    with pytest.raises(UsageError, match=says) as told:
        shell.run_cell_magic("live", line, cell)
    assert "\n" not in str(told.value).strip()


@pytest.mark.parametrize(
    "line",
    ["stop nobody", "stop", "export nobody nowhere.py", "debug nobody", "debug", "load", "dance the tango"],
)
def test_line_magic_refuses_what_is_not_there(shell, link, line):
    with pytest.raises(UsageError):
        shell.run_line_magic("live", line)


def test_options_reach_the_cell(shell, link):
    shell.run_cell_magic("live", "cell --every 2 --timeout 3 --memory 500 --max-rate 9", "frame.mean()\n")
    options = shell.run_line_magic("live", "cell").options
    assert options == Options(every=2, timeout=3.0, memory=500_000_000, max_rate=9.0)
    shell.run_cell_magic("live", "cell --lossless", "frame.mean()\n")
    assert shell.run_line_magic("live", "cell").options.mode == "lossless"
    assert first_result(shell, "cell").value > 0


def test_a_cell_can_run_on_a_source_by_its_name(shell, link):
    name = link.sources()[0].name
    shell.run_cell_magic("live", f"cell --source '{name}'", "info.source\n")
    assert first_result(shell, "cell").text == name
    ours = shell.run_line_magic("live", "cell").link
    shell.run_line_magic("live", "stop cell")
    ours.close()


@pytest.mark.usefixtures("link")
def test_a_cell_runs_on_the_replay_that_the_notebook_has_made_last(shell, tmp_path):
    np.save(tmp_path / "played.npy", np.zeros((9, 4, 4), np.uint16))
    with dmlink.replay(tmp_path / "played.npy", fps=20) as replay:
        shell.user_ns["replay"] = replay
        shell.run_cell_magic("live", "cell", "frame.mean()\n")
        assert shell.run_line_magic("live", "cell").link is replay.link
        assert first_result(shell, "cell").value == 0.0
        shell.run_line_magic("live", "stop cell")


def results_until(cell, wanted):
    """Wait for a result, which must come though the cell is never started anew."""
    for _, result in cell.results():
        if result.value == wanted:
            return
    raise AssertionError(cell.error)


@pytest.mark.usefixtures("link")
class TestTheCellFollowsTheNotebook:
    @pytest.fixture
    def cell(self, shell):
        shell.run_cell(
            "import numpy as np\nmask = np.ones(1000)\ndef f(x):\n    return x + offset\noffset = 1"
        )
        text = "state['n'] = state.get('n', 0) + 1\nf(mask.sum()) + 10_000 * (state['n'] > 3)\n"
        shell.run_cell_magic("live", "cell", text)
        shell.run_cell_magic("live", "other", "1.0\n")
        cell = shell.run_line_magic("live", "cell")
        results_until(cell, 11_001)
        return cell

    def test_a_number_is_set_and_state_is_kept(self, shell, cell):
        seen = []
        cell.watch(lambda: seen.append(cell.latest[1].value))
        shell.run_cell("offset = 5")
        results_until(cell, 11_005)
        assert min(seen) >= 11_001
        assert cell.program.notes == ("Set in the notebook: offset = 5.",)

    def test_a_function_and_an_array_are_taken_over_by_the_same_process(self, shell, cell):
        pid = cell._runner._worker.pid
        shell.run_cell("def f(x):\n    return -x")
        results_until(cell, -1000)
        shell.run_cell("mask[:] = 2")
        results_until(cell, -2000)
        assert cell._runner._worker.pid == pid
        assert cell.program.notes == ("Taken over from the notebook: mask.",)
        assert shell.run_line_magic("live", "other").program.notes == ()

    def test_what_cannot_be_taken_over_is_said_and_the_cell_goes_on(self, shell, cell):
        shell.run_cell("def make(n):\n    return lambda x: x + n\nf = make(3)")
        assert "goes on as it was. line 2: 'f' is made inside another function" in cell.program.notes[0]
        index = cell.latest[0]
        assert next(i for i, _ in cell.results() if i != index) != index
        assert cell.error == ""
        shell.run_cell("def f(x):\n    return x + offset")
        assert cell.program.notes == ()

    def test_what_makes_no_difference_changes_nothing(self, shell, cell):
        program = cell.program
        shell.run_cell("unrelated = 3\ndef f(x):\n    return x + offset")
        assert cell.program.source == program.source
        assert cell.program.notes == ()

    def test_another_kind_of_value_has_another_control(self, shell, cell):
        panel = shell.magics_manager.registry["LiveMagics"].panels["cell"]
        before = panel.controls["offset"]
        shell.run_cell("offset = 2.5")
        results_until(cell, 1002.5)
        panel.draw_status()
        assert panel.controls["offset"] is not before
        assert panel.controls["offset"].value == 2.5


@pytest.mark.usefixtures("link")
class TestDebug:
    TEXT = (
        "gain: (1, 9) = 2\n"
        "state['seen'] = state.get('seen', 0) + 1\n"
        "state['sink'] = lambda: 0\n"
        "Scalar(gain // (0 if state['seen'] > 3 else 1))\n"
    )

    def test_what_failed_last_comes_into_the_notebook_with_the_cells_text(self, shell, capsys):
        with pytest.raises(UsageError, match="has not failed"):
            shell.magics_manager.registry["LiveMagics"]._debug(dmlink.LiveCell("1"))
        shell.run_cell_magic("live", "cell", self.TEXT)
        cell = shell.run_line_magic("live", "cell")
        cell.set(gain=3)
        wait_for_failure(cell)
        assert "frame (16, 16) uint16; gain = 3" in cell.error
        shell.run_line_magic("live", "stop cell")
        shell.run_line_magic("live", "debug cell")
        names = shell.user_ns
        assert (names["frame"].shape, names["gain"]) == ((16, 16), 3)
        assert names["info"].index >= 0
        assert names["state"].keys() == {"seen"}
        assert names["state"]["seen"] > 3
        assert "are as they were when 'cell' failed: frame" in capsys.readouterr().out
        text = shell.rl_next_input
        assert text.startswith(
            "from dmlink import Scalar\n# cell, on the frame that failed\ngain = 3  # 1 to 9"
        )
        assert isinstance(shell.run_cell(text).error_in_exec, ZeroDivisionError)

    def test_a_frame_that_killed_the_cell_can_be_looked_at(self, shell):
        shell.run_cell_magic("live", "cell", "import os\nos._exit(3)\n")
        cell = shell.run_line_magic("live", "cell")
        wait_for_failure(cell)
        assert cell.failure()["frame"].shape == (16, 16)


def wait_for_failure(cell):
    failed = threading.Event()
    unwatch = cell.watch(lambda: cell.error and failed.set())
    assert cell.error or failed.wait(20)
    unwatch()


def test_a_cell_of_the_gallery_is_put_into_the_notebook(shell):
    shell.run_line_magic("live", "load gallery/running_difference")
    name, text = shell.rl_next_input.split("\n", 1)
    assert name == "%%live running_difference"
    assert text == gallery.text("running_difference")
    with pytest.raises(UsageError, match=r"no cell 'dritf' in the gallery; there are: .*running_difference"):
        shell.run_line_magic("live", "load gallery/dritf")


def test_a_warning_names_the_cells_line_once(shell, link):
    shell.run_cell("import numpy as np")
    shell.run_cell_magic("live", "cell", "x = frame * 0\n\nnp.log(x)\n5\n")
    cell = shell.run_line_magic("live", "cell")
    assert len(list(itertools.islice(cell.results(), 5))) == 5
    assert cell.log == ["line 3: RuntimeWarning: divide by zero encountered in log: np.log(x)"]
