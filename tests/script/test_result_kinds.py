"""An exported script contains what the results of its cell need: never less, and little more."""

import ast

import pytest
from cell_texts import CONSTRUCTS, FRAME, INFO, NAMESPACE

from dmlink import gallery
from dmlink.indm.results import Several
from dmlink.program.instance import Instance
from dmlink.program.program import Program
from dmlink.script.result_kinds import kinds_of

NUMBER, ARRAY = {"Scalar"}, {"Scalar", "Profile", "Image"}
TOLD = {
    "frame.mean()": NUMBER,
    "gain: (0, 9) = 2\ngain * frame.mean()": NUMBER,
    "mean = frame.mean()\nmean -= 3\nmean": NUMBER,
    "float(np.median(frame))": NUMBER,
    "info.index * info.x.scale": NUMBER,
    "{'mean': frame.mean(), 'max': frame.max()}": NUMBER,
    "frame.mean(axis=0)": ARRAY,
    "frame = frame[1:] - np.sqrt(frame[:-1])\nframe": ARRAY,
    "frame.mean() if info.index % 2 else None": NUMBER,
    "'frame %d' % info.index": {"Text"},
    "f'{info.index}' + info.unit": {"Text"},
    "[{'a': 1}]": {"Table", "Profile"},
    "None": set(),
    "x = 1": set(),
    "Profile(frame[0])": {"Profile"},
    "Overlay(frame, Points([[1, 2]]))": {"Overlay"},
    "frame.mean(), Profile(frame[0])": {"Several", "Scalar", "Profile"},
    "r = {}\nr['a'] = Image(frame)\nif len(r) and r:\n    r.update(b=frame.mean())\nr": {
        "Several",
        "Image",
        "Scalar",
    },
    "{str(i): Profile(row) for i, row in enumerate(frame)}": {"Several", "Profile"},
    "n = Scalar(1), Text('a')\ndict(zip('abc', (Image(frame), *n)))": {"Several", "Scalar", "Text", "Image"},
}
UNTOLD = {
    "a function": "def f(x):\n    return x\nf(frame)",
    "another assignment": "for x in frame:\n    pass\nx",
    "a function that changes a dict": "def f(x):\n    x['a'] = 'b'\nr = {'a': 1}\nf(r)\nr",
    "another name of a dict": "r = {'a': 1}\ns = r\ns['a'] = 'b'\nr",
    "a function of the cell's own that makes a dict": "def zip(*x):\n    return table\ndict(zip('a', (1,)))",
    "a method that changes a list": "r = [1]\nr.append({'a': 2})\nr",
    "a builtin of the cell's own": "def float(x):\n    return [x]\nfloat(1)",
    "an array of anything": "np.array([{}], dtype=object)",
    "what the state holds": "state.setdefault('x', 1)",
    "the notebook's": "table",
}


def kinds(text):
    program = Program.from_cell(text, "test", NAMESPACE)
    parameters = {name: parameter.value for name, parameter in program.parameters.items()}
    return program, kinds_of(ast.parse(program.source), parameters)


@pytest.mark.parametrize(("text", "told"), TOLD.items())
def test_text_names_possible_kinds(text, told):
    assert kinds(text)[1] == told


@pytest.mark.parametrize("text", UNTOLD.values(), ids=UNTOLD)
def test_unknown_kinds_are_not_guessed(text):
    assert kinds(text)[1] is None


def given(result):
    if isinstance(result, Several):
        return {"Several"}.union(*map(given, result.results.values()))
    return set() if result is None else {type(result).__name__}


@pytest.mark.parametrize("text", [*CONSTRUCTS.values(), *TOLD])
def test_result_is_of_a_named_kind(text):
    program, told = kinds(text)
    try:
        result = Instance(program).process(FRAME, INFO)
    except (TypeError, ValueError):  # no result
        return
    assert told is None or given(result) <= told


def test_gallery_kinds_are_known():
    assert not [name for name in gallery.names() if kinds(gallery.text(name))[1] is None]
