import ast
import gc
import importlib
import io
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from dmlink.frame import Axis
from dmlink.simulator import Microscope
from dmlink.simulator.dm.gatan_files import write_in_situ_raw

LISTENER = """
import traceback
import numpy as np
import DigitalMicrograph as DM

class Listener(DM.Py_ScriptObject):
    def __init__(self, image):
        DM.Py_ScriptObject.__init__(self)
        self.calls = 0
    def HandleDataChangedEvent(self, flags, image):
        self.calls += 1
        print("frame", int(image.GetNumArray()[0, 0]), DM.IsScriptOnMainThread())
    def HandleWindowClosedEvent(self, flags, window):
        print("window closed")
    def HandleROIRemovedEvent(self, flags, display, roi_flag, display_flags, roi):
        print("ROI removed", roi.GetID())
    def HandleComponentChangedEvent(self, flags, display, flag, display_flags, component):
        print("component", component.GetRect())
    def __del__(self):
        print("listener gone")
        DM.Py_ScriptObject.__del__(self)

view = DM.GetFrontImage()
display = view.GetImageDisplay(0)
listener = Listener(view)
ids = [
    listener.WindowHandleWindowClosedEvent(DM.GetFrontImageDocument().GetWindow(), 'pythonplugin'),
    listener.ImageDisplayHandleROIRemovedEvent(display, 'pythonplugin'),
    listener.ImageDisplayHandleComponentChangedEvent(display, 'pythonplugin'),
    listener.ImageHandleDataChangedEvent(view, 'pythonplugin'),
]
print("ready")
"""


class Recording:
    """Frame i is filled with the number i."""

    name = "Gold"

    def __init__(self, n=7, shape=(16, 32), dtype=np.uint16, unit="nm", tags=None):
        self.shape = (n, *shape)
        self.dtype = np.dtype(dtype)
        self.x = Axis(-8.0, 0.5, unit)
        self.y = Axis(-4.0, 0.25, unit)
        self.tags = tags or {}

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        return SimpleNamespace(data=np.full(self.shape[1:], index, self.dtype))


@pytest.fixture
def microscope():
    with Microscope(Recording(), fps=50) as microscope:
        yield microscope
        assert not microscope.escaped


@contextmanager
def paused(recording=None, **switches):
    """A microscope whose camera shows frame 0 and waits."""
    gc.collect()  # listeners of earlier tests, which would say in this one's output that they are gone
    microscope = Microscope(recording or Recording(), **switches)
    microscope.camera.pause()
    with microscope:
        microscope.camera.step()
        microscope.settle()
        yield microscope
        assert not microscope.escaped


def run(microscope, text, **options):
    script = microscope.run_script(text, **options)
    script.join()
    return script


def dm_threads():
    return [t.name for t in threading.enumerate() if t.name.startswith("dm-")]


# The microscope


def test_module_lasts_as_long_as_microscope():
    with Microscope(Recording()) as first:
        module = importlib.import_module("DigitalMicrograph")
        assert module.GetFrontImage().GetName() == "Gold"
        with pytest.raises(RuntimeError, match="close the other Microscope"):
            Microscope(Recording()).start()
        with pytest.raises(RuntimeError, match="started before"):
            first.start()
    assert "DigitalMicrograph" not in sys.modules


@pytest.mark.usefixtures("microscope")
def test_unknown_calls_do_not_exist():
    module = sys.modules["DigitalMicrograph"]
    for unknown in ("GetString", "Py_Invented", "ImageDataChangedListener"):
        assert not hasattr(module, unknown)
    with pytest.raises(AttributeError):
        module.GetFrontImage().Invented()
    with pytest.raises(AttributeError):
        module.GetFrontImage().invented = 1
    handles = [n for n in dir(module.Py_ScriptObject) if "Handle" in n]
    assert handles == [
        "ImageDisplayHandleComponentChangedEvent",
        "ImageDisplayHandleROIRemovedEvent",
        "ImageHandleDataChangedEvent",
        "WindowHandleWindowClosedEvent",
    ]


def test_threads_are_joined_at_close():
    with Microscope(Recording(), fps=100) as microscope:
        microscope.run_script("import time\nwhile True: time.sleep(0.01)", name="loop")
        microscope.run_script(LISTENER, background=False).wait_for("frame")
        assert sorted(dm_threads()) == ["dm-camera", "dm-main", "dm-script-loop"]
    assert dm_threads() == []
    microscope.close()


def test_close_ends_endless_loops():
    with Microscope(Recording()) as microscope:
        microscope.run_script("print('on')\nwhile True: DM.DoEvents()", background=False).wait_for("on")
    assert dm_threads() == []
    with Microscope(Recording()) as microscope:
        microscope.run_script(
            LISTENER.replace("self.calls += 1", "print('in')\n        while True: pass")
        ).wait_for("in")
    assert dm_threads() == []
    del microscope
    gc.collect()  # its listener prints its last line here, not in the output of another test


