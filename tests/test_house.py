"""The house: arrows point one way, and what runs in DigitalMicrograph brings nothing along."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
KERNEL = sorted((ROOT / "dmlink").rglob("*.py"))
IN_DM = sorted((ROOT / "dmlink" / "indm").glob("*.py"))
WIDGETS = sorted((ROOT / "widgets").rglob("*.py"))
TESTS = {"tests", *(path.stem for path in (ROOT / "tests").glob("*.py"))}


def imported(path):
    """Return the modules that a file imports, wherever in it, and what it imports from them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module or ''}.{alias.name}" for alias in node.names)}
    return found


def name(path):
    return str(path.relative_to(ROOT))


def test_arrows_of_imports_point_one_way_and_make_no_circle(capsys, monkeypatch):
    # its way to set up logging silences all loggers that there are, also for the tests that follow
    monkeypatch.setattr("logging.config.dictConfig", lambda _: None)
    broken = lint_imports(str(ROOT / "pyproject.toml"), no_cache=True)  # its contracts are there
    assert not broken, capsys.readouterr().out


@pytest.mark.parametrize("path", KERNEL, ids=name)
def test_kernel_side_knows_of_no_widgets_but_through_its_one_door(path):
    widgets = {m for m in imported(path) if m.split(".")[0] in {"dmlink_widgets", "ipywidgets", "bqplot"}}
    assert not widgets or path.name == "notebook.py"


@pytest.mark.parametrize("path", IN_DM, ids=name)
def test_what_runs_in_digitalmicrograph_is_python_3_7_with_numpy(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
    for module in imported(path):
        head = module.split(".")[0]
        assert (
            module.startswith("dmlink.indm")
            or head in sys.stdlib_module_names
            or head in {"numpy", "DigitalMicrograph"}
            or (path.name, head) == ("packing.py", "numcodecs")  # it goes without, see test_companion.py
        ), module


@pytest.mark.parametrize("path", [*KERNEL, *WIDGETS], ids=name)
def test_nothing_imports_the_tests_or_the_simulator_but_who_plays_microscope(path):
    players = {"check.py", "comparison.py", "replay.py", "simulate.py"}
    simulator = {m for m in imported(path) if m.startswith("dmlink.simulator")}
    assert not simulator or path.parent.name == "simulator" or path.name in players
    assert not {m for m in imported(path) if m.split(".")[0] in TESTS}


def test_a_worker_does_not_load_what_no_cell_of_it_needs():
    text = "import dmlink.worker, sys; print(*(m for m in sys.modules if '.' not in m))"
    said = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout
    heavy = {"IPython", "bqplot", "dask", "distributed", "h5py", "ipywidgets", "jsonschema", "matplotlib"}
    heavy |= {"nbformat", "scipy", "skimage", "tifffile", "zarr"}
    assert not heavy & set(said.split())
