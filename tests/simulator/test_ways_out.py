"""If a GMS lacks or refuses a little-known call, the rest of dmlink goes on working."""

import runpy

import numpy as np
import pytest
from microscopes import PATIENCE, Noise, linked, microscope, until
from project import ROOT

import dmlink
from dmlink import Roi
from dmlink.program.program import Program
from dmlink.script.exporter import script

DM_API = runpy.run_path(str(ROOT / "docs" / "dm_api.py"))
USED = DM_API["used"]()
FEW = [c.name for c in DM_API["calls"]() if c.way_out and c.short in USED and "__" not in c.name]
NOT_GIVEN = {"Py_ImageDisplay.DeleteROI"}  # the simulator does not have this call
NO_COLOURS = {"DMScript.ImageGetID"}  # without it, no colours are shown, and a message says so
FEW = [name for name in FEW if name not in NOT_GIVEN | NO_COLOURS]
HOW = ["missing", "failing"]
OTHERS = {"strict_del": True, "deleted_usable": False, "image_arrays": False, "nested_listeners": False}
LISTENING = {f"Py_ScriptObject.{n}" for n in ("ImageHandleDataChangedEvent", "WindowHandleWindowClosedEvent")}
CELL = """
import numpy as np
line = info.line[0] if info.line else -1.0
marked = Overlay(frame * 1.0, Boxes([[4, 4, 9, 9]], labels=["a"]))
colours = np.dstack([frame, frame, frame]).astype("uint8")
results = {"mean": Scalar(frame.mean()), "line": Scalar(line), "marked": marked, "colours": colours}
results if info.index else None
"""


def switches(call, how):
    return OTHERS | {how: (call,)}


@pytest.mark.exhaustive(cover=1)
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("call", FEW)
def test_link_works_without(call, how):
    recording, constants = Noise(), {"EVENTS_OVERDUE": 0.2, "STILL_SECONDS": 0.1}
    with linked(recording, 30, constants=constants, **switches(call, how)) as (dm, link):
        assert recording.has(link.next(PATIENCE))
        link.set_roi("a", Roi(4, 4, 20, 20))
        until(link, lambda: "a" in link.rois())
        link.remove_roi("a")
        until(link, lambda: "a" not in link.rois())
        for line in ((1, 2, 30.5, 40), (3, 4, 20, 9)):  # drawn, then moved
            link.set_line(dmlink.frame.Line(*line))
            until(link, lambda line=line: link.next(PATIENCE).line == line)
        link.set_line(None)
        until(link, lambda: link.next(PATIENCE).line is None)
        link.show("mean", 3.0)
        link.show("colours", np.full((5, 6, 3), 7, np.uint8))
        assert dm.window("mean").data[0, 0] == 3
        assert (dm.window("colours").data == 7).all()
        dm.close_view()
        until(link, lambda: link.state == "waiting")
        dm.restart_view(binning=2)
        until(link, lambda: link.next(PATIENCE).data.shape == (24, 32))


@pytest.mark.exhaustive(cover=1)
@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("call", FEW)
def test_script_works_without(call, how, background):
    text = script(Program.from_cell(CELL.strip("\n"), "seen", {}))
    with microscope(companion=False, fps=20, **switches(call, how)) as dm:
        dm.draw_line(0, 5, 9, 5)
        run = dm.run_script(text, background=background)
        if call in LISTENING and not background:
            run.wait_for("a listener cannot be created")
            run.wait_for("tick Execute on background thread")
            return
        dm.wait_until(lambda: dm.window("seen mean").updates > 3, PATIENCE)
        line = -1.0 if call in {"Py_ROI.GetLine", "Py_ROI.GetID"} else 5.0  # without these, there is none
        assert dm.window("seen line").data[0, 1] == line
        assert dm.window("seen colours").data.shape == (48, 64, 3)
        assert {kind for kind, _ in dm.window("seen marked").marks} >= {5}
        dm.close_window(dm.window("seen mean").name)
        updates = dm.window("seen line").updates
        dm.wait_until(lambda: dm.window("seen line").updates > updates + 3, PATIENCE)
        assert not [window for window in dm.windows() if "seen mean" in window.name]
        said = [line for line in run.output if "Traceback" in line or "showing the result" in line]
        assert not said, run.output
        dm.close_view()


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("how", HOW)
def test_script_need_not_know_its_thread(how, background):
    text = script(Program.from_cell("frame.mean()", "seen", {}))
    with microscope(companion=False, fps=20, **{how: ("DM.IsScriptOnMainThread",)}) as dm:
        run = dm.run_script(text, background=background)
        dm.wait_until(lambda: dm.window("seen").updates > 3, PATIENCE)
        assert not [line for line in run.output if "Traceback" in line], run.output
        dm.close_view()
        run.wait_for("stopped")


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("call", sorted(NO_COLOURS))
def test_colours_alone_are_lost_without(call, how):
    text = script(Program.from_cell(CELL.strip("\n"), "seen", {}))
    with linked(fps=20, **{how: (call,)}) as (dm, link):
        run = dm.run_script(text)
        dm.wait_until(lambda: dm.window("seen mean").updates > 3, PATIENCE)
        assert [line for line in run.output if "showing the result: RuntimeError: " in line]
        for i in range(3):
            link.show("colours", np.full((5, 6, 3), i, np.uint8))
            link.show("mean", float(i))
            dm.wait_until(lambda i=i: dm.window("mean").data[0, -1] == i, PATIENCE)
        said = [line for line in dm.companion.output if "colours cannot be shown here: " in line]
        assert len(said) == 1
        assert all(window.data.ndim == 2 for window in dm.windows())
        dm.close_view()
        run.wait_for("stopped")


def test_camera_frames_need_a_whole_exposure():
    constants = {"FEED": "camera", "CAMERA_EXPOSURE": 0.1}
    with linked(constants=constants, continuous="exposure") as (_, link):
        assert link.next(PATIENCE).index < link.next(PATIENCE).index


def test_unknown_call_cannot_be_missing():
    with pytest.raises(ValueError, match=r"no call DM\.Invented"):
        dmlink.simulator.Microscope(Noise(), missing=("DM.Invented",))