def test_unreadable_recording_leaves_nothing():
    recording = Recording()
    recording.x = None
    with pytest.raises(AttributeError):
        Microscope(recording).start()
    assert dm_threads() == []
    assert "DigitalMicrograph" not in sys.modules


def test_view_is_calibrated_and_tagged():
    recording = Recording(unit="µm", tags={"Microscope Info": {"Voltage": 300000.0}, "A:B": 3})
    with Microscope(recording, fps=40) as microscope:
        image = sys.modules["DigitalMicrograph"].GetFrontImage()
        assert image.GetDimensionCalibration(0, 0) == (-8.0, 0.5, b"\xb5m")
        assert image.GetDimensionCalibration(1, 0) == (-4.0, 0.25, b"\xb5m")
        assert (image.GetImgWidth(), image.GetImgHeight(), image.GetDataType()) == (32, 16, 10)
        tags = image.GetTagGroup()
        exposure = "Acquisition:Parameters:High Level:Exposure (s)"
        assert tags.GetTagAsDouble(exposure) == (True, 0.025)
        assert tags.GetTagAsDouble("Microscope Info:Voltage") == (True, 300000.0)
        assert tags["A"]["B"] == 3
        assert tags.GetTagAsLong("A:C") == (False, 0)
        assert microscope.window("Gold").axes == (Axis(-8.0, 0.5, "µm"), Axis(-4.0, 0.25, "µm"))
    with Microscope(recording, unit_bytes=False):
        image = sys.modules["DigitalMicrograph"].GetFrontImage()
        assert image.GetDimensionUnitString(0) == "µm"


def test_calibration_has_two_formats():
    with Microscope(Recording()):
        image = sys.modules["DigitalMicrograph"].GetFrontImage()
        assert image.GetDimensionCalibration(0, 0)[:2] == (-8.0, 0.5)
        assert image.GetDimensionCalibration(0, 1)[:2] == (16.0, 0.5)  # (16 - 16) * 0.5 == -8.0 + 0.5 * 16
        image.SetDimensionCalibration(0, 4.0, 0.25, "nm", 1)
        assert image.GetDimensionCalibration(0, 0)[:2] == (-1.0, 0.25)
        with pytest.raises(ValueError, match="format 2"):
            image.GetDimensionCalibration(0, 2)


# Files


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.complex64])
def test_image_can_be_saved_and_opened(tmp_path, dtype):
    pixels = np.arange(12).reshape(3, 4).astype(dtype)
    with Microscope(Recording()) as microscope:
        dm = sys.modules["DigitalMicrograph"]
        image = dm.CreateImage(pixels.copy())
        image.SetDimensionCalibration(0, -2.0, 0.5, "nm", 0)
        image.GetTagGroup().SetTagAsDouble("Exposure", 0.5)
        image.SaveAsGatan(str(tmp_path / "mean"))
        image.SaveAsGatan(str(tmp_path / "mean.dm4"))  # over the existing file
        document = dm.NewImageDocumentFromFile(str(tmp_path / "mean.dm4"))
        document.Show()
        again = document.GetImage(0)
        same = abs(pixels) if dtype == np.complex64 else pixels
        assert (abs(again.GetNumArray()) == same).all()
        assert again.GetDimensionCalibration(0, 0) == (-2.0, 0.5, "nm")
        assert again.GetTagGroup().GetTagAsDouble("Exposure") == (True, 0.5)
        document.SaveToFile("Gatan Format", str(tmp_path / "again.dm4"))
        assert microscope.window("mean")
    assert (tmp_path / "again.dm4").exists()


@pytest.mark.parametrize("in_situ", ["frame", "stack"])
def test_in_situ_recording_opens(tmp_path, in_situ):
    frames = np.random.default_rng(1).integers(0, 99, (5, 6, 7)).astype(np.uint16)
    write_in_situ_raw(tmp_path / "run.dm4", frames, exposure=0.1)
    with Microscope(Recording(), in_situ=in_situ):
        dm = sys.modules["DigitalMicrograph"]
        opened = dm.OpenImage(str(tmp_path / "run.dm4")).GetNumArray()
        assert np.array_equal(opened, frames if in_situ == "stack" else frames[0])
        with pytest.raises(RuntimeError, match="missing"):
            dm.OpenImage(str(tmp_path / "missing.dm4"))


# The camera


def test_camera_writes_steps_seeks_and_loops():
    with paused() as microscope:
        array = sys.modules["DigitalMicrograph"].GetFrontImage().GetNumArray()
        assert [microscope.camera.step() for _ in range(3)] == [1, 2, 3]
        assert (array == 3).all()
        microscope.camera.seek(6)
        assert [microscope.camera.step() for _ in range(2)] == [6, 0]
        assert microscope.camera.written == 6


