"""A GMS with problems: without NumPy or IPv4, shared with other scripts, losing its view."""

import contextlib
import runpy
import threading

import numpy as np
import pytest
from microscopes import PATIENCE, Noise, microscope, run_companion, until
from project import ROOT

import dmlink
from dmlink import Roi, bundle
from dmlink.program.program import Program
from dmlink.script.exporter import script
from dmlink.simulator import Microscope

#: Names like those that published scripts leave behind in the shared global names.
OTHERS = """
len = id = list = dict = max = type = print = 3
time = np = sys = View = Companion = main = threading = socket = contextlib = None
dmlink_companion_running = dmlink_companion = "another script's"
"""
DM_API = runpy.run_path(str(ROOT / "docs" / "dm_api.py"))
IN_COMPANION = {*DM_API["used"](ROOT / "dmlink" / "indm" / "companion")} | {
    "DM.CountImageDocuments", "DM.GetImageDocument", "GetImage", "GetNumDimensions",
    "GetDimensionCalibration",
}  # fmt: skip
NEVER = {  # calls for the camera, calls that the simulator does not have, and calls unrelated to views
    "Py_Camera", "Py_Component", "Py_LinePlotImageDisplay", "Py_Window", "Py_TagGroup", "DMScript",
    "DM.DoEvents", "DM.GetActiveCamera", "DM.CloseImage", "DM.Py_ScriptObject", "Py_ImageDisplay.DeleteROI",
    "DM.IsScriptOnMainThread", "Py_ImageDocument.GetName", "Py_ImageDocument.SetName",
}  # fmt: skip
CALLS = [
    call.name
    for call in DM_API["calls"]()
    if call.short in IN_COMPANION and "__" not in call.name and not {call.name, call.owner} & NEVER
]


def test_missing_numpy_is_reported():
    with microscope(companion=False, absent=("numpy",)) as dm:
        run = dm.run_script(bundle.companion(0))
        run.join()
        assert run.output == ["dmlink: GMS has no NumPy here; add it to the environment GMS_VENV_PYTHON."]


def test_missing_ipv4_is_reported():
    with microscope(companion=False, loopback=False) as dm:
        run = dm.run_script(bundle.companion(0))
        run.join()
        assert len(run.output) == 1
        assert run.output[0].startswith("dmlink: There is no free port on 127.0.0.1: ")


def test_read_only_profile_leaves_a_link(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path / "file" / "home"))
    with microscope() as dm, dmlink.connect(dm.endpoint) as link:
        assert dm.companion.wait_for("cannot be written")
        assert link.next(PATIENCE).data.shape == (48, 64)


@pytest.mark.parametrize("first", [True, False])
def test_names_of_other_scripts_are_theirs(first):
    recording = Noise()
    with microscope(recording, companion=False) as dm:
        if first:
            dm.run_script(OTHERS).join()
        run_companion(dm)
        with dmlink.connect(dm.endpoint) as link:
            link.next(PATIENCE)
            dm.run_script(OTHERS.replace("dmlink_companion_running = ", "")).join()
            link.show("mean", 3.0)
            assert dm.window("mean").data[0, 0] == 3
            assert recording.has(link.next(PATIENCE))


def test_exported_script_keeps_its_names():
    text = script(Program.from_cell("frame.mean()", "seen", {}))
    with microscope(companion=False) as dm:
        dm.run_script(OTHERS).join()
        run = dm.run_script(text)
        dm.run_script(OTHERS).join()
        dm.wait_until(lambda: dm.window("seen").updates > 3, PATIENCE)
        dm.close_view()
        run.wait_for("stopped")


class Vanishing:
    """Closes the view, once, before a call with that name, and removes its image."""

    def __init__(self, call):
        self.call = call
        self.dm = None
        self.happened = threading.Event()
        self._armed = threading.Lock()

    def __call__(self, name):
        if name == self.call and self.dm and self._armed.acquire(blocking=False):
            view = self.dm._view
            self.dm.close_view()
            if view:
                view.deleted = True
            self.happened.set()


@pytest.mark.parametrize("call", CALLS)
def test_view_may_vanish_before_any_call(call):
    recording, vanishing = Noise(), Vanishing(call)
    constants = {"STILL_SECONDS": 0.1, "SEARCH_SECONDS": 0.1}
    with Microscope(recording, 50, on_call=vanishing, deleted_usable=False) as dm:
        endpoint = run_companion(dm, constants)
        with dmlink.connect(endpoint) as link:
            link.next(PATIENCE)
            vanishing.dm = dm
            reader = link.reader()
            for i in range(2000):
                if vanishing.happened.wait(0.05):
                    break
                with contextlib.suppress(Exception):  # the view may already be gone
                    link.set_roi("a", Roi(4, 4, 20, 20))
                    link.set_roi("a", Roi(8, 4, 24, 20))
                    link.show("mean", i)
                    link.show("image", np.eye(5 + i % 2))
                    link.show("colours", np.full((5, 6 + i % 2, 3), 7, np.uint8))
                    link.remove_roi("a")
                    if i % 4 == 3:  # when the companion has seen the previous one
                        until(link, lambda: vanishing.happened.is_set() or reader.poll())
                        dm.restart_view()
            assert vanishing.happened.is_set(), "it is never called"
            dm.restart_view()
            until(link, lambda: link.state == "live" and recording.has(link.next(PATIENCE)))
        assert not dm.escaped
        assert not dm.companion.done.is_set()
        assert not [line for line in dm.companion.output if "Traceback" in line], dm.companion.output
