"""A batch script processes an in-situ recording inside DigitalMicrograph like the cell outside."""

import ast
import threading
import time

import numpy as np
import pytest
from microscopes import Noise

import dmlink
from dmlink import Roi
from dmlink.frame import Axis, Info
from dmlink.indm.results import Image
from dmlink.program.instance import Instance
from dmlink.program.program import Program
from dmlink.script.exporter import export, script
from dmlink.simulator import Microscope
from dmlink.simulator.dm.gatan_files import write_in_situ_raw, write_in_situ_tree

CELL = """
factor: (1, 9) = 2  # times
state["n"] = state.get("n", 0) + 1
began = state.setdefault("began", info.time)
rows = Profile(factor * frame.mean(axis=0), scale=info.scale, unit=info.unit)
seconds = info.time - began
{"mean": frame.mean() + seconds, "rows": rows, "sum": Image(frame * 2.0 + state["n"], scale=info.scale)}
"""
AXES = [(0, 0.5, "nm")] * 2
RING = Roi.around("ring", [(2, 3), (2, 5), (1, 3)])


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 60_000, (9, 5, 6)).astype(np.uint16)


@pytest.mark.parametrize("layout", ["raw", "several raw", "tree"])
@pytest.mark.parametrize("background", [False, True])
def test_every_frame_is_in_the_results(tmp_path, frames, layout, background):
    folder = tmp_path / "data"
    folder.mkdir()
    if layout == "tree":
        write_in_situ_tree(folder, frames, name="movie", exposure=0.5, axes=AXES)
        place, source = folder, None
    else:
        place, source = folder / "movie.dm4", "movie"
        part = 77 if layout == "several raw" else None
        write_in_situ_raw(place, frames, exposure=0.25, part_bytes=part, axes=AXES)
    path = export(CELL, tmp_path / "test.py", target="batch")
    text = path.read_text()
    ast.parse(text, feature_version=(3, 7))
    assert dmlink.read_script(path).program.text.startswith("factor: (1, 9) = 2  # times")
    with Microscope(Noise()) as dm:
        running = dm.run_script(text, background=background)
        running.join()
        assert running.output[0].startswith("test: set RECORDING at the top. '' cannot be read")
        running = dm.run_script(
            text.replace('RECORDING = r""', f'RECORDING = r"{place}"'), background=background
        )
        running.join()
        assert running.output[-1].startswith("test: stopped, all frames are done. 9 frames processed")
        windows = {w.name.partition(" of ")[0] + w.name.partition(",")[1]: w for w in dm.windows()}
        cell = Instance(dmlink.read_script(path).program)
        exposure = 0.5 if layout == "tree" else 0.25
        for i, frame in enumerate(frames):
            result = cell.process(
                frame, Info(i, i * exposure, Axis(0, 0.5, "nm"), Axis(0, 0.5, "nm"), None, source or "")
            ).results
            assert windows["test mean"].data[0, i] == np.float32(result["mean"].value)
            assert np.array_equal(windows["test rows in time"].data[:, i], result["rows"].values.astype("f4"))
            assert np.array_equal(windows["test sum,"].data[i], result["sum"].values)
        assert windows["test rows"].axes == (Axis(0, 0.5, "nm"),)
        assert windows["test sum,"].axes[2].unit == "frames"
        image = next(i for i in dm._workspace.living_images() if i.id == windows["test mean"].image_id)
        assert image.tags["In-situ"]["Recorded"]["# Frames"] == 9
        assert not dm.escaped
    assert not dm.leaked_images


@pytest.mark.parametrize("rectangle", [RING, Roi(1, 2, 4, 6), None])
def test_script_processes_the_roi_of_its_cell(tmp_path, frames, rectangle):
    write_in_situ_raw(tmp_path / "movie.dm4", frames, exposure=0.25, axes=AXES)
    cell = Program.from_cell("float(frame[info.roi.mask].sum() + info.x.origin)", "test")
    outline = getattr(rectangle, "outline", None)
    text = script(cell, "batch", outline=outline, rectangle=rectangle)
    assert f"ROI = {rectangle and tuple(rectangle)}\n" in text
    assert ("It looks at the ring in ROI" in text) == (outline is not None)
    ast.parse(text, feature_version=(3, 7))
    (tmp_path / "test.py").write_text(text)
    back = dmlink.read_script(tmp_path / "test.py")
    assert script(back.program, "batch", outline=back.outline, rectangle=back.rectangle) == text
    with Microscope(Noise()) as dm:
        running = dm.run_script(
            text.replace('RECORDING = r""', f'RECORDING = r"{tmp_path / "movie.dm4"}"'), background=False
        )
        running.join()
        if rectangle is None:
            assert any("has no attribute 'mask'" in line for line in running.output)
            return
        top, left, bottom, right = rectangle
        expected = (frames[:, top:bottom, left:right] * rectangle.mask).sum((1, 2)) + left * 0.5
        assert dm.window("test of movie").data[0].tolist() == expected.astype("f4").tolist(), running.output


