"""An exported script can be read back as the same cell, with any changes made to it."""

import pickle
import textwrap

import numpy as np
import pytest

import dmlink
from dmlink.frame import Info
from dmlink.program.instance import Instance
from dmlink.program.program import Program
from dmlink.script.exporter import export, script

RINGS = '''
def rings(power, n):
    """Average in rings."""
    return power[:n] * FACTOR  # not yet


FACTOR = 3
'''
CELLS = {
    "number": "frame.mean() / 3",
    "parameters": """
        n: (16, 256, 16) = 32  # points
        level: (0.0, 1.0) = 0.5
        log: bool = True  # logarithmic: or not
        mode: ["a: b", "c"] = "c"  # which: of both
        some: float = 1.5
        word: str = "one of us"  # to be: said

        # what comes
        {"sum": n + level + some, "log": log}
    """,
    "automatic": """
        diameter: (3, 99, 2) = None
        level: (0.0, 1.0, None) = 0.5
        width: (1, 9) = None  # px

        if diameter is None:
            diameter = frame.max()
        diameter + level
    """,
    "imports": "import scipy.ndimage as ndi\nfrom math import pi  # a number\nndi.gaussian_filter(frame, pi)",
    "text": 'words = """a\n    b\n  c"""\n\nif frame.any():\n    words += "d"\nText(words)  # said',
    "two lines": "Profile(\n    frame.mean(axis=0),\n    unit=info.unit,\n)\n# the end",
    "event": 'mean = frame.mean()\nmean, Event("it\'s <b>", when=mean > 3)  # said',
    "no result": "import math\nn: float = 1.0",
    "unicode": "# Gr\u00f6\u00dfe in \u00b5m\ngr\u00f6\u00dfe = 'ä'; frame.mean()",
    "function": "def inner(x):\n    return x\n\ninner(frame)",
}


def cell(text, name="test", **namespace):
    return Program.from_cell(textwrap.dedent(text).strip("\n"), name, namespace)


@pytest.mark.parametrize("text", CELLS.values(), ids=CELLS)
def test_unchanged_script_is_same_program(tmp_path, text):
    program = cell(text)
    back = dmlink.read_script(export(program, tmp_path / "script.py"))
    assert back.source == program.source
    assert back.name == "test"
    assert script(back.program) == script(program)
    same = [
        (p.name, p.value, p.kind, p.minimum, p.maximum, p.step, p.choices)
        for p in program.parameters.values()
    ]
    read = back.program.parameters.values()
    assert [(p.name, p.value, p.kind, p.minimum, p.maximum, p.step, p.choices) for p in read] == same


def test_leading_parameters_keep_the_text(tmp_path):
    text = "n: (16, 256, 16) = 32  # points\n\n# comment\nvalue = frame.mean() * n\nvalue"
    assert dmlink.read_script(export(text, tmp_path / "script.py")).program.text == text


def test_captured_names_come_back(tmp_path, monkeypatch):
    path = tmp_path / "notebook.py"
    path.write_text("import numpy as np\n" + RINGS)
    monkeypatch.syspath_prepend(tmp_path)
    names = {"np": np, "__name__": "__main__"}
    exec(compile(path.read_text(), str(path), "exec"), names)  # noqa: S102
    program = cell("n: int = 3\nnp.sqrt(rings(frame, n))", **names)
    back = dmlink.read_script(export(program, tmp_path / "script.py"))
    assert back.source == program.source
    frame = np.arange(24.0).reshape(6, 4)
    assert np.array_equal(back.run(frame).values, np.sqrt(frame[:3] * 3))


def test_edits_made_in_dm_come_back(tmp_path):
    path = export("n: (1, 9) = 2  # times\nn * frame.mean()", tmp_path / "script.py")
    text = (
        path.read_text()
        .replace("n = 2  #", "n = 4  #")
        .replace("n * frame.mean()", "top = frame.max()\n    return n * top")
    )
    text = text.replace("    return top = ", "    top = ")
    path.write_text(text, newline="\r\n")
    back = dmlink.read_script(path)
    assert back.program.parameters["n"].value == 4
    assert back.run(np.full((3, 3), 5)).value == 20
    assert back.program.text == "n: (1, 9) = 4  # times\n\ntop = frame.max()\nn * top"


