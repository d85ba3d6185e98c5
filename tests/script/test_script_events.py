"""An exported script tells the events that its cell has, whatever kind of GMS it runs in."""

import dataclasses
import itertools
import re
import time
from types import SimpleNamespace

import pytest
from microscopes import PATIENCE, Noise, microscope

from dmlink.indm.results import events_in
from dmlink.program.instance import Instance
from dmlink.program.program import Program
from dmlink.script.exporter import script
from dmlink.simulator.switches import CHOICES, Switches

STEPS = 12
BOX = 5  # the type of this annotation in DigitalMicrograph
CELL = """
found = frame[0, 0] > 50
{"bright": Event(f"{frame[0, 0]} in the corner, {frame[-1, -1]} opposite", when=found), "seen": Event("seen")}
"""
PROGRAM = Program.from_cell(CELL.strip("\n"), "b", {})

# How frames arrive: every combination of these.
ARRIVING = {"events": CHOICES["events"], "twice_per_frame": [False, True], "partial_frames": [1, 4]}
FRAMES = [dict(zip(ARRIVING, values, strict=True)) for values in itertools.product(*ARRIVING.values())]
# The other values of all other switches that have no list of their own.
OTHER = {
    "version": [(3, 43, 3213), (3, 52, 1)],
    "python": [(3, 11)],
    "refused": [("float64", "1-D", "row", "3-D")],
    "timer": [0.0156],
    "absent": [("scipy",)],
}
ELSEWHERE = {"missing", "failing"}  # each call in tests/simulator/test_ways_out.py
GROUPS = [  # of switches that go together in one GMS
    {},
    {"references": "strong", "handlers": "own", "strict_del": True, "nested_listeners": False},
    {"annotations": "refused", "deleted_usable": False, "image_arrays": False, "create_image": "none"},
    {"annotations": "kept", "after_exception": "ends", "python_strings": "own", "timer": 0.0156},
    {"threads": "frozen", "do_events": "hang", "scipy_in_background": False, "argv": "missing"},
    {"unregister_all": False, "unit_bytes": False, "stale_persistent": True, "version": (3, 43, 3213)},
]


def other_values():
    """Return each switch but those above, with each value that is not its usual one."""
    values = {**CHOICES, **OTHER}
    for field in dataclasses.fields(Switches):
        if field.name not in ARRIVING.keys() | ELSEWHERE:
            known = values.get(field.name, [True, False])
            yield from ({field.name: value} for value in known if value != field.default)


def test_no_switch_is_left_out():
    varied = {name for switches in other_values() for name in switches}
    assert varied | ARRIVING.keys() | ELSEWHERE == {field.name for field in dataclasses.fields(Switches)}


@pytest.mark.exhaustive(cover=1)
@pytest.mark.parametrize("background", [True, False], ids=["background", "main thread"])
@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("frames", FRAMES, ids=str)
def test_script_has_its_cells_events(frames, group, background):
    compare({**frames, **group}, background)


@pytest.mark.exhaustive
@pytest.mark.parametrize("background", [True, False], ids=["background", "main thread"])
@pytest.mark.parametrize("other", [*other_values()], ids=str)
@pytest.mark.parametrize("frames", FRAMES, ids=str)
def test_script_has_them_under_each_switch(frames, other, background):
    compare({**frames, **other}, background)


def compare(switches, background):
    """Step the camera, and compare what the script prints with the cell's events for the same frames."""
    here, recording = Instance(PROGRAM), Noise(STEPS)
    alone = not background and switches["events"] == "none"  # nothing says that there is another frame
    frames = 1 if alone else STEPS
    with microscope(recording, companion=False, **switches) as dm:
        dm.camera.hold = dm.settle  # each band of rows is seen before the next one is written
        dm.camera.pause()
        dm.camera.seek(0)
        dm.camera.step()
        dm.settle()
        run = dm.run_script(script(PROGRAM), background=background)
        run.wait_for("b seen, frame 0, ", PATIENCE)
        for i in range(1, frames):
            rest(dm)
            dm.camera.step()
            run.wait_for(f"b seen, frame {i}, ", PATIENCE)
        results = [here.process(recording[i].data, None) for i in range(frames)]
        expected = [(i, text) for i, result in enumerate(results) for text in events_in(result)]
        printed = re.findall(r"^b \w+, frame (\d+), [\d.]+ s: (.*)$", "\n".join(run.output), re.MULTILINE)
        assert [(int(frame), text) for frame, text in printed] == expected
        if switches.get("annotations", "removed") == "removed":
            rest(dm)
            assert any("seen" in text for text in dm.window("Gold").texts)
        dm.close_view()
        dm.settle()


def rest(dm):
    """Wait until the script takes the next frame; on the main thread, it pauses for as long as it works."""
    dm.settle()
    view = dm._scripts.value("dmlink: scripts that run")["b"]
    while view.waiting or time.perf_counter() < view.rest_until:
        time.sleep(0.001)


def test_event_stays_marked_for_a_while(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(time, "stopped", clock, raising=False)
    program = Program.from_cell('Event("early", when=info.index == 0), Event("late", False)', "b", {})
    text = script(program).replace("time.monotonic()", "time.stopped.now")
    with microscope(companion=False) as dm:
        dm.camera.pause()
        dm.settle()
        run = dm.run_script(text, background=False)
        run.wait_for("b 1, frame 0, ", PATIENCE)
        dm.settle()
        view = dm.window("Gold")
        assert view.texts == ("early",)
        assert (BOX, (0, 0, *view.data.shape)) in view.marks
        for clock.now, texts in ((4.9, ("early",)), (5.1, ())):
            rest(dm)
            dm.camera.step()
            dm.settle()
            assert dm.window("Gold").texts == texts
        dm.close_view()
        dm.settle()
