"""A check runs the script itself, and reports for every frame whether it shows the cell's result."""

import dataclasses
import threading
import time

import numpy as np
import PIL.Image
import pytest

import dmlink
from dmlink.cli import main
from dmlink.comparison.script_check import check
from dmlink.frame import Axis, Frame, Roi
from dmlink.program.program import Program
from dmlink.script.exporter import export


def frames(n=6, shape=(12, 20), index=0, unit="nm", source="Gold"):
    numbers = np.random.default_rng(3).integers(0, 500, (n, *shape)).astype(np.uint16)
    axis = Axis(-2.0, 0.5, unit)
    return [Frame(data, index + 3 * i, 7.0 * i, axis, axis, source=source) for i, data in enumerate(numbers)]


@pytest.fixture
def exported(tmp_path):
    """Return a function that returns a cell and the path of its script."""

    def exported(text, name="test"):
        cell = dmlink.LiveCell(text, name)
        return cell, cell.export(tmp_path / "script.py")

    return exported


def test_correct_script_equals_its_cell(exported):
    cell, path = exported("Profile(frame.mean(axis=0), scale=info.scale, unit=info.unit)")
    comparison = check(path, frames(index=40), cell)
    assert comparison.equal
    plots = [c for c in comparison if c.window == "test of Gold"]
    assert [c.frame for c in plots] == [40, 43, 46, 49, 52, 55]
    assert all(c.shape == (20,) for c in plots)
    assert {c.window for c in comparison} == {"test of Gold", "test in time of Gold"}
    table = repr(comparison).splitlines()
    assert table[0].split() == ["window", "frames", "equal", "difference"]
    assert [line.split()[-3:] for line in table[1:]] == [["6", "6", "0"]] * 2
    assert comparison._repr_html_().startswith("<pre>")


def test_wrong_value_is_found(exported):
    cell, path = exported("gain: float = 1.0\ngain * frame.mean(axis=0)")
    path.write_text(path.read_text().replace("gain = 1.0", "gain = 1.5"))
    comparison = check(path, frames(), cell)
    assert not comparison.equal
    assert not any(c.equal for c in comparison)
    assert all(100 < c.difference < 200 for c in comparison)
    assert repr(comparison).count("frame 0: the values differ") == 2


def test_wrong_axis_is_found(exported):
    cell, path = exported("Profile(frame[0], scale=info.scale)")
    path.write_text(path.read_text().replace("scale=info.scale)", "scale=2 * info.scale)"))
    comparison = check(path, frames(), cell)
    assert not comparison.equal
    assert all(c.difference == 0 for c in comparison)
    assert "frame 0: axes 0 + 1 i instead of 0 + 0.5 i" in repr(comparison)


def test_wrong_shape_is_found(exported):
    cell, path = exported("frame[:4]")
    path.write_text(path.read_text().replace("frame[:4]", "frame[:5]"))
    comparison = check(path, frames(), cell)
    assert not comparison.equal
    assert comparison[0].shape == (5, 20)
    assert comparison[0].difference == np.inf
    assert "frame 0: shape (5, 20) instead of (4, 20)" in repr(comparison)


@pytest.mark.parametrize(
    ("was", "now", "wrong"),
    [
        ("", "", ""),
        ('Event("bright', 'Event("dark', "frame 9: the event differs"),
        ("> 250", "> 251", "frame 9: the event differs"),
        ("SECONDS = 5.0", "SECONDS = 50.0", "frame 12: the marks differ"),
    ],
    ids=["right", "text", "condition", "mark"],
)
def test_events_are_compared(exported, was, now, wrong):
    seen = frames()
    for i, frame in enumerate(seen):
        frame.data[0, 0] = 251 if i == 3 else 3
    cell, path = exported('Event("bright", when=frame[0, 0] > 250)')
    path.write_text(path.read_text().replace(was, now))
    comparison = check(path, seen, cell)
    assert comparison.equal == (not wrong)
    assert wrong in repr(comparison)
    assert {c.window for c in comparison} == {"Results", "Gold"}


def test_script_error_is_shown(exported):
    cell, path = exported("frame.mean()")
    text = path.read_text()
    line = text.splitlines().index("    return frame.mean()") + 1
    for broken in ("frame.median()", "1 / info.index"):
        path.write_text(text.replace("frame.mean()", broken))
        with pytest.raises(
            RuntimeError, match=rf"failed at frame 0\. It printed:\n.* line {line} of the script: "
        ):
            check(path, frames(), cell)


