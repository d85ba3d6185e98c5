"""The table of DigitalMicrograph's calls matches the simulator and the calls that dmlink makes."""

import inspect
import runpy

import pytest
from microscopes import Noise
from project import ROOT

from dmlink.simulator import Microscope
from dmlink.simulator.dm.dmscript_functions import Functions

DM_API = runpy.run_path(str(ROOT / "docs" / "dm_api.py"))
CALLS = DM_API["calls"]()
USED = DM_API["used"]()
KNOWN = [call for call in CALLS if call.mark not in {"U", "X"} and call.owner != "DMScript"]


@pytest.fixture(scope="module")
def simulated():
    """Return everything in the simulated module: functions, classes and their methods, by name."""
    module = Microscope(Noise())._module
    functions = {f"DM.{name}": getattr(module, name) for name in dir(module) if name[0].isupper()}
    kinds = {name: kind for name, kind in vars(module).items() if isinstance(kind, type)}
    methods = {
        f"{name}.{method}": getattr(kind, method)
        for name, kind in kinds.items()
        for method in dir(kind)
        if method[0].isupper()
    }
    return functions | methods


def test_simulator_matches_table_exactly(simulated):
    names = {call.name for call in KNOWN} - {"Py_ScriptObject.__init__", "Py_ScriptObject.__del__"}
    assert set(simulated) == names


@pytest.mark.parametrize(
    "call", [c for c in KNOWN if c.arguments and "__" not in c.name], ids=lambda c: c.name
)
def test_simulator_takes_their_arguments(simulated, call):
    function = simulated[call.name]
    bound = call.owner == "DM"  # a class, too, is called without itself
    for n in call.arguments:
        inspect.signature(function).bind(*[None] * (n + (not bound)))


def test_dm_script_has_the_table():
    functions = Functions(Microscope(Noise())._workspace)
    unknown = [c.name for c in CALLS if c.owner == "DMScript" and not functions.find(c.name[9:].lower())]
    assert not unknown


@pytest.mark.parametrize(("name", "counts"), sorted(USED.items()), ids=str)
def test_our_calls_have_two_sources_or_a_fallback(name, counts):
    rows = [call for call in CALLS if call.short == name]
    assert rows, f"{name} is not in docs/dm-calls.tsv"
    assert counts - {None} <= {n for call in rows for n in call.arguments}
    assert any(len(call.authors) >= 2 or call.way_out for call in rows)


def test_each_row_is_whole():
    assert len({call.name for call in CALLS}) == len(CALLS)
    for call in CALLS:
        assert call.mark in {"R", "I", "L", "U", "X"}, call.name
        assert call.owner in DM_API["SECTIONS"], call.name
        assert not (call.mark == "R" and not call.authors), call.name


def test_page_is_current():
    """Regenerate it with python docs/dm_api.py."""
    assert (ROOT / "docs" / "dm-api.md").read_text(encoding="utf-8") == DM_API["page"]()