def test_last_frame_stays_without_loop():
    with Microscope(Recording(n=4), fps=100, loop=False) as microscope:
        assert microscope.camera.ended.wait(60)
        microscope.settle()
        assert microscope.camera.written == 4
        assert (microscope.window("Gold").data == 3).all()


def test_camera_keeps_its_rate(monkeypatch):
    monkeypatch.setattr("dmlink.simulator.camera._CATCH_UP", 60.0)  # also on a busy computer
    with Microscope(Recording(), fps=100) as microscope:
        times, camera, on_frame = [], microscope.camera, microscope.camera._on_frame

        def noting(image, written):
            times.append(
                (time.perf_counter(), camera._due)
            )  # when this frame was written, and when the next is due
            on_frame(image, written)

        camera._on_frame = noting
        microscope.wait_until(lambda: len(times) >= 200, timeout=300)
        written, due = np.array(times).T
        assert np.diff(due) == pytest.approx(1 / 100)
        assert (written[1:] >= due[:-1]).all()


def test_slow_handler_slows_only_display(monkeypatch):
    monkeypatch.setattr(time, "handled", threading.Event(), raising=False)
    slow = LISTENER.replace("self.calls += 1", "import time; time.handled.wait()")
    with Microscope(Recording(), fps=100) as microscope:
        microscope.run_script(slow).wait_for("ready")
        shown, written = microscope.displayed, microscope.camera.written
        while microscope.camera.written - written < 20:
            time.sleep(0.01)
        assert microscope.displayed - shown <= 1
        time.handled.set()
        microscope.wait_displayed(3)


def test_events_are_queued_or_merged():
    hold = "import time\nprint('busy')\nwhile 'go' not in globals(): time.sleep(0.001)"
    for events, least, most in (("coalesce", 1, 2), ("queue", 25, 25)):
        with paused(events=events) as microscope:
            script = run(microscope, LISTENER)
            holding = microscope.run_script(hold, background=False)
            holding.wait_for("busy")
            for _ in range(25):
                microscope.camera.step()
            microscope.run_script("go = 1")
            microscope.settle()
            calls = sum("frame" in line for line in script.output)
            assert least <= calls <= most, events


def test_players_and_scans_repeat_events():
    for switches, calls in (({"twice_per_frame": True}, 2), ({"partial_frames": 4, "events": "queue"}, 4)):
        with paused(**switches) as microscope:
            script = run(microscope, LISTENER)
            shown = microscope.displayed
            microscope.camera.step()
            microscope.settle()
            assert sum("frame" in line for line in script.output) == calls
            assert microscope.displayed == shown + 1


# Scripts


def test_scripts_share_a_namespace():
    with paused() as microscope:
        run(microscope, "a = 1\nassert __name__ == '__main__'\nassert '__file__' not in globals()")
        assert run(microscope, "print(a + 1, DM.IsScriptOnMainThread())").output == ["2 False"]
        foreground = run(microscope, "print(a, DM.IsScriptOnMainThread())", background=False)
        assert foreground.output == ["1 True"]
        assert microscope.results_window == ["2 False", "1 True"]


def test_output_is_that_of_the_script(microscope, capsys):
    script = microscope.run_script(
        "import threading, traceback\n"
        "def work(): print('from a thread')\n"
        "t = threading.Thread(target=work); t.start(); t.join()\n"
        "DM.Result('no newline')\n"
        "try: 1 / 0\n"
        "except Exception: traceback.print_exc()"
    )
    print("the host's")  # noqa: T201 - that is the point
    script.join()
    assert script.output[0] == "from a thread"
    assert script.wait_for("ZeroDivisionError") == "ZeroDivisionError: division by zero"
    assert "no newline" in script.wait_for("no new")
    assert "the host's" not in microscope.results_window
    assert "from a thread" not in capsys.readouterr().out


def test_handler_output_reaches_its_script(microscope, monkeypatch):
    script = microscope.run_script(
        LISTENER.replace(
            "self.calls += 1",
            "print('called')\n        try: 1 / 0\n        except Exception: traceback.print_exc()",
        )
    )
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    script.wait_for("called")
    script.wait_for("ZeroDivisionError")


def test_streams_are_given_back():
    before = sys.stdout, sys.stderr
    with Microscope(Recording()):
        assert sys.stdout is not before[0]
    assert (sys.stdout, sys.stderr) == before


def test_error_shows_and_ends_waiting(microscope):
    script = microscope.run_script("print('before')\nraise ValueError('broken')")
    with pytest.raises(RuntimeError, match="before"):
        script.wait_for("never")
    with pytest.raises(ValueError, match="broken"):
        script.join()
    assert any("raise ValueError('broken')" in line for line in script.output)
    quiet = microscope.run_script("print('here'); exit()")
    quiet.wait_for("here")
    with pytest.raises(TimeoutError, match="here"):
        quiet.wait_for("never", timeout=0.05)
    quiet.join()
    assert quiet.error is None


