"""A live cell follows the notebook: it takes over redefined names, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from dmlink.frame import Info
from dmlink.program.notebook_cell import NotebookCell

FRAME = np.arange(12.0).reshape(3, 4)
DEFINED = [
    (
        "import numpy as np\nmask = np.ones(1000)\nfew = np.ones(3)\ntable = {'a': [1]}\nn = 2\n"
        "def f(x):\n    return g(x) + n\n"
    ),
    "def g(x):\n    return x + 1\n",
]
CELL = "k: (0, 9) = 4\nf(1) + mask.sum() + few.sum() + table['a'][0] + k + abs(-1)"


@pytest.fixture(scope="module")
def shell(new_shell):
    return new_shell()


@pytest.fixture
def notebook(shell):
    shell.reset()

    def run(*cells):
        for cell in cells:
            shell.run_cell(cell, store_history=True).raise_error()
        return shell.user_ns

    run(*DEFINED)
    return run


def result(program):
    return program.load().process(FRAME, Info(), {})


@pytest.mark.parametrize("again", ["unrelated = 3", "k = 3", DEFINED[1], "n = 2", "mask[0] = 1", "f"])
def test_same_names_change_nothing(notebook, again):
    cell = NotebookCell(CELL, "cell", notebook())
    before = cell.program
    notebook(again)
    change = cell.change(before)
    assert change is None or (change.names == () and change.program.source == before.source)
    assert cell.change(before) is None


@pytest.mark.parametrize(
    ("again", "name", "more"),
    [
        ("def g(x):\n    return x + 2", "g", 1),
        ("mask = np.ones(1001)", "mask", 1),
        ("mask[5] = 3", "mask", 2),
        ("few[1] = 0", "few", -1),
        ("table['a'][0] = 5", "table", 4),
        ("def abs(x):\n    return 7", "abs", 6),
    ],
)
def test_redefinition_makes_a_new_program(notebook, again, name, more):
    cell = NotebookCell(CELL, "cell", notebook())
    before = cell.program
    expected = result(before) + more
    notebook(again)
    change = cell.change(before)
    assert change.names == (name,)
    assert not change.values_only(before)
    assert result(change.program) == expected
    assert cell.change(change.program) is None


def test_number_changes_value_and_sliders_stay(notebook):
    cell = NotebookCell(CELL, "cell", notebook())
    running = cell.program.with_values(k=7, n=9)
    notebook("n = 3")
    change = cell.change(running)
    assert change.names == ("n",)
    assert change.values_only(running)
    assert {name: p.value for name, p in change.program.parameters.items()} == {"k": 7, "n": 3}
    notebook("def g(x):\n    return x")
    change = cell.change(change.program.with_values(n=5))
    assert {name: p.value for name, p in change.program.parameters.items()} == {"k": 7, "n": 5}


def test_other_type_makes_a_new_program(notebook):
    cell = NotebookCell(CELL, "cell", notebook())
    running = cell.program
    notebook("n = 'words'")
    assert not cell.change(running).values_only(running)


@pytest.mark.parametrize(
    ("again", "says"), [("del g", "'g', which is not defined"), ("n = object()", "'n', which is an object")]
)
def test_failed_capture_keeps_the_old_program(notebook, again, says):
    cell = NotebookCell(CELL, "cell", notebook())
    before = cell.program
    notebook(again)
    with pytest.raises(ValueError, match=says):
        cell.change(before)
    assert cell.change(before) is None
    assert cell.program is before
    notebook("n = 2", DEFINED[1])
    assert cell.change(before).names == ()
