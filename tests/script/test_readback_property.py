"""Whatever cell is exported, reading the script back gives the same cell."""

import itertools
import pickle

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import Phase, given, settings

import dmlink
from dmlink.frame import Info
from dmlink.program.instance import Instance
from dmlink.program.program import Program
from dmlink.script.exporter import export, script

FRAME = np.arange(24.0).reshape(4, 6)

NAMES = st.sampled_from(["n", "sigma", "gr\u00f6\u00dfe", "level_2", "title"])
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12)
COMMENTS = st.one_of(
    st.just(""),
    st.sampled_from(["  # one of us", "  # 1 to 3: x", "  # True or False", "  # a: b", "  # \u00b5m"]),
    WORDS.map(lambda words: f"  # {words}".rstrip()),
)


@st.composite
def parameters(draw):
    """Return the declaration of a parameter of any kind."""
    name, comment = draw(NAMES), draw(COMMENTS)
    kind = draw(st.sampled_from(["range", "step", "float", "switch", "choice", "number", "words"]))
    low = draw(st.integers(-50, 50))
    hint, value = {
        "range": (f"({low}, {low + 9})", f"{low + 4}"),
        "step": (f"({low}, {low + 8}, 2)", f"{low + 2}"),
        "float": (f"({low}.0, {low + 2}.5)", f"{low + 1}.25"),
        "switch": ("bool", str(draw(st.booleans()))),
        "choice": (str(draw(st.just(["a: b", "c"]))), "'c'"),
        "number": ("float", repr(draw(st.floats(-1e6, 1e6, allow_nan=False)))),
        "words": ("str", repr(draw(WORDS))),
    }[kind]
    return name, f"{name}: {hint} = {value}{comment}"


STATEMENTS = st.one_of(
    st.sampled_from([
        "if frame.any():\n    value = 2  # two\nelse:\n    value = 3",
        "def inner(x, *, k=2):\n    '''Say it.'''\n\n    return x * k",
        'words = """a\n    b\n  c"""',
        "value = (\n    1\n    + 2  # three\n)",
        "total = 0\nfor i in range(3):\n\n    # within\n    total += i",
        "import math",
        "from math import pi as circle  # a number",
        "state['n'] = state.get('n', 0) + 1",
        "x = 1; y = 2",
        "# ----- a heading -----",
        "",
        "# process(frame, info, state):",
        "s = 'def process(frame, info, state):'",
        "r = 'return 3'",
    ]),
    WORDS.map(lambda words: f"# {words}".rstrip()),
    WORDS.map(lambda words: f"said = {words!r}"),
)  # fmt: skip
LAST = st.sampled_from([
    "frame.mean()",
    "Profile(\n    frame.mean(axis=0),\n    unit=info.unit,\n)  # along x",
    "frame[0] if frame.any() else None",
    "{'return ': frame.mean(), 'b': 2}",
    "Text('return ')\n# the end",
    "f'{frame.mean():.2f}'",
    "[v for v in frame[0]]",
])  # fmt: skip


@st.composite
def arrays(draw):
    """Return an array of any type and shape, small or large."""
    kind = draw(st.sampled_from(["?", "i1", "<u2", ">u2", "i8", "f2", "f4", ">f8", "c8", "c16"]))
    shape = draw(st.sampled_from([(), (0,), (3,), (2, 2), (65,), (5, 40)]))
    return np.asarray(np.random.default_rng(draw(st.integers(0, 9))).normal(0, 50, shape).astype(kind))


PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    WORDS,
    st.binary(max_size=5),
    st.sampled_from([..., slice(1, None), slice(None, 2, -1), range(2, 9, 3)]),
    st.sampled_from([np.float64(0.1), np.float32("nan"), np.uint8(7), np.bool_(False), np.complex64(1j)]),
)
VALUES = arrays() | st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.integers() | WORDS, inner, max_size=3),
        st.frozensets(st.integers(), max_size=3),
    ),
    max_leaves=5,
)
NOTEBOOK = st.dictionaries(st.sampled_from(["dark", "gain", "\u03b1", "Level", "x_1"]), VALUES, max_size=3)


def same(a, b):
    return pickle.dumps(a) == pickle.dumps(b)


PROGRAMS = {
    "declared": st.lists(parameters(), max_size=4, unique_by=lambda p: p[0]),
    "statements": st.lists(STATEMENTS, max_size=5),
    "last": LAST,
    "notebook": NOTEBOOK,
}
SAID = [  # comments that look like those written by export
    [("n", "n: str = 'x'  # 1 to 3: x"), ("m", "m: float = 0.5  # True or False")],
    [("n", "n: str = 'x'  # any text: x"), ("m", "m: int = 5  # one of us")],
]


@pytest.mark.parametrize("declared", SAID)
def test_comments_stay_comments(declared, tmp_path):
    comes_back(tmp_path / "script.py", declared, [], "frame[0]", {})


@pytest.mark.parametrize("examples", [20, pytest.param(500, marks=pytest.mark.exhaustive)])
def test_unchanged_script_is_same_program(examples, tmp_path):
    numbers = itertools.count()
    run = settings(max_examples=examples, phases=[Phase.generate])
    run(given(**PROGRAMS)(lambda **cell: comes_back(tmp_path / f"script{next(numbers)}.py", **cell)))()


def comes_back(path, declared, statements, last, notebook):
    uses = [f"{name} is None" for name in notebook]
    text = "\n".join([*(text for _, text in declared), *statements, *uses, last])
    cell = Program.from_cell(text, "test", {**notebook, "np": np})
    export(cell, path)
    back = dmlink.read_script(path)
    assert back.source == cell.source
    assert script(back.program) == path.read_text(encoding="utf-8")
    assert {n: p.value for n, p in back.program.parameters.items()} == {
        n: p.value for n, p in cell.parameters.items()
    }
    assert same(back.program.arrays, cell.arrays)
    here, there = Instance(cell).process(FRAME, Info()), Instance(back.program).process(FRAME, Info())
    assert same(vars(here), vars(there))