def test_newer_syntax_is_refused(microscope):
    text = "if (n := 3) > 2: pass"
    ast.parse(text)
    with pytest.raises(SyntaxError):
        microscope.run_script(text)


def test_ctrl_shift_q_ends_background_script(microscope):
    text = (
        "import time\nprint('on')\ntry:\n    while True: time.sleep(0.01)\nfinally:\n    print('cleaned up')"
    )
    script = microscope.run_script(text)
    script.wait_for("on")
    script.stop()
    script.join()
    assert script.stopped
    assert script.output == ["on", "cleaned up"]
    with pytest.raises(RuntimeError, match="only background scripts"):
        microscope.run_script("1", background=False).stop()


def test_do_events_reenters_main_thread_only():
    text = LISTENER.replace("self.calls += 1", "self.calls += 1; self.again()") + (
        "def again():\n"
        "    if listener.calls == 1:\n"
        "        DM.GetFrontImage().UpdateImage(); DM.DoEvents(); print('depth', listener.calls)\n"
        "listener.again = again\n"
    )
    with paused() as microscope:
        script = run(microscope, text)
        microscope.camera.step()
        script.wait_for("depth 2")
        with pytest.raises(RuntimeError, match="would hang"):
            run(microscope, "DM.DoEvents()")
        with pytest.raises(RuntimeError, match="would hang"):
            sys.modules["DigitalMicrograph"].Result("from nowhere")


def test_do_events_can_hang_in_background():
    with Microscope(Recording(), do_events="hang") as microscope:
        script = microscope.run_script("print('in')\nDM.DoEvents()\nprint('out')")
        script.wait_for("in")
        microscope.wait_displayed(3)  # the others continue
        assert not script.done.is_set()
        script.stop()
        script.join()
        assert script.output == ["in"]


# Listeners


def test_listener_lives_with_its_reference():
    for references, goes_on in (("weak", False), ("strong", True)):
        with paused(references=references) as microscope:
            script = run(microscope, LISTENER)
            ids = run(microscope, "print(*ids)").output[0].split()
            assert list(map(int, ids)) == sorted(map(int, ids))
            microscope.camera.step()
            assert script.wait_for("frame 1") == "frame 1 True"
            run(microscope, "listener = None")
            microscope.settle()
            microscope.camera.step()
            microscope.settle()
            assert ("listener gone" in microscope.results_window) is not goes_on
            assert ("frame 2 True" in script.output) is goes_on


def test_second_run_replaces_the_first():
    with paused() as microscope:
        first, second = run(microscope, LISTENER), run(microscope, LISTENER)
        microscope.camera.step()
        second.wait_for("frame 1")
        assert first.output == ["ready"]
        assert second.output == ["listener gone", "ready", "frame 1 True"]


def test_unregistering_ends_events():
    with paused() as microscope:
        script = run(microscope, LISTENER + "listener.UnregisterAllListeners()")
        microscope.camera.step()
        microscope.settle()
        assert script.output == ["ready"]
    with paused(unregister_all=False, version=(3, 50, 1)) as microscope:
        assert run(microscope, "print(hasattr(DM.Py_ScriptObject, 'UnregisterAllListeners'))").output == [
            "False"
        ]


@pytest.mark.parametrize(
    ("before", "after", "error", "reason"),
    [
        ("(view, 'pythonplugin')", "(view, 'plugin')", ValueError, "pythonplugin"),
        ("(view, 'pythonplugin')", "(display, 'pythonplugin')", TypeError, "needs a Py_Image"),
        ("DM.Py_ScriptObject.__init__(self)", "pass", RuntimeError, "__init__"),
    ],
)
def test_wrong_registration_is_refused(before, after, error, reason):
    with paused() as microscope:
        script = microscope.run_script(LISTENER.replace(before, after))
        with pytest.raises(error, match=reason):
            script.join()


def test_handler_exception_is_recorded():
    with Microscope(Recording(), fps=50) as microscope:
        script = microscope.run_script(LISTENER.replace("self.calls += 1", "self.nothing"))
        script.wait_for("AttributeError")
        microscope.wait_displayed(3)
        assert isinstance(microscope.escaped[0], AttributeError)


# The user


def test_closing_and_capture_close_window():
    for act in ("close_view", "capture", "restart_view"):
        with paused() as microscope:
            script = run(microscope, LISTENER)
            old = microscope.window("Gold").image_id
            getattr(microscope, act)()
            script.wait_for("window closed")
            assert old not in [w.image_id for w in microscope.windows()]
            assert microscope.leaked_images == {"Gold": 1}
            run(microscope, "del view, display, listener")
            microscope.settle()
            assert microscope.leaked_images == {}


