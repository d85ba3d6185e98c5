"""`%%live` in a real IPython: what it starts, replaces and refuses, with one sentence per mistake."""

from __future__ import annotations

import itertools
import re
import sys
import threading

import nbformat
import numpy as np
import pytest
from IPython.core.error import UsageError
from ipywidgets.widgets.widget import _instances as open_widgets
from microscopes import until

import dmlink
from dmlink import gallery
from dmlink.cell.options import Options
from dmlink.cli import main
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


def test_cell_gets_names_of_the_notebook(shell, link):
    shell.run_cell("import numpy as np\nfactor = 2\ndef double(x):\n    return factor * np.mean(x)")
    shell.run_cell_magic("live", "twice", "double(frame)\n")
    assert first_result(shell, "twice").value > 0


def test_running_again_replaces_the_cell(shell, link):
    shell.run_cell_magic("live", "cell", "1.0\n")
    before = shell.run_line_magic("live", "cell")
    shell.run_cell_magic("live", "cell", "2.0\n")
    assert not before.running
    assert first_result(shell, "cell").value == 2.0
    assert len(shell.run_line_magic("live", "")) == 1


@pytest.mark.parametrize(
    "text", ["n: (1, 9) = 2\nframe.mean(), frame[0] * n, Overlay(frame, Points([[1, 2]]))"]
)
def test_cell_run_eight_times_leaves_nothing(shell, link, text):
    before = set(open_widgets)
    for _ in range(8):
        shell.run_cell_magic("live", "cell", text)
        first_result(shell, "cell")
    shell.magics_manager.registry["LiveMagics"].panels.pop("cell").close()
    assert set(open_widgets) == before


def test_cell_run_again_continues_its_strip(shell, link):
    for _ in range(3):
        shell.run_cell_magic("live", "strip", "frame.mean()")
        cell = shell.run_line_magic("live", "strip")
        until(link, lambda cell=cell: cell.latest)
    assert [track.name for track in link.session.tracks if track.name.startswith("strip")] == ["strip"]


def test_taken_name_ends_the_other_cell(shell, link):
    other = dmlink.LiveCell("frame.mean()", "cell").start(link)
    shell.run_cell_magic("live", "cell", "2.0\n")
    assert not other.running
    assert other.error == "Stopped: another cell has taken its name."
    assert first_result(shell, "cell").value == 2.0


def test_reloaded_module_reaches_the_cell(shell, link, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = tmp_path / "filters_of_mine.py"
    module.write_text("from constants_of_mine import K\ndef f():\n    return K")
    (tmp_path / "constants_of_mine.py").write_text("K = 1")
    shell.run_cell("import importlib, filters_of_mine, constants_of_mine")
    shell.run_cell_magic("live", "cell", "filters_of_mine.f() + 0 * frame.mean()\n")
    cell = shell.run_line_magic("live", "cell")
    results_until(cell, 1)
    (tmp_path / "constants_of_mine.py").write_text("K = 2  # edited")
    shell.run_cell("1")
    assert "constants_of_mine was edited: the cell keeps using the old version" in cell.program.notes[0]
    shell.run_cell("importlib.reload(constants_of_mine); importlib.reload(filters_of_mine)")
    results_until(cell, 2)
    assert cell.run(np.zeros((4, 4))).value == 2
    assert "Updated from the notebook: " in cell.program.notes[0]
    module.write_text("def f():\n    return 3")
    shell.run_cell_magic("live", "cell", "filters_of_mine.f() + 0 * frame.mean()\n")
    cell = shell.run_line_magic("live", "cell")
    results_until(cell, 3)
    assert "the cell uses the new version, the notebook the old one" in cell.program.notes[0]


def test_refused_cell_keeps_the_running_one(shell, link):
    shell.run_cell_magic("live", "cell", "1.0\n")
    with pytest.raises(UsageError, match="line 1"):
        shell.run_cell_magic("live", "cell", "not_there + 1\n")
    assert shell.run_line_magic("live", "cell").running


def test_exports_are_the_same_script(shell, link, tmp_path):
    text = "gain: (0, 9) = 2  # counts\nnp.mean(gain * frame)\n"
    shell.run_cell("import numpy as np")
    shell.run_cell_magic("live", "mean", text)
    magic = shell.run_line_magic("live", f"export mean {tmp_path / 'magic.py'}")
    panel = shell.magics_manager.registry["LiveMagics"].panels["mean"]
    panel._export.write()
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


def test_missing_companion_says_what_to_do(shell):
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
        ("../startup", "frame.mean()\n", "cannot be the name"),
        ("cell --fast", "frame.mean()\n", "--fast"),
        ("cell --every 0", "frame.mean()\n", "every=0"),
        ("cell --max-rate 5 --lossless", "frame.mean()\n", "use only one of them"),
        ("cell --memory -1", "frame.mean()\n", "memory"),
        ("cell --history 1", "frame.mean()\n", "--history 1: give at least 2"),
        ("cell --source nothing", "frame.mean()\n", "nothing"),
    ],
)
def test_mistake_is_one_sentence(shell, link, line, cell, says):
    with pytest.raises(UsageError, match=says) as told:
        shell.run_cell_magic("live", line, cell)
    assert "\n" not in str(told.value).strip()