@pytest.mark.parametrize("roi", ["(1, 2)", "'ring'", "(1, 2, 3, None)"])
def test_roi_that_is_no_rectangle_is_refused(tmp_path, frames, roi):
    write_in_situ_raw(tmp_path / "movie.dm4", frames, exposure=0.25)
    text = script(Program.from_cell("frame.mean()", "test"), "batch", rectangle=(1, 2, 4, 6))
    text = text.replace("ROI = (1, 2, 4, 6)", f"ROI = {roi}")
    with Microscope(Noise()) as dm:
        text = text.replace('RECORDING = r""', f'RECORDING = r"{tmp_path / "movie.dm4"}"')
        running = dm.run_script(text, background=False)
        running.join()
        assert "set ROI at the top to 4 numbers or None" in running.output[0]
    assert not dm.leaked_images
    (tmp_path / "test.py").write_text(text)
    with pytest.raises(ValueError, match="write \\(top, left, bottom, right\\) or None"):
        dmlink.read_script(tmp_path / "test.py")


def test_times_are_those_of_the_folders(tmp_path):
    """Seconds 0 and 1 were recorded, then 4 and 5, with two frames each; the last one was interrupted."""
    frames = np.arange(1, 8, dtype=np.uint16)[:, None, None] * np.ones((4, 4), np.uint16)
    write_in_situ_tree(tmp_path, frames, name="movie", exposure=0.5, axes=AXES)
    minute = tmp_path / "Hour_00" / "Minute_00"
    for before, after in ((3, 5), (2, 4)):
        (minute / f"Second_{before:02}").rename(minute / f"Second_{after:02}")
    recording = dmlink.open(tmp_path)
    assert recording.times.tolist() == [0, 0.5, 1, 1.5, 4, 4.5, 5]
    text = export("RECORDING: float = 1.0\nRECORDING * info.time", tmp_path / "x.py", "batch").read_text()
    with Microscope(Noise()) as dm:
        running = dm.run_script(
            text.replace('RECORDING_ = r""', f'RECORDING_ = r"{tmp_path}"'), background=False
        )
        running.join()
        (shown,) = [w for w in dm.windows() if w.name.startswith("x of ")]
        assert shown.data[0].tolist() == recording.times.tolist(), running.output


def test_frame_without_a_number_is_a_gap(tmp_path, frames):
    write_in_situ_raw(tmp_path / "movie.dm4", frames, exposure=0.25)
    text = export("1 / (info.index % 3)", tmp_path / "x.py", "batch").read_text()
    with Microscope(Noise()) as dm:
        path = tmp_path / "movie.dm4"
        dm.run_script(text.replace('RECORDING = r""', f'RECORDING = r"{path}"'), background=False).join()
        shown = dm.window("x of movie").data[0]
        assert np.array_equal(shown, [np.nan, 1, 0.5] * 3, equal_nan=True)


def test_frame_without_an_image_has_no_pixels(tmp_path, frames):
    write_in_situ_raw(tmp_path / "movie.dm4", frames, exposure=0.25)
    program = Program.from_cell("Image(frame * 1.0) if info.index % 2 else None", "test", {"Image": Image})
    text = script(program, target="batch").replace(
        'RECORDING = r""', f'RECORDING = r"{tmp_path / "movie.dm4"}"'
    )
    with Microscope(Noise()) as dm:
        dm.run_script(text).join()
        (stack,) = (w.data for w in dm.windows() if w.name.endswith("all frames"))
        assert np.isnan(stack[::2]).all()
        np.testing.assert_array_equal(stack[1::2], frames[1::2])


def test_closing_the_result_ends_it(tmp_path, frames, monkeypatch):
    write_in_situ_raw(tmp_path / "movie.dm4", frames, exposure=0.25)
    cell = "import time\ntime.sleep(0.2)\nframe.mean()"
    text = export(cell, tmp_path / "test.py", target="batch").read_text()
    text = text.replace("time.sleep(0.2)", "info.index and time.window_closed.wait()")
    monkeypatch.setattr(time, "window_closed", threading.Event(), raising=False)
    with Microscope(Noise()) as dm:
        running = dm.run_script(text.replace('RECORDING = r""', f'RECORDING = r"{tmp_path / "movie.dm4"}"'))
        dm.window("test of movie")
        dm.close_window("test of movie")
        time.window_closed.set()
        running.join()
        assert "stopped, its window was closed" in running.output[-1]
        assert "9 frames processed" not in running.output[-1]
    assert not dm.leaked_images