def test_binned_view_restarts():
    with paused() as microscope:
        run(microscope, "view = DM.GetFrontImage(); old = view.GetNumArray()")
        same = microscope.window("Gold").image_id
        assert microscope.restart_view(binning=2, new_image=False) == same
        microscope.camera.step()
        window = microscope.window("Gold")
        assert window.data.shape == (8, 16)
        assert (window.data == 4).all()
        assert window.axes[0] == Axis(-8.0, 1.0, "nm")
        assert run(microscope, "print(old.shape, view.GetNumArray().shape)").output == ["(16, 32) (8, 16)"]
        microscope.close_view()
        assert microscope.restart_view(binning=1) != same
        microscope.camera.step()
        assert (microscope.window("Gold").data == 2).all()


def test_user_edits_rois():
    with paused() as microscope:
        script = run(microscope, LISTENER)
        line = microscope.draw_line(0, 0, 5, 5)
        first = microscope.draw_roi(0, 0, 8, 8)
        second = microscope.draw_roi(1, 2, 3, 4)
        seen = run(
            microscope,
            "rois = [display.GetROI(i) for i in range(display.CountROIs())]\n"
            "print([r.GetID() for r in rois if r.IsRectangle()], rois[2].GetRectangle(), rois[0].GetLine())\n"
            "rois[1].SetResizable(False); rois[1].SetVolatile(False)",
        )
        assert seen.output == [f"[{first}, {second}] (1.0, 2.0, 3.0, 4.0) (0.0, 0.0, 5.0, 5.0)"]
        microscope.move_roi(first, 4, 4, 12, 12)
        assert microscope.user_rois() == {first: (4, 4, 12, 12), second: (1, 2, 3, 4)}
        with pytest.raises(RuntimeError, match="not resizable"):
            microscope.move_roi(first, 0, 0, 4, 4)
        microscope.delete_roi(first)
        script.wait_for(f"ROI removed {first}")
        third = microscope.draw_roi(0, 0, 1, 1, add=False)
        assert list(microscope.user_rois()) == [third]
        script.wait_for(f"ROI removed {line}")


def test_script_draws_and_user_moves():
    with paused() as microscope:
        script = run(
            microscope,
            LISTENER + "roi = DM.NewROI(); roi.SetRectangle(0, 0, 4, 8); display.AddROI(roi)\n"
            "assert DM.GetROIFromID(roi.GetID()).GetRectangle() == (0.0, 0.0, 4.0, 8.0)\n"
            "text = display.AddNewComponent(13, 0, 0, 5, 5); text.TextAnnotationSetText('label')\n",
        )
        assert list(microscope.user_rois().values()) == [(0, 0, 4, 8)]
        assert microscope.window("Gold").texts == ("label",)
        microscope.move_component(0, 1, 2, 3, 4)
        script.wait_for("component (1.0, 2.0, 3.0, 4.0)")


# Images


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        ("np.zeros((4, 4))[:2]", "view"),
        ("np.arange(4.).reshape(2, 2)", "view"),
        ("np.zeros((3, 2), order='F')", "C order"),
        ("np.zeros((2, 2), np.int64)", "int64|i8"),
        ("np.zeros((2, 2), bool)", "no image"),
        ("np.zeros((2, 2), '>u2')", ">u2"),
        ("[[1, 2]]", "list"),
        ("DM.GetFrontImage().GetNumArray()", "view"),
    ],
)
def test_create_image_takes_owning_arrays(array, reason):
    text = f"import numpy as np\nprint(DM.CreateImage({array}))"
    with paused(image_arrays=False) as microscope:
        with pytest.raises(ValueError, match=reason):
            run(microscope, text)
        assert run(microscope, "print(DM.CreateImage(__import__('numpy').ones(3)).GetNumArray())").output == [
            "[1. 1. 1.]"
        ]
    with paused(create_image="none", image_arrays=False) as microscope:
        assert run(microscope, text).output == ["None"]


def test_create_image_may_take_image_arrays():
    with paused() as microscope:
        whole = "array = DM.GetFrontImage().GetNumArray()\nprint(DM.CreateImage(array{}).GetDataType())"
        assert run(microscope, whole.format("")).output == ["10"]
        with pytest.raises(ValueError, match="view"):
            run(microscope, whole.format("[1:]"))


