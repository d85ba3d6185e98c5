"""Whatever names a cell uses, its script does the same in DigitalMicrograph as the cell in the notebook."""

import ast
import builtins
import keyword
import linecache
from unittest.mock import ANY

import numpy as np
import pytest
from result_texts import recording

import dmlink
from dmlink.comparison.script_check import check
from dmlink.program.capture import GIVEN, RESULTS
from dmlink.program.program import Program
from dmlink.script import arrays
from dmlink.script.exporter import export, script
from dmlink.simulator import Microscope

EVERYTHING = "state['t'] = Tracks(None)\nf(frame), info.line, info.tags"  # a script that contains all files


def names_of_scripts():
    """Return all names in a script outside the cell."""
    tree = ast.parse(script(Program.from_cell(EVERYTHING, "cell", {"f": np.sin, "np": np})))
    for node in ast.walk(tree):
        yield from (getattr(node, field, None) for field in ("id", "name", "arg", "asname"))


NAMES = sorted(
    {name for name in [*dir(builtins), *names_of_scripts(), "RECORDING", "DATA_FILE", "dmlink_live_"] if name}
    - {*GIVEN, *RESULTS, "process", "f", "display"}
    - {name for name in dir(builtins) if name.startswith("_")}
)
NAMES = [name for name in NAMES if name.isidentifier() and not keyword.iskeyword(name) and name[:2] != "__"]


def with_parameters(names):
    declared = "\n".join(f"{name}: float = {i}.5" for i, name in enumerate(names))
    return Program.from_cell(f"{declared}\n[{', '.join(names)}]", "cell")


def with_variables(names):
    assigned = "\n".join(f"{name} = {i}" for i, name in enumerate(names))
    return Program.from_cell(f"{assigned}\n[{', '.join(names)}]", "cell")


def with_constants(names):
    cell = f"[{', '.join(f'{name}[1]' for name in names)}]"
    return Program.from_cell(cell, "cell", {name: ["x", i] for i, name in enumerate(names)})


def with_functions(names):
    text = "\n\n\n".join(f"def {name}(x):\n    return 2 * x" for name in names)
    filename, defined = f"<functions {hash(text)}>", {"__name__": "__main__"}
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), defined)  # noqa: S102
    return Program.from_cell(
        f"[{', '.join(f'{name}({i})' for i, name in enumerate(names))}]", "cell", defined
    )


ROLES = [with_parameters, with_variables, with_constants, with_functions]


def test_common_names_are_among_them():
    assert {
        "max",
        "print",
        "type",
        "np",
        "DM",
        "time",
        "dmlink_live",
        "Axis",
        "Exception",
    } - RESULTS.keys() <= {*NAMES}


@pytest.mark.parametrize("made", ROLES, ids=lambda made: made.__name__)
def test_any_names_are_equal_in_dm(tmp_path, made):
    """All names at once."""
    cell = made(NAMES)
    comparison = check(export(cell, tmp_path / "script.py"), recording(3), cell)
    assert comparison.equal, comparison


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_equal_in_dm(tmp_path, name):
    for made in ROLES:
        cell = made([name])
        comparison = check(export(cell, tmp_path / f"{made.__name__}.py"), recording(3), cell)
        assert comparison.equal, comparison


def test_settings_have_free_names(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "MAX_TEXT", 10)
    dark = np.arange(100.0)
    cell = Program.from_cell("DATA_FILE: float = 2.0\nDATA_FILE * dark[:9]", "cell", {"dark": dark})
    path = export(cell, tmp_path / "script.py")
    assert f'DATA_FILE_ = r"{tmp_path / "script.npz"}"' in path.read_text()
    assert check(path, recording(3), cell).equal
    back = dmlink.read_script(path)
    assert back.source == cell.source
    assert np.array_equal(back.program.arrays["dark"], dark)
    lost = path.read_text().replace("DATA_FILE_ = ", "other = ")
    (tmp_path / "lost.py").write_text(lost)
    with pytest.raises(ValueError, match=r"no line 'DATA_FILE_ = \.\.\.'"):
        dmlink.read_script(tmp_path / "lost.py")
    export(cell, path, overwrite=True)  # its arrays file is recognised as its own


THEIRS = """
import numpy as np
import time as clock
max, process, frame = 3, "theirs", [1]
def mine():
    return float(np.mean([1, 3])), clock.__name__, max, process, frame
"""


@pytest.mark.parametrize("background", [False, True])
def test_names_stay_in_their_script(background):
    names = sorted({*NAMES, "np", "clock", "mine", "frame_"})
    with Microscope(recording()) as dm:
        dm.run_script(THEIRS, background=False).join()
        before = dict(dm._scripts._namespace)
        running = dm.run_script(script(with_parameters(names)), background=background)
        running.wait_for("running on")
        of_python = {"__doc__": ANY, "annotations": ANY}  # a docstring and an import that must come first
        now = dict(dm._scripts._namespace)
        assert now == {**before, **of_python, "dmlink: scripts that run": ANY}
        other = dm.run_script("print(mine(), min(1, 2), DM.IsScriptOnMainThread())", background=False)
        other.join()
        assert other.output == ["(2.0, 'time', 3, 'theirs', [1]) 1 True"]
        if background:
            running.stop()
        running.join()
