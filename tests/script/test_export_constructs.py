"""Everything that can be written in a live cell does the same in DigitalMicrograph, in every GMS."""

import contextlib
import copy
import dataclasses
import re
import time

import pytest
from cell_texts import CONSTRUCTS, NAMESPACE
from result_texts import RESULTS, recording

from dmlink import gallery
from dmlink.comparison.windows import ExpectedWindows
from dmlink.frame import Info
from dmlink.gms_versions import NEWEST
from dmlink.program.instance import Instance
from dmlink.program.program import Program
from dmlink.script.exporter import script
from dmlink.script.requirements import newer_python
from dmlink.simulator import Microscope
from dmlink.simulator.switches import CHOICES, Switches

# Switches that do not affect a live script, or are tested in test_ways_out.py and test_surroundings.py.
ELSEWHERE = {"python", "continuous", "in_situ", "absent", "loopback", "missing", "failing"}
ELSEWHERE |= {"roi_removal", "python_strings", "refused", "colour_pixels"}  # also in test_gms_reports.py
SWITCHES = [  # all other switches of the simulator, a few at a time
    {},
    {
        "events": "queue",
        "twice_per_frame": True,
        "partial_frames": 3,
        "references": "strong",
        "argv": "empty",
    },
    {"unregister_all": False, "version": (3, 52, 1), "unit_bytes": False, "create_image": "none"},
    {"stale_persistent": True, "threads": "frozen", "argv": "missing", "writable_cwd": True},
    {"image_arrays": False, "deleted_usable": False, "nested_listeners": False, "strict_del": True},
    {"scipy_in_background": False, "do_events": "hang", "annotations": "refused", "confirm": False},
    {"annotations": "kept", "version": (3, 43, 3213), "twice_per_frame": True, "events": "queue"},
    {"handlers": "own", "after_exception": "ends", "timer": 0.0156},
    {"events": "none"},  # in the background, where a script polls for frames
]


ODD = [
    "Profile(frame[0, :5 + info.index % 2])",
    "Image(frame[: 3 + info.index])",
    "frame[:1, :1]",
    "frame.any()",
    "np.dstack([frame % 255] * 3).astype('uint8') if info.index % 2 else frame",
    "frame[0] if info.index % 2 else frame",
    "Scalar(frame.mean(), name='a b'), Profile(frame[0], name='a b')",
    "Several({'x': frame.mean(), 'y': 2})",
    "{'a': {'b': frame, 'c': 1}}",
    "{'a': {'b': 1, 'c': 2}, 'd': frame}",
    "{'a': frame if info.index % 2 else frame[0], 'b': 1}",
    "{1: frame.mean(), 2.5: 3}",
    "Scalar(frame.mean(), '\u00b5m/s')",
    "Table({'a': [1, 'x'], 'b': [1.23456789, None], '\u00b5': ['\u00e4', 'b']})",
    "Table({'a': frame.ravel()[:80]})",
    "Table({'a': []})",
    "row = frame[0] * 1.0\nrow[:5] = float('nan')\nProfile(row)",
    "float('inf') if info.index % 2 else 1.0",
    "frame.astype('>u2'), frame.astype('float16'), np.asfortranarray(frame), np.matrix(frame)",
    "frame * 1j",
    "frame.astype(str)",
    "(x for x in frame)",
    "None, frame.mean(), None",
    "(None, None)",
    "{'a': frame.mean(), 'b': None}",
    "{'a': None}",
    "np.array(3.5)",
    "np.ma.masked_less(frame, 100).mean()",
    "[[1, 2], [3, 4]]",
    "[[1, 2], [3]]",
    "[]",
    "{}",
    "()",
    "'a' if info.index % 2 else frame.mean()",
    "{'x': info.x.scale, 'v': info.x.values(3)[2], 'p': info.y.part(3).origin, 't': info.index}",
    "last = state.setdefault('l', LastFrames(3))\nlast.add(frame)\n{'n': len(last), 'm': last.frames.mean()}",
    "state.setdefault('c', FrameCounter()).add()",
]
MARKS = "Boxes([[1, 2, 3, 4 + info.index]], labels=['a'])"  # on the live view: one cell for all of these
MARKING = {"events", "marks and events"}  # these mark it, too: alone in test_export.py