def test_result_shows_last_update():
    with paused() as microscope:
        run(
            microscope,
            "import numpy as np\n"
            "result = DM.CreateImage(np.zeros((3, 5), np.float32)); result.SetName('Sum')\n"
            "result.ShowImage()\n"
            "result.SetDimensionCalibration(0, -1.0, 0.5, 'nm', 0); result.SetIntensityUnitString('counts')\n"
            "result.GetImageDisplay(0).SetContrastLimits(0, 9)\n"
            "array = result.GetNumArray()",
        )
        assert [w.name for w in microscope.windows()] == ["Sum", "Gold"]
        run(microscope, "array[...] = 7")
        assert (microscope.window("Sum").data == 0).all()
        run(microscope, "result.UpdateImage()")
        window = microscope.window("Sum")
        assert (window.data == 7).all()
        assert (window.kind, window.axes[0], window.contrast) == (1, Axis(-1.0, 0.5, "nm"), (0, 9))
        assert window.intensity.unit == "counts"
        run(microscope, "del array, result")
        assert microscope.leaked_images == {}
        microscope.close_window("Sum")
        assert [w.name for w in microscope.windows()] == ["Gold"]
        run(microscope, "assert DM.FindImageByName('Sum') is None")


def test_profiles_are_line_plots():
    with paused() as microscope:
        run(
            microscope,
            "import numpy as np\n"
            "profile = DM.CreateImage(np.zeros(8, np.float32)); profile.SetName('Profile')\n"
            "profile.ShowImage()\n"
            "plot = profile.GetImageDisplay(0).GetLinePlotImageDisplay()\n"
            "plot.SetSliceDrawingStyle(0, 1); plot.SetLegendShown(False)\n"
            "plot.SetDoAutoSurvey(False, False)\n"
            "chart = DM.CreateImage(np.zeros((1, 20)))\n"
            "document = DM.NewImageDocument('Chart')\n"
            "document.AddImageDisplay(chart, 3); document.Show()\n"
            "assert DM.FindImageByID(chart.GetID()).GetNumArray().shape == (1, 20)\n"
            "assert DM.CountImageDocuments() == 3\n"
            "assert DM.GetImageDocument(0).GetImage(0).GetID() == chart.GetID()",
        )
        assert [(w.name, w.kind) for w in microscope.windows()] == [("Chart", 3), ("Profile", 3), ("Gold", 1)]
        run(microscope, "DM.DeleteImage(profile); profile.GetNumArray()")
        assert [w.name for w in microscope.windows()] == ["Chart", "Gold"]
    with paused(deleted_usable=False) as microscope:
        run(microscope, "v = DM.GetFrontImage().Clone(); DM.DeleteImage(v)")
        with pytest.raises(RuntimeError, match="deleted"):
            run(microscope, "v.GetNumArray()")


def test_units_are_ascii_with_powers():
    with paused() as microscope:
        run(
            microscope,
            "v = DM.GetFrontImage()\n"
            "v.SetDimensionUnitInfo(0, 'nm', -1); assert v.GetDimensionUnitString(0) == '1/nm'\n"
            "assert v.GetDimensionUnitInfo(0) == ('nm', -1)\n"
            "v.SetDimensionUnitString(0, 'nm-1'); assert v.GetDimensionUnitInfo(0) == ('nm', -1)\n"
            "v.SetDimensionScale(1, 3); assert v.GetDimensionScale(1) == 3.0",
        )
        for call in ("SetName('µ')", "SetDimensionUnitString(0, 'µm')"):
            with pytest.raises(ValueError, match="ASCII"):
                run(microscope, f"v.{call}")


# Tags and DM-script


def test_tags_have_paths():
    with paused(stale_persistent=True) as microscope:
        run(
            microscope,
            "t = DM.NewTagGroup(); t.SetTagAsLong('A:B', 3); t.SetTagAsFloat('A:F', 0.1)\n"
            "assert t.GetTagAsLong('A:B') == (True, 3) and t.GetTagAsString('A:B') == (True, '3')\n"
            "assert t.GetTagAsFloat('A:F') != (True, 0.1) and t.GetTagAsLong('A') == (False, 0)\n"
            "l = DM.NewTagList(); l.InsertTagAsText(0, 'x'); t.SetTagAsTagGroup('List', l)\n"
            "assert t['List'][0] == 'x' and list(t) == ['A', 'List'] and t['A']['B'] == 3\n"
            "c = t.Clone(); t.DeleteAllTags(); assert len(t) == 0 and len(c) == 2\n"
            "DM.GetPersistentTagGroup().SetTagAsString('dmlink:state', 'on')\n"
            "p = DM.GetPersistentTagGroup(); print(p.GetTagAsString('dmlink:state'))",
        )
        with pytest.raises(RuntimeError, match="each time"):
            run(microscope, "p.GetTagAsString('dmlink:state')")