def test_function_below_process_is_read(tmp_path):
    path = export("frame.mean() + 1", tmp_path / "script.py")
    text = path.read_text().replace("return frame.mean() + 1\n", "return twice(frame.mean()) + 1\n", 1)
    place = text.index("return twice") + len("return twice(frame.mean()) + 1\n")
    path.write_text(text[:place] + "\n\ndef twice(a):\n    return 2 * a\n" + text[place:])
    back = dmlink.read_script(path)
    assert back.program.text == "twice(frame.mean()) + 1"
    assert back.run(np.full((3, 3), 5)).value == 11


def test_unreadable_script_says_why(tmp_path):
    path = tmp_path / "other.py"
    path.write_text("print(3)\n")
    with pytest.raises(ValueError, match=r"other\.py is not a script exported by dmlink"):
        dmlink.read_script(path)
    export("n: (1, 9) = 2\nn * frame.mean()", path, overwrite=True)
    text = path.read_text()
    path.write_text(text.replace("n = 2", "n = 20"))
    with pytest.raises(ValueError, match="line 1: 20 is outside 1 to 9"):
        dmlink.read_script(path)
    path.write_text(text.replace("n = 2", "n = 2 * 3"))
    with pytest.raises(ValueError, match=r"n = 2 \* 3 is not a plain value"):
        dmlink.read_script(path)
    path.write_text(text.replace("def process", "def run"))
    with pytest.raises(ValueError, match="has 0 functions process"):
        dmlink.read_script(path)
    path.write_text(text.replace("    return n", "    return n +* 3"))
    with pytest.raises(SyntaxError):
        dmlink.read_script(path)


def test_nothing_is_executed_when_read(tmp_path):
    path = export("n: (1, 9) = 2\nn * frame.mean()", tmp_path / "script.py")
    text = path.read_text()
    text = text.replace("import annotations", "import annotations\nimport nowhere_at_all")
    path.write_text(text.replace("def process(", "raise SystemExit\n\n\ndef process("))
    cell = dmlink.read_script(path)
    assert "import nowhere_at_all" in cell.source
    with pytest.raises(ModuleNotFoundError):
        cell.run(np.ones((3, 3)))


NOTEBOOK = """
import functools
import math as m
import numpy as np
from dataclasses import dataclass

SCALARS = np.float64(2.5), np.int16(-3), np.bool_(True), np.complex64(1 + 2j), 3 - 1j
SMALL = np.arange(6.0).reshape(2, 3)
LARGE = np.arange(100, dtype=">u2").reshape(4, 25)
CUT = slice(None, 4, 2)
INSIDE = {"a": [1, (2, None)], "b": {3}, "c": frozenset([4]), "d": ..., "e": b"x", "f": range(3), "g": 1e999}
double = lambda x: 2 * x


def named(x):
    return double(x)


other = named


def times(n):
    def decorator(function):
        @functools.wraps(function)
        def inner(*arguments):
            return n * function(*arguments)

        return inner

    return decorator


@times(3)
def tripled(x):
    # decorated by a closure
    return other(x) + m.pi


@dataclass
class Gain:
    value: float = 1.0

    # what it does
    def on(self, x):
        return np.multiply(x, self.value)


@functools.lru_cache(maxsize=None)
def cached(n: int = 2):
    return SMALL.sum() + n
"""
USES = [
    "SCALARS[0] * abs(SCALARS[3] + SCALARS[4]) + SCALARS[1]",
    "SMALL[0, CUT]",
    "LARGE[1] * frame.mean()",
    "len(INSIDE) + INSIDE['b'].pop()",
    "double(frame[0])",
    "other(frame[0]) + double(1)",
    "tripled(frame[0])",
    "Gain(3).on(frame[0])",
    "cached() + cached(3)",
    "SMALL if CUT.step else None",
    "Profile(tripled(frame[0]), name='a'), LARGE.mean(), RunningAverage(3).add(frame)",
]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    path = tmp_path_factory.mktemp("notebook") / "notebook.py"
    path.write_text(NOTEBOOK)
    names = {"__name__": "__main__"}
    exec(compile(NOTEBOOK, str(path), "exec"), names)  # noqa: S102
    return names


@pytest.mark.parametrize("text", USES)
@pytest.mark.parametrize("target", ["live", "batch"])
def test_whatever_is_captured_comes_back(tmp_path, notebook, text, target):
    program = cell(text, **notebook)
    back = dmlink.read_script(export(program, tmp_path / "script.py", target))
    assert back.source == program.source
    assert script(back.program, target) == script(program, target)
    frame = np.arange(150.0).reshape(6, 25)
    shown, before = back.run(frame), Instance(program).process(frame, Info())
    assert shown.text == before.text
    assert pickle.dumps(vars(shown)) == pickle.dumps(vars(before))