def test_cell_error_has_its_line(exported):
    cell, path = exported("x = info.index - 2\n1 / x")
    with pytest.raises(RuntimeError) as raised:
        check(path, frames(), cell)
    assert str(raised.value).startswith("The cell fails at frame 6: line 2: 1 / x; ZeroDivisionError: ")
    assert "The script fails too: test: frame 2, line " in str(raised.value)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (("# -----", "# "), ValueError, "not a script exported by dmlink"),
        (("frame.mean()", "frame.mean("), SyntaxError, "never closed"),
        (
            ("\ndef process", "\nimport nosuch\ndef process"),
            RuntimeError,
            "at its start: ModuleNotFound",
        ),
    ],
)
def test_other_files_are_refused(exported, change, error, said):
    cell, path = exported("frame.mean()")
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(error, match=said):
        check(path, frames(), cell)


def test_batch_script_is_refused(tmp_path):
    path = export("frame.mean()", tmp_path / "script.py", target="batch")
    with pytest.raises(ValueError, match="processes a recording"):
        check(path, frames())


def test_windows_are_named_by_the_script(exported):
    _, path = exported("frame.mean()", "from_the_notebook")
    assert check(path, frames(2), Program.from_cell("frame.mean()", "a_file")).equal


def test_marks_of_several_results_are_compared(exported):
    cell, path = exported("Points([[3, 4]], labels=['a']), Boxes([[1, 2, 3, 4]], labels=['b'])")
    assert check(path, frames(2), cell).equal
    path.write_text(path.read_text().replace("['b']", "['c']"))
    assert "frame 0: the labels differ" in repr(check(path, frames(2), cell))


def test_empty_and_repeated_frames_are_skipped(exported):
    cell, path = exported("frame.mean() if info.index % 2 else None")
    comparison = check(path, frames(), cell)
    assert comparison.equal
    assert len(comparison) == 3
    cell = dmlink.LiveCell("state['n'] = state.get('n', 0) + 1\nstate['n']", "test")
    cell.export(path, overwrite=True)
    some = frames()
    comparison = check(path, [some[0], some[0], some[1], some[1], some[2]], cell)
    assert comparison.equal
    assert len(comparison) == 3


def test_nothing_compared_is_not_equal(exported):
    cell, path = exported("None")
    assert not check(path, frames(), cell).equal


def test_view_may_have_any_name(exported):
    cell, path = exported("frame.mean(), Points([[1, 2]])")
    comparison = check(path, frames(source="Gr\u00f6\u00dfe"), cell)
    assert {c.window for c in comparison} == {"test 1 of Gr??e", "Gr\u00f6\u00dfe"}
    assert comparison.equal


def test_units_are_compared_as_dm_writes_them(exported):
    cell, path = exported("Profile(frame[0], scale=info.scale, unit='1/' + info.unit)")
    for unit in ("\u00b5m", "\u03bcm", "\u00c5"):
        assert check(path, frames(unit=unit), cell).equal


def test_check_ignores_state_of_running_cell(exported):
    cell, path = exported("state['n'] = state.get('n', 0) + 1\nstate['n']")
    for _ in range(5):
        cell.run(np.zeros((12, 20)))
    assert check(path, frames(), cell).equal
    assert cell.run(np.zeros((12, 20))).value == 6.0


def test_slow_cell_is_waited_for(exported):
    cell, path = exported("import time\ntime.sleep(0.05)\nframe.mean()")
    assert check(path, frames(4), cell).equal


def test_program_can_be_checked(tmp_path):
    program = Program.from_cell("frame.max()", "test")
    assert check(export(program, tmp_path / "script.py"), frames(3), program).equal


def test_frames_of_an_roi_are_whole_views(exported):
    cell, path = exported("Image(frame, scale=info.scale, origin=(info.y.origin, info.x.origin))")
    some = [
        Frame(f.data[2:8, 4:9], f.index, f.time, f.y.part(2), f.x.part(4), Roi(2, 4, 8, 9), f.source)
        for f in frames()
    ]
    assert check(path, some, cell).equal


def test_recording_can_be_checked(exported, tmp_path):
    np.save(tmp_path / "stack.npy", np.random.default_rng(1).random((4, 16, 16)).astype(np.float32))
    cell, path = exported("frame.std()")
    assert len(check(path, dmlink.open(tmp_path / "stack.npy"), cell)) == 4