def test_dm_script_returns_version():
    with paused(version=(3, 50, 2)) as microscope:
        script = run(
            microscope,
            "DM.ExecuteScriptString('''\n"
            'number major, minor, bug   // a comment: "x"\n'
            "GetApplicationVersion(major, minor, bug)\n"
            'GetPersistentTagGroup().TagGroupSetTagAsLong("dmlink:minor", minor)\n'
            'TagGroup t = GetPersistentTagGroup(); t.TagGroupSetTagAsString("dmlink:url", "a//b")\n'
            "''')\n"
            "for tag in ('minor', 'url'): print(DM.GetPersistentTagGroup().GetTagAsString('dmlink:' + tag))",
        )
        assert script.output == ["(True, '50')", "(True, 'a//b')"]


def test_dm_script_updates_rgb_image():
    with paused() as microscope:
        run(
            microscope,
            "import numpy as np\n"
            "planes = [DM.CreateImage(np.full((2, 3), v, np.uint8)) for v in (1, 2, 3)]\n"
            "labels = ', '.join(p.GetLabel() for p in planes)\n"
            "DM.ExecuteScriptString('rgb(%s).ShowImage()' % labels)\n"
            "rgb = DM.GetFrontImage(); rgb.SetName('Colours'); assert rgb.GetDataType() == 23\n",
        )
        assert microscope.window("Colours").data[0, 0].tolist() == [1, 2, 3]
        run(
            microscope,
            "planes[0].GetNumArray()[...] = 9\n"
            "try: DM.ExecuteScriptString('image a\\na = rgb(%s)' % labels)\n"
            "except RuntimeError as e: assert 'Error in line 2' in str(e) and 'RGBimage' in str(e)\n"
            "else: raise AssertionError\n"
            "DM.ExecuteScriptString('RGBimage img := FindImageByID(%d)\\nimg = rgb(%s)\\nimg.UpdateImage()'\n"
            "    % (rgb.GetID(), labels))\n"
            "del planes, rgb",
        )
        assert microscope.window("Colours").data[1, 2].tolist() == [9, 2, 3]
        assert microscope.leaked_images == {}


@pytest.mark.parametrize(
    ("text", "error", "reason"),
    [
        ("number a\\nnonsense(a)", RuntimeError, "Error in line 2\n.*nonsense"),
        ("rgb(Z, Z, Z).ShowImage()", RuntimeError, "Error in line 1"),
        ("GetApplicationVersion(a, b, c)", RuntimeError, "declared"),
        ("a = 3", RuntimeError, "not declared"),
        ("Result(", RuntimeError, "Error in line 1"),
        ("Result(\\'\\xb5\\')", ValueError, "ASCII"),
    ],
)
def test_dm_script_refuses_the_unknown(text, error, reason):
    with paused() as microscope, pytest.raises(error, match=reason):
        run(microscope, f"DM.ExecuteScriptString('{text}')")


def test_dialogs_are_recorded():
    with paused(confirm=False) as microscope:
        script = run(
            microscope, "DM.OkDialog('hello'); print(DM.OkCancelDialog('sure?'), DM.GetNumber('n', 3))"
        )
        assert microscope.dialogs == ["hello", "sure?", "n"]
        assert script.output == ["False (False, 3.0)"]


def test_script_drives_the_camera():
    with paused(Recording(n=30_000)) as microscope:  # it does not restart meanwhile
        script = run(
            microscope,
            "camera = DM.GetActiveCamera(); camera.PrepareForAcquire()\n"
            "image = camera.CreateImageForAcquire(2, 2, 3)\n"
            "camera.StartContinuousAcquisition(600.0, 2, 2, 3)\n"
            "print(camera.GetFrameInContinuousMode(image, 0.0), image.GetNumArray().shape)\n"
            "camera.StopContinuousAcquisition()\n"
            "camera.StartContinuousAcquisition(0.02, 2, 2, 3)\n"
            "try:\n"
            "    seen = []\n"
            "    while len(seen) < 3:\n"
            "        if camera.GetFrameInContinuousMode(image, 1.0): seen.append(image.GetNumArray()[0, 0])\n"
            "    print(all(a < b for a, b in zip(seen, seen[1:])))\n"
            "finally:\n"
            "    camera.StopContinuousAcquisition()\n"
            "print(camera.AcquireImage(0.001, 1, 1, 3, 0, 0, 4, 6).GetNumArray().shape)\n"
            "print(camera.AcquireImage(*camera.GetDefaultParameters()).GetNumArray().shape)",
        )
        assert script.output == ["False (8, 16)", "True", "(4, 6)", "(16, 32)"]


def test_calls_come_from_several_threads(microscope):
    text = (
        "import numpy as np\n"
        "def work(n):\n"
        "    image = DM.CreateImage(np.zeros((4, 4))); image.SetName('w%d' % n); image.ShowImage()\n"
        "    for i in range(50):\n"
        "        image.GetNumArray()[...] = i; image.UpdateImage()\n"
        "        DM.FindImageByID(image.GetID()); DM.CountImageDocuments()\n"
        "work({})\n"
    )
    scripts = [microscope.run_script(text.format(n), name=f"w{n}", background=n % 2 == 0) for n in range(6)]
    for script in scripts:
        script.join()
    windows = {w.name: w for w in microscope.windows()}
    assert all((windows[f"w{n}"].data == 49).all() for n in range(6))


