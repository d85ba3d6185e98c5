"""Whatever can be written in a live cell does the same in DigitalMicrograph, in whichever GMS that is."""

import time

import pytest
from test_export import recording
from test_program import CONSTRUCTS, NAMESPACE

from dmlink.check import Wanted
from dmlink.export import script
from dmlink.frame import Info
from dmlink.needs import NEWEST, newer_python
from dmlink.program import Instance, Program
from dmlink.simulator import Microscope

SWITCHES = [  # all of the simulator's, a few at once
    {},
    {
        "events": "queue",
        "twice_per_frame": True,
        "partial_frames": 3,
        "references": "strong",
        "argv": "empty",
    },
    {"unregister_all": False, "version": (3, 52, 1), "unit_bytes": False, "create_image": "none"},
    {"stale_persistent": False, "threads": "frozen", "argv": "missing", "writable_cwd": True},
]


@pytest.fixture(scope="module")
def cells():
    """All but those that no GMS has the Python for, such as `except*`."""
    made = {
        f"cell{i}": Program.from_cell(text, f"cell{i}", NAMESPACE)
        for i, text in enumerate(CONSTRUCTS.values())
    }
    return {
        name: cell
        for name, cell in made.items()
        if all(python <= NEWEST for python, _, _ in newer_python(cell.source))
    }


@pytest.fixture(scope="module")
def scripts(cells):
    return {name: script(cell) for name, cell in cells.items()}


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_every_construct_shows_there_what_it_shows_here(cells, scripts, switches):
    """All of them run at once, over three frames."""
    played = recording(4)
    here = {name: Instance(cell) for name, cell in cells.items()}
    wanted = {name: Wanted(name, played.name) for name in cells}
    compared, refused, different = set(), set(), []
    with Microscope(played, loop=True, python=NEWEST, **switches) as dm:
        dm.camera.pause()
        dm.camera.seek(0)
        dm.camera.step()
        running = {}
        for name, text in scripts.items():
            running[name] = dm.run_script(text, background=False, name=name)
            running[name].join(30)
        began = time.perf_counter()
        for i in range(3):
            if i:
                time.sleep(time.perf_counter() - began)  # each rests as long as it has worked
                began = time.perf_counter()
                dm.camera.step()
            dm.settle(30)
            windows = {window.name: window for window in dm.windows()}
            frame = played[i]
            for name, cell in here.items():
                said = running[name].output
                info = Info(i, frame.time, frame.x, frame.y, None, played.name)
                try:
                    result = cell.process(frame.data, info)
                except Exception:  # noqa: BLE001 - then there, too
                    if any("Error: " in line for line in said):
                        refused.add(name)
                    continue
                own = {title: window for title, window in windows.items() if title.startswith(f"{name} ")}
                if result is None and not own:
                    compared.add(name)
                    continue
                found = list(wanted[name].compare(i, i, result, own, said))
                different += [one for one in found if not one.equal]
                compared |= {name} if found else set()
        assert not dm.escaped
    assert not different
    assert compared | refused == cells.keys()
    assert not compared & refused