def test_no_switch_is_left_out():
    usual = dataclasses.asdict(Switches())
    flipped = {(name, value) for switches in SWITCHES for name, value in switches.items()}
    for name in CHOICES.keys() - ELSEWHERE:
        assert {(name, choice) for choice in CHOICES[name] if choice != usual[name]} <= flipped
    assert {name for name, _ in flipped} == usual.keys() - ELSEWHERE


@pytest.fixture(scope="module")
def cells():
    """All cells except those that need a newer Python than any GMS has, such as `except*`."""
    ready = [text for text in map(gallery.text, gallery.names()) if not re.search("Points|Boxes", text)]
    results = [text for name, text in RESULTS.items() if name not in MARKING]
    texts = [*CONSTRUCTS.values(), *results, *ready, *ODD, MARKS]
    made = {f"cell{i}": Program.from_cell(text, f"cell{i}", NAMESPACE) for i, text in enumerate(texts)}
    return {
        name: cell
        for name, cell in made.items()
        if all(python <= NEWEST for python, _, _ in newer_python(cell.source))
    }


@pytest.fixture(scope="module")
def scripts(cells):
    return {name: script(cell) for name, cell in cells.items()}


class Compared:
    """All cells over one recording, in the notebook and in DigitalMicrograph."""

    def __init__(self, cells, played):
        self.here = {name: Instance(cell) for name, cell in cells.items()}
        self.played = played
        self.wanted = {name: ExpectedWindows(name, played.name) for name in cells}
        self.marking = {name for name, cell in cells.items() if "Boxes" in cell.source}
        self.equal, self.refused = set(), set()

    def process(self, i):
        """Return each cell's result for a frame; failing cells are left out."""
        frame, results = self.played[i], {}
        info = Info(i, frame.time, frame.x, frame.y, None, self.played.name)
        for name, cell in self.here.items():
            with contextlib.suppress(Exception):
                results[name] = cell.process(frame.data, info)
        return results

    def look(self, i, results, windows, said):
        """Return the differences after a frame."""
        different = []
        for name, wanted in self.wanted.items():
            mine = [w for w in windows if w.name.startswith(f"{name} ") or w.name == self.played.name]
            own = {window.name: window for window in mine}
            if name not in results:  # then it must fail there, too
                if any("Error: " in line for line in said[name]):
                    self.refused.add(name)
            elif results[name] is not None or len(own) > 1:
                found = list(wanted.compare(i, i, results[name], own, said[name]))
                if name not in self.marking:  # what another cell has marked on the live view is no fault
                    found = [one for one in found if one.window != self.played.name]
                different += [one for one in found if not one.equal]
                self.equal |= {name} if found else set()
            else:
                self.equal.add(name)
        return different


@pytest.fixture
def share(cells, switches, pytestconfig):
    """Return the cells for a GMS: each cell is in one share, or with --exhaustive in all of them."""
    names = [name for name, cell in cells.items() if "Boxes" not in cell.source]
    if not pytestconfig.getoption("exhaustive"):
        names = names[SWITCHES.index(switches) :: len(SWITCHES)]
    if "annotations" not in switches:  # marks in this case: see test_export.py
        names += [name for name, cell in cells.items() if "Boxes" in cell.source]
    return {name: cells[name] for name in names}


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_every_construct_is_equal_in_dm(share, scripts, switches):
    """All cells of a share run at once, over three frames."""
    background = switches.get("events") == "none"
    compared = Compared(share, recording(4))
    with Microscope(compared.played, loop=True, python=NEWEST, **switches) as dm:
        dm.camera.pause()
        dm.camera.seek(0)
        dm.camera.step()
        running = {}
        for name in share:
            running[name] = dm.run_script(scripts[name], background=background, name=name)
            if not background:
                running[name].join()
        began = time.perf_counter()
        for i in range(3):
            if i:
                time.sleep(time.perf_counter() - began)  # each script pauses for as long as it has worked
                began = time.perf_counter()
                dm.camera.step()
            dm.settle()
            results = compared.process(i)

            def look(compared, i=i, results=results):
                return compared.look(i, results, dm.windows(), {n: r.output for n, r in running.items()})

            def done(look=look):
                ahead = copy.copy(compared)
                ahead.wanted = copy.deepcopy(compared.wanted)
                return not look(ahead) and (compared.equal | compared.refused == share.keys())

            end = time.monotonic() + 300
            while background and not done() and time.monotonic() < end:
                time.sleep(0.05)  # no event says when all have finished
            assert not look(compared)
        assert not dm.escaped
    assert compared.equal | compared.refused == share.keys()
    assert not compared.equal & compared.refused
