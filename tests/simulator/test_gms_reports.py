"""Companion, scripts, gallery and menu work in the GMS described by two made-up reports."""

from __future__ import annotations

import re

import numpy as np
import pytest
from gms_reports import OLDER, REPORTS
from microscopes import PATIENCE, Noise, linked, microscope, until

import dmlink
from dmlink import Roi, bundle, data
from dmlink.gallery import names, text
from dmlink.gms_report import CALLS as ALL
from dmlink.gms_report import read_report
from dmlink.program.program import Program
from dmlink.script.exporter import script
from dmlink.simulator import Microscope
from dmlink.simulator.report import switches_of

IDS = {"ids": lambda path: path.stem}
CONSTANTS = {"EVENTS_OVERDUE": 0.2, "STILL_SECONDS": 0.1}


@pytest.mark.parametrize("report", REPORTS, **IDS)
@pytest.mark.parametrize("background", [True, False], ids=["background", "main thread"])
def test_companion_streams(report, background):
    with linked(fps=30, constants=CONSTANTS, background=background, report=report) as (dm, link):
        assert Noise().has(link.next(PATIENCE))
        link.set_roi("a", Roi(4, 4, 20, 20))
        until(link, lambda: "a" in link.rois())
        link.remove_roi("a")
        until(link, lambda: "a" not in link.rois())
        link.show("mean", 3.0)
        assert dm.window("mean").data[0, 0] == 3
        dm.close_view()
        until(link, lambda: link.state == "waiting")
        dm.restart_view(binning=2)
        until(link, lambda: link.next(PATIENCE).data.shape == (24, 32))


@pytest.fixture(scope="module")
def film():
    with dmlink.open(data.drifting_film()) as recording:
        yield recording


CELLS = [*names(), "marks"]
MARKS = "{'mean': frame.mean(), 'row': frame[0] * 1.0, 'boxes': Boxes([[4, 4, 9, 9]], labels=['a'])}"


@pytest.mark.exhaustive(cover=1)
@pytest.mark.parametrize("report", REPORTS, **IDS)
@pytest.mark.parametrize("cell", CELLS)
def test_script_of_the_cell_runs(film, report, cell):
    program = Program.from_cell(MARKS if cell == "marks" else text(cell), cell, {"np": np})
    usable = {"python": (3, 11), "absent": ()}  # this computer's Python, with the cells' packages
    with microscope(film, fps=10, companion=False, report=report, **usable) as dm:
        run = dm.run_script(script(program), background=True)
        run.wait_for("running on", PATIENCE)
        dm.wait_until(lambda: [w for w in dm.windows() if w.name != film.name and w.updates > 1], PATIENCE)
        assert not [line for line in run.output if "Traceback" in line], run.output
        dm.close_view()


INDISPENSABLE = {f"DM.{name}" for name in bundle.NEEDED}
HOW = ["missing", "failing"]
SEEDS = range(3)


def halves(seed, keep):
    """Return a random half of the calls, without those to keep."""
    calls = sorted(ALL - keep)
    return tuple(np.random.default_rng(seed).permutation(calls)[::2].tolist())


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("keep", [set(), INDISPENSABLE], ids=["any", "others"])
@pytest.mark.parametrize("seed", SEEDS)
def test_companion_without_half_of_the_calls(seed, keep, how):
    streams_or_says_why(**{how: halves(seed, keep)})


@pytest.mark.exhaustive
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("call", sorted(ALL))
def test_companion_without_each_call(call, how):
    streams_or_says_why(**{how: (call,)})


def streams_or_says_why(**switches):
    """Check that a companion streams or says in one sentence why not; nothing escapes into DM."""
    with Microscope(Noise(), fps=30, **switches) as dm:
        run = dm.run_script(bundle.companion(0, **CONSTANTS))
        line = run.text.wait_for("dmlink", PATIENCE, run.done.is_set)
        if not line.startswith("dmlink://"):
            run.join(PATIENCE)
            assert run.output == [line]
            assert line.startswith("dmlink: ")
        else:
            with dmlink.connect(line) as link:
                until(link, lambda: link.reason or link.stats.received)
        assert not dm.escaped
        assert not [line for line in dm.results_window if "Traceback" in line], dm.results_window


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("background", [True, False], ids=["background", "main thread"])
@pytest.mark.parametrize("seed", SEEDS)
def test_script_without_half_of_the_calls(seed, background, how):
    text = script(Program.from_cell(MARKS, "seen", {"np": np}))
    with Microscope(Noise(), fps=30, **{how: halves(seed, INDISPENSABLE)}) as dm:
        run = dm.run_script(text, background=background)
        run.text.wait_for("seen: ", PATIENCE, run.done.is_set)
        dm.wait_displayed(5)
        assert not dm.escaped
        assert not [line for line in dm.results_window if "Traceback" in line], dm.results_window


@pytest.mark.parametrize("call", bundle.NEEDED)
def test_one_sentence_says_what_is_missing(call):
    with Microscope(Noise(), missing=(f"DM.{call}",)) as dm:
        run = dm.run_script(bundle.companion(0))
        run.join(PATIENCE)
        (line,) = run.output
        assert line.startswith(f"dmlink: cannot stream from this GMS, which has no {call}. Please send us")


def test_switches_come_before_the_report():
    dm = Microscope(Noise(), report=OLDER, references="strong")
    assert dm._switches.references == "strong"
    assert dm._switches.version == (3, 43, 3213)
    assert switches_of(read_report(OLDER))["references"] == "weak"


@pytest.mark.parametrize(
    ("constants", "said"),
    [
        (
            {},
            r"streaming 'Gold' \(48 x 64 pixels\), [\d.]+ frames/s, with GMS 3.61.4719, Py.*dmlink.connect",
        ),
        ({"paused": True}, r"not changing \(start View"),
        ({"closed": True}, "no image is open: start View"),
    ],
    ids=["running", "still", "closed"],
)
def test_companion_says_what_it_has_found(constants, said):
    with microscope(companion=False) as dm:
        if "paused" in constants:
            dm.camera.pause()
            dm.settle()
        if "closed" in constants:
            dm.close_view()
        run = dm.run_script(bundle.companion(0, GREET_SECONDS=0.5 if constants else 5.0))
        run.wait_for("dmlink://", PATIENCE)
        line = run.wait_for("dmlink: ", PATIENCE)
        assert len(run.output) == 2
        assert re.search(said, line), line


def test_refused_arrays_are_refused():
    with microscope(companion=False, refused=("float64", "row"), roi_removal="python") as dm:
        tried = "for a in np.zeros((2, 3)), np.zeros((1, 3), 'f4'), np.zeros((2, 3), 'f4'):\n"
        tried += "    try: print(DM.CreateImage(a) and 'ok')\n    except ValueError: print('no')\n"
        run = dm.run_script("import numpy as np\n" + tried)
        run.join()
        assert [line == "ok" for line in run.output] == [False, False, True]