@pytest.mark.parametrize(
    "line",
    ["stop nobody", "stop", "export nobody nowhere.py", "debug nobody", "debug", "load", "dance the tango"],
)
def test_line_magic_refuses_unknown_names(shell, link, line):
    with pytest.raises(UsageError):
        shell.run_line_magic("live", line)


def test_options_reach_the_cell(shell, link):
    shell.run_cell_magic("live", "cell --every 2 --timeout 3 --memory 500 --max-rate 9", "frame.mean()\n")
    options = shell.run_line_magic("live", "cell").options
    assert options == Options(every=2, timeout=3.0, memory=500_000_000, max_rate=9.0)
    shell.run_cell_magic("live", "cell --lossless", "frame.mean()\n")
    assert shell.run_line_magic("live", "cell").options.mode == "lossless"
    assert first_result(shell, "cell").value > 0


def test_list_shows_what_runs_and_where(shell, link):
    assert repr(shell.run_line_magic("live", "")) == "There are no live cells."
    link.set_roi("my roi", dmlink.Roi(0, 0, 8, 8))
    while "my roi" not in link.rois():
        link.next(60)
    shell.run_cell_magic("live", "cell --roi 'my roi'", "frame.mean()\n")
    listed = shell.run_line_magic("live", "")
    assert re.fullmatch(r"cell: \w+, ROI 'my roi' at 127\.0\.0\.1:\d+, not shown", repr(listed))
    assert listed == [shell.run_line_magic("live", "cell")]


def test_cell_runs_on_the_newest_link(shell, link):
    shell.user_ns["last_name"] = link
    with dmlink.connect(link.endpoint) as newest:
        shell.user_ns["link"] = newest  # a name that existed before
        shell.run_cell_magic("live", "cell", "info.index\n")
        assert shell.run_line_magic("live", "cell").link is newest
        shell.run_line_magic("live", "stop cell")


def test_cell_runs_on_a_named_source(shell, link):
    name = link.sources()[0].name
    shell.run_cell_magic("live", f"cell --source '{name}'", "info.source\n")
    assert first_result(shell, "cell").text == name
    ours = shell.run_line_magic("live", "cell").link
    shell.run_line_magic("live", "stop cell")
    ours.close()


@pytest.mark.usefixtures("link")
def test_cell_runs_on_the_last_replay(shell, tmp_path):
    np.save(tmp_path / "played.npy", np.zeros((9, 4, 4), np.uint16))
    with dmlink.replay(tmp_path / "played.npy", fps=20) as replay:
        shell.user_ns["replay"] = replay
        shell.run_cell_magic("live", "cell", "frame.mean()\n")
        assert shell.run_line_magic("live", "cell").link is replay.link
        assert first_result(shell, "cell").value == 0.0
        shell.run_line_magic("live", "stop cell")


def results_until(cell, wanted):
    """Wait for a result, which must arrive although the cell is never restarted."""
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

    def test_number_is_set_and_state_is_kept(self, shell, cell):
        seen = []
        cell.watch(lambda: seen.append(cell.latest[1].value))
        shell.run_cell("offset = 5")
        results_until(cell, 11_005)
        assert min(seen) >= 11_001
        assert cell.program.notes == ("Set in the notebook: offset = 5.",)

    def test_function_and_array_are_taken_over(self, shell, cell):
        pid = cell._runner._worker.pid
        shell.run_cell("def f(x):\n    return -x")
        results_until(cell, -1000)
        shell.run_cell("mask[:] = 2")
        results_until(cell, -2000)
        assert cell._runner._worker.pid == pid
        assert cell.program.notes == ("Updated from the notebook: mask.",)
        assert shell.run_line_magic("live", "other").program.notes == ()

    def test_failed_capture_keeps_the_cell(self, shell, cell):
        shell.run_cell("def make(n):\n    return lambda x: x + n\nf = make(3)")
        assert (
            "keeps running unchanged. line 2: 'f' is defined inside another function" in cell.program.notes[0]
        )
        index = cell.latest[0]
        assert next(i for i, _ in cell.results() if i != index) != index
        assert cell.error == ""
        shell.run_cell("def f(x):\n    return x + offset")
        assert cell.program.notes == ()

    def test_same_names_change_nothing(self, shell, cell):
        program = cell.program
        shell.run_cell("unrelated = 3\ndef f(x):\n    return x + offset")
        assert cell.program.source == program.source
        assert cell.program.notes == ()

    def test_other_type_has_another_control(self, shell, cell):
        panel = shell.magics_manager.registry["LiveMagics"].panels["cell"]
        before = panel.controls["offset"]
        shell.run_cell("offset = 2.5")
        results_until(cell, 1002.5)
        panel.draw_status()
        assert before.comm is None  # closed
        assert panel.controls["offset"].value == 2.5