def test_frame_tags_reach_the_script(exported):
    cell, path = exported("{name: info.tags[name] for name in ('high_tension', 'exposure', 'binning')}")
    some = [dataclasses.replace(f, tags={"high_tension": 300000.0, "exposure": 0.4}) for f in frames(3)]
    assert check(path, some, cell).equal


def test_prints_are_compared(exported):
    cell, path = exported("'words\\n' + str(info.index)")
    comparison = check(path, frames(), cell)
    assert comparison.equal
    assert comparison[0].window == "Results"
    path.write_text(path.read_text().replace("words", "works"))
    assert not check(path, frames(), cell).equal


def test_several_windows_are_compared(exported):
    text = """
    image = Image(frame * 2.0, scale=info.scale, unit=info.unit)
    marks = Boxes([[1, 2, 3, 4 + info.index]])
    {"sum": frame.sum(), "row": Profile(frame[0]), "both": Overlay(image, Points([[5, 6]])), "marks": marks,
     "said": "words"}
    """
    cell, path = exported(text)
    comparison = check(path, frames(), cell)
    assert comparison.equal, comparison
    assert {c.window for c in comparison} == {
        *(f"test {name} of Gold" for name in ("sum", "row", "row in time", "both")),
        "Gold",
        "Results",
    }
    whole = path.read_text()
    for a, b in (
        ("frame.sum()", "frame.sum() + 1"),
        ("[[5, 6]]", "[[5, 7]]"),
        ("3, 4 +", "3, 5 +"),
        ("frame[0]", "frame[1]"),
    ):
        path.write_text(whole.replace(a, b))
        assert not check(path, frames(2), cell).equal
    path.write_text(whole.replace('    "said"', '    "more": frame, "said"'))
    assert "test more of Gold" in {c.window for c in check(path, frames(2), cell) if not c.equal}


def test_script_is_its_own_reference(exported, tmp_path):
    _, path = exported("n: (0, 9) = 3\nImage(frame * n)")
    path.write_text(path.read_text().replace("n = 3", "n = 4"))
    comparison = check(path, frames(), picture=tmp_path / "windows.png")
    assert comparison.equal
    with PIL.Image.open(tmp_path / "windows.png") as picture:
        assert picture.format == "PNG"
        assert len(picture.getcolors(1 << 20)) > 10


def test_command_prints_table_and_pictures(tmp_path, capsys):
    np.save(tmp_path / "stack.npy", np.random.default_rng(1).random((4, 16, 16)).astype(np.float32))
    (tmp_path / "cell.py").write_text("frame.std()")
    script, data = str(tmp_path / "script.py"), str(tmp_path / "stack.npy")
    assert main(["export", str(tmp_path / "cell.py"), "-o", script]) == 0
    command = ["check", script, "--data", data, "--against", str(tmp_path / "cell.py")]
    assert main(command) == 0
    assert "4 comparisons of 4 frames in 1 windows: all equal." in capsys.readouterr().out
    assert (tmp_path / "script.png").stat().st_size > 500
    assert main(command) == 1
    assert "script.png exists" in capsys.readouterr().err
    (tmp_path / "cell.py").write_text("frame.std() + 1")
    assert main([*command, "--overwrite", "--frames", "2"]) == 1
    assert "2 comparisons of 2 frames in 1 windows: NOT equal." in capsys.readouterr().out


def test_existing_picture_is_kept(exported, tmp_path):
    _, script = exported("frame.mean()")
    (tmp_path / "kept.png").write_text("mine")
    with pytest.raises(FileExistsError, match=r"kept\.png exists"):
        check(script, frames(), picture=tmp_path / "kept.png")
    assert (tmp_path / "kept.png").read_text() == "mine"


def test_script_gets_recorded_times(exported):
    cell, path = exported("first = state.setdefault('first', info.time)\ninfo.time - first")
    assert check(path, frames(), cell).equal


def test_other_threads_keep_the_clock(exported):
    cell, path = exported("info.time")
    times, over = [time.time()], threading.Event()

    def look():
        while not over.wait(0.001):
            times.append(time.time())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        check(path, frames(), cell)
    finally:
        over.set()
        thread.join()
    assert min(times) == times[0]
