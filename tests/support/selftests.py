"""Runs of the self-test in the simulator, in a short time."""

from __future__ import annotations

from microscopes import PATIENCE, Noise

from dmlink import bundle
from dmlink.frame import Axis
from dmlink.simulator import Microscope

SHORT = {"LISTEN_SECONDS": 0.5, "SLOW_SECONDS": 0.1, "EVENT_SECONDS": 2.0, "EXPOSURE": 0.05}
PATIENT = {"LISTEN_SECONDS": 2.0, "EVENT_SECONDS": 6.0}  # where it counts which events have come
ON_PURPOSE = "This error is part of the self-test"
LATER = {"threads", "recording"}  # a second run, or a recording, answers these


class InMicrometres(Noise):
    """A live view whose unit is not ASCII."""

    def __init__(self):
        super().__init__()
        self.x, self.y = Axis(-8.0, 0.5, "µm"), Axis(-4.0, 0.25, "µm")


def asked(folder, background=True, constants=None, recording=None, fps=50, **switches):
    """Run the self-test; return what it wrote, and the microscope when it is over."""
    text = bundle.selftest(FOLDER=str(folder), **{**SHORT, **(constants or {})})
    recording = recording or Noise()
    with Microscope(recording, fps=fps, **switches) as dm:
        script = dm.run_script(text, background=background)
        script.join(5 * PATIENCE)
        assert script.output[-1] == "dmlink self-test ends"
        assert all(ON_PURPOSE in str(error) for error in dm.escaped)
        assert dm.leaked_images == {}
        assert [window.name for window in dm.windows()] == [recording.name] or switches.get("failing")
    return folder / "gms-report.json", dm
