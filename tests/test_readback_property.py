"""Whatever cell is exported, reading the script back gives the same cell."""

import hypothesis.strategies as st
from hypothesis import Phase, example, given, settings

import dmlink
from dmlink.export import export
from dmlink.program import Program

NAMES = st.sampled_from(["n", "sigma", "gr\u00f6\u00dfe", "level_2", "title"])
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12)
COMMENTS = st.one_of(
    st.just(""),
    st.sampled_from(["  # one of us", "  # 1 to 3: x", "  # True or False", "  # a: b", "  # \u00b5m"]),
    WORDS.map(lambda words: f"  # {words}".rstrip()),
)


@st.composite
def parameters(draw):
    """Return the declaration of a parameter, of any kind."""
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


@given(st.lists(parameters(), max_size=4, unique_by=lambda p: p[0]), st.lists(STATEMENTS, max_size=5), LAST)
@example([("n", "n: str = 'x'  # 1 to 3: x"), ("m", "m: float = 0.5  # True or False")], [], "frame[0]")
@example([("n", "n: str = 'x'  # any text: x"), ("m", "m: int = 5  # one of us")], [], "frame[0]")
@settings(max_examples=20, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
def test_what_was_not_changed_is_exactly_the_same_program(tmp_path_factory, declared, statements, last):
    cell = Program.from_cell("\n".join([*(text for _, text in declared), *statements, last]), "test")
    back = dmlink.read_script(export(cell, tmp_path_factory.mktemp("script") / "script.py"))
    assert back.source == cell.source  # so that its script is the same again, which test_readback.py sees
    assert {n: p.value for n, p in back.program.parameters.items()} == {
        n: p.value for n, p in cell.parameters.items()
    }