@pytest.mark.parametrize(
    ("dtype", "number"), [(np.int64, 12), (np.uint64, 12), (np.float16, 2), (bool, 6), (">u2", 10)]
)
def test_other_types_become_the_nearest(dtype, number):
    with Microscope(Recording(dtype=np.dtype(dtype))):
        assert sys.modules["DigitalMicrograph"].GetFrontImage().GetDataType() == number


def test_wrong_microscope_is_refused():
    with pytest.raises(ValueError, match="no frames"):
        Microscope(Recording(n=0))
    with pytest.raises(ValueError, match="fps"):
        Microscope(Recording(), fps=0)
    with pytest.raises(ValueError, match="events"):
        Microscope(Recording(), events="lost")


# The surroundings of a script

COUNTING = """
import threading, time
counted = [0]
def count(counted=counted, sleep=time.sleep):
    while counted[0] < 1e6:
        counted[0] += 1
        sleep(0.005)
thread = threading.Thread(target=count, daemon=True)
thread.start()
while counted[0] < 3:
    time.sleep(0.005)
"""


@pytest.mark.parametrize("threads", ["run", "frozen"])
def test_threads_after_the_end_may_freeze(threads):
    with Microscope(Recording(), fps=50, threads=threads) as microscope:
        run(microscope, COUNTING)
        run(microscope, "begun = counted[0]")
        if threads == "frozen":
            run(microscope, "time.sleep(0.3)\nassert counted[0] - begun <= 1")
        else:
            run(microscope, "while counted[0] - begun < 4: time.sleep(0.01)")
        counting = [t for t in threading.enumerate() if "count" in t.name]
        assert len(counting) == 1  # a frozen thread still exists, but does not run
        run(microscope, "counted[0] = 1e6")
    for thread in counting:
        thread.join(60)
        assert not thread.is_alive()


def test_frozen_thread_keeps_its_locks():
    text = (
        "import threading, time\n"
        "lock, held = threading.Lock(), threading.Event()\n"
        "def hold(lock=lock, held=held, sleep=time.sleep):\n"
        "    with lock:\n"
        "        held.set()\n"
        "        while True: sleep(0.005)\n"
        "threading.Thread(target=hold, daemon=True).start()\n"
        "held.wait()\n"
    )
    with Microscope(Recording(), threads="frozen") as microscope:
        run(microscope, text)
        assert run(microscope, "print(lock.acquire(timeout=0.1))").output == ["False"]
        holding = [t for t in threading.enumerate() if "hold" in t.name]
    for thread in holding:
        thread.join(60)
        assert not thread.is_alive()


def test_scipy_may_need_the_main_thread():
    with Microscope(Recording(), scipy_in_background=False) as microscope:
        with pytest.raises(ImportError, match="scipy cannot be imported first on the background thread"):
            run(microscope, "import scipy.ndimage")
        run(microscope, "import scipy.ndimage", background=False)
        run(microscope, "from scipy import ndimage\nndimage.gaussian_filter")
    with Microscope(Recording()) as microscope:
        run(microscope, "import scipy.ndimage")


def test_working_directory_is_not_ours(tmp_path):
    with Microscope(Recording()) as microscope:
        with pytest.raises(PermissionError, match="system32"):
            run(microscope, "open('result.txt', 'w')")
        with pytest.raises(FileNotFoundError):
            run(microscope, "open('pyproject.toml')")
        run(microscope, f"open({str(tmp_path / 'a.txt')!r}, 'w').close()")
    assert (tmp_path / "a.txt").exists()


@pytest.mark.parametrize(("argv", "seen"), [("empty", "[]"), ("missing", "None")])
def test_sys_argv_may_be_empty_or_missing(argv, seen):
    before = list(sys.argv)
    with Microscope(Recording(), argv=argv) as microscope:
        assert run(microscope, "import sys\nprint(getattr(sys, 'argv', None))").output == [seen]
    assert sys.argv == before


HEAP = """
import psutil
from dmlink.simulator.allocator import give_back_large_pieces
give_back_large_pieces()
frames = []
for n in range(30):  # freed before the last one is made: glibc keeps what lies below it
    frames.append(bytearray(b"x" * (8 << 20)))
    del frames[: n // 15]
last, frames = frames[-1], None
print(psutil.Process().memory_info().rss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc")
def test_frame_memory_is_released():
    # Dask sets these for its workers, also in this process
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}

    def left(code):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return int(done.stdout)

    kept = left(HEAP.replace("\ngive_back_large_pieces()", ""))
    assert left(HEAP) < kept / 2