@pytest.mark.usefixtures("link")
class TestDebug:
    TEXT = (
        "gain: (1, 9) = 2\n"
        "state['seen'] = state.get('seen', 0) + 1\n"
        "state['sink'] = lambda: 0\n"
        "Scalar(gain // (0 if state['seen'] > 3 else 1))\n"
    )

    def test_debug_brings_the_failed_cell(self, shell, capsys):
        with pytest.raises(UsageError, match="has not failed"):
            shell.magics_manager.registry["LiveMagics"]._debug(dmlink.LiveCell("1"))
        shell.run_cell_magic("live", "cell", self.TEXT)
        cell = shell.run_line_magic("live", "cell")
        cell.set(gain=3)
        wait_for_failure(cell, "gain = 3")
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

    def test_debug_brings_the_killing_frame(self, shell):
        shell.run_cell_magic("live", "cell", "import os\nos._exit(3)\n")
        cell = shell.run_line_magic("live", "cell")
        wait_for_failure(cell)
        assert cell.failure()["frame"].shape == (16, 16)


def wait_for_failure(cell, words=""):
    """Wait for an error with this text; the cell may have failed before, with another parameter."""

    def has_failed():
        return cell.error and words in cell.error

    failed = threading.Event()
    unwatch = cell.watch(lambda: has_failed() and failed.set())
    assert has_failed() or failed.wait(60), cell.error
    unwatch()


def test_new_gallery_ends_what_the_last_one_tries(shell):
    first = shell.run_line_magic("live", "gallery")
    first.try_out("running_difference")
    link = first.cell.link
    second = shell.run_line_magic("live", "gallery")
    assert link.closed
    assert first.widget.comm is None
    second.close()


def test_gallery_cell_is_put_into_notebook(shell):
    shell.run_line_magic("live", "load gallery/running_difference")
    name, text = shell.rl_next_input.split("\n", 1)
    assert name == "%%live running_difference"
    assert text == gallery.text("running_difference")
    with pytest.raises(UsageError, match=r"no cell 'dritf' in the gallery; available: .*running_difference"):
        shell.run_line_magic("live", "load gallery/dritf")


def test_warning_names_its_line_once(shell, link):
    shell.run_cell("import numpy as np")
    shell.run_cell_magic("live", "cell", "x = frame * 0\n\nnp.log(x)\n5\n")
    cell = shell.run_line_magic("live", "cell")
    assert len(list(itertools.islice(cell.results(), 5))) == 5
    assert cell.log == ["line 3: RuntimeWarning: divide by zero encountered in log: np.log(x)"]


def test_options_in_the_cells_first_comment(shell, link):
    cell = "# Brightness of the columns\n# live: --waterfall --every 3\nframe.mean(axis=0)\n"
    shell.run_cell_magic("live", "cell", cell)
    panel = shell.magics_manager.registry["LiveMagics"].panels["cell"]
    assert panel.cell.options.every == 3
    shell.run_cell_magic("live", "cell --every 2", cell)  # the line takes precedence
    panel = shell.magics_manager.registry["LiveMagics"].panels["cell"]
    assert panel.cell.options.every == 2
    with pytest.raises(UsageError, match="--colour"):
        shell.run_cell_magic("live", "cell", "# live: --colour red\nframe\n")


def test_help_and_list_are_complete(shell, capsys):
    shell.run_line_magic("live", "help")
    said = capsys.readouterr().out
    for word in ("--roi", "--waterfall", "%live load", "--every"):
        assert word in said
    assert repr(shell.run_line_magic("live", "list")) == repr(shell.run_line_magic("live", ""))


def test_tab_completes_names_and_options(shell, link):
    shell.run_cell_magic("live", "mean", "frame.mean()\n")

    def tab(line):
        return shell.complete("", line, len(line))[1]

    assert {"stop", "help", "mean"} <= set(tab("%live "))
    assert "mean" in tab("%live stop ")
    assert "gallery/denoise" in tab("%live load ")
    assert {"--roi", "--lossless"} <= set(tab("%%live mean "))
