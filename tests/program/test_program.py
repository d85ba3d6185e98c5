"""A cell becomes a module with the same results that reads like the cell, or is refused with the line."""

import ast
import math
import pickle
import subprocess
import sys
import textwrap
import traceback

import numpy as np
import pytest
import skimage
from cell_texts import CONSTRUCTS, FRAME, INFO, NAMESPACE

from dmlink.indm.results import Image, Profile, Scalar
from dmlink.program.instance import Instance
from dmlink.program.memory import keeps
from dmlink.program.program import Program


@pytest.fixture(scope="module")
def shell(new_shell):
    """Return a real IPython that stores the source of cells like a notebook."""
    return new_shell()


@pytest.fixture
def notebook(shell):
    shell.reset()

    def run(*cells):
        for cell in cells:
            shell.run_cell(textwrap.dedent(cell), store_history=True, silent=False).raise_error()
        return shell.user_ns

    return run


def process(cell, namespace=None, frame=FRAME, state=None, **values):
    program = Program.from_cell(cell, "test", namespace or {}).with_values(**values)
    return program.load().process(frame, INFO, {} if state is None else state)


def plain(cell, namespace):
    """Execute a cell as a notebook would and return its last expression."""
    cell = cell.removeprefix("\ufeff")
    tree = ast.parse(cell)
    names = dict(namespace, frame=FRAME, info=INFO, state={}, Scalar=Scalar, Profile=Profile, Image=Image)
    last = tree.body.pop()
    exec(compile(tree, "<plain>", "exec"), names)  # noqa: S102
    return eval(compile(ast.Expression(last.value), "<plain>", "eval"), names)  # noqa: S307


@pytest.mark.parametrize("cell", CONSTRUCTS.values(), ids=CONSTRUCTS)
def test_program_equals_the_cell(cell):
    program = Program.from_cell(cell, "test", NAMESPACE)
    result = program.load().process(FRAME.copy(), INFO, {})
    assert repr(result) == repr(plain(cell, NAMESPACE))
    assert program.text == cell
    assert pickle.loads(pickle.dumps(program)).source == program.source  # noqa: S301


def test_module_reads_like_a_script(notebook):
    namespace = notebook(
        "import numpy as np\nimport scipy\nfrom math import sqrt, floor\nfrom scipy import ndimage",
        """
        edges = (1, 2)

        def rings(shape):  # of equal width
            # from the centre
            return np.hypot(*np.indices(shape)) * sqrt(scale) + edges[0]
        scale = 2.5
        """,
    )
    cell = '''\
# Radial profile
import json
n_bins: (64, 1024, 64) = 256  # how fine
log: bool = True
window: ["hann", "none"] = "hann"

r = rings(frame.shape)   # kept  as written

if log:
    text = """first
second"""
smooth = floor(1.5) + ndimage.gaussian_filter(r, 1) + scipy.fft.fft(r).real
values = np.bincount(smooth.astype(int).ravel() % n_bins)
Profile(
    values,
    unit="1/" + info.unit,
)  # done
'''
    program = Program.from_cell(cell, "radial_profile", namespace)
    assert (
        program.source
        == '''\
"""Live cell "radial_profile"."""

import json
from math import floor, sqrt

import numpy as np
import scipy.fft
from dmlink.indm.results import Profile
from scipy import ndimage

# Parameters
n_bins = 256  # 64 to 1024 in steps of 64: how fine
log = True  # True or False
window = "hann"  # one of "hann", "none"
scale = 2.5

edges = (1, 2)


def rings(shape):  # of equal width
    # from the centre
    return np.hypot(*np.indices(shape)) * sqrt(scale) + edges[0]


def process(frame, info, state):
    # Radial profile

    r = rings(frame.shape)   # kept  as written

    if log:
        text = """first
second"""
    smooth = floor(1.5) + ndimage.gaussian_filter(r, 1) + scipy.fft.fft(r).real
    values = np.bincount(smooth.astype(int).ravel() % n_bins)
    return Profile(
        values,
        unit="1/" + info.unit,
    )  # done
'''
    )
    assert program.notes == ()
    lines = program.source.split("\n")
    for number, line in enumerate(lines, start=1):
        where = program.line_of(number)
        if where is not None:
            words = cell.split("\n")[where - 1].split()
            assert words[-1] in line if words else not line.strip()
    assert program.line_of(lines.index("import json") + 1) == 2
    assert program.line_of(lines.index('second"""') + 1) == 11
    assert program.line_of(lines.index("    return Profile(") + 1) == 14
    assert program.line_of(1) is None
    assert program.line_of(1000) is None


def test_small_program_has_no_empty_sections():
    assert Program.from_cell("frame.mean()", "mean").source == (
        '"""Live cell "mean"."""\n\n\ndef process(frame, info, state):\n    return frame.mean()\n'
    )


def test_program_runs_in_fresh_python(notebook):
    namespace = notebook("import numpy as np\nw = np.array([1.0, 2.0])\ndef f(x):\n    return (x * w).sum()")
    source = Program.from_cell("f(np.ones(2))", "fresh", namespace).source
    script = source + "\nprint(process(None, None, {}))\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3.0"


def test_state_lasts_between_frames():
    run = Program.from_cell("state['n'] = state.get('n', 0) + 1\nstate['n']").load().process
    state = {}
    assert [run(FRAME, INFO, state) for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    "cell",
    [
        *("x = frame", "x = 1\nx += 1", "n: int = 3", "import math", "pass", "def f():\n    return 1"),
        *(
            "# x\nif 1:\n    frame",
            "for i in range(3):\n    i",
            "with memoryview(frame):\n    1",
            "del frame",
        ),
    ],
)
def test_cell_without_result_says_so(cell):
    program = Program.from_cell(cell)
    assert "so there is no result" in program.notes[0]
    assert program.load().process(FRAME, INFO, {}) is None


def test_indented_cell_is_accepted():
    assert process("\n        x = 1\n        if x:\n            x = 2\n        x\n    ") == 2


# -- parameters


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("n: (64, 1024, 64) = 256  # bins", ("integer", 256, 64, 1024, 64, (), "bins")),
        ("n: (-1, 1) = 0", ("integer", 0, -1, 1, None, (), "")),
        ("n: (0, 1.5) = 1", ("number", 1.0, 0, 1.5, None, (), "")),
        ("n: (0, 2, .5) = 1", ("number", 1.0, 0, 2, 0.5, (), "")),
        ("n: bool = False", ("switch", False, None, None, None, (), "")),
        ("n: ['hann', 'none'] = 'none'", ("choice", "none", None, None, None, ("hann", "none"), "")),
        ("n: [1, 2, 4] = 2", ("choice", 2, None, None, None, (1, 2, 4), "")),
        ("n: float = -1.5", ("number", -1.5, None, None, None, (), "")),
        ("n: float = 2", ("number", 2.0, None, None, None, (), "")),
        ("n: int = 3", ("integer", 3, None, None, None, (), "")),
        ("n: str = 'it\\'s'  # label # two", ("text", "it's", None, None, None, (), "label # two")),
    ],
)
def test_annotated_assignments_are_parameters(cell, expected):
    program = Program.from_cell(cell + "\nn")
    p = program.parameters["n"]
    assert (p.kind, p.value, p.minimum, p.maximum, p.step, p.choices, p.comment) == expected
    assert type(p.value) is type(expected[1])
    assert program.load().process(FRAME, INFO, {}) == expected[1]


def test_values_are_checked_and_bounded():
    cell = (
        "n: (0, 10) = 5\nx: float = 1\nlog: bool = True\nw: ['a', 'b'] = 'a'\ns: str = ''\n(n, x, log, w, s)"
    )
    program = Program.from_cell(cell)
    changed = program.with_values(n=np.int64(7), x=2, log=False, w="b", s='say "hi"')
    assert changed.load().process(FRAME, INFO, {}) == (7, 2.0, False, "b", 'say "hi"')
    assert changed.text == program.text
    assert program.parameters["n"].value == 5
    assert program.with_values(n=99).parameters["n"].value == 10
    assert program.with_values(n=-1.0).parameters["n"].value == 0
    for wrong in ({"n": 2.5}, {"n": True}, {"n": "2"}, {"x": math.nan}, {"log": 1}, {"w": "c"}, {"s": 2}):
        (name,) = wrong
        with pytest.raises(ValueError, match=f"'{name}' takes .*, not"):
            program.with_values(**wrong)
    with pytest.raises(ValueError, match=r"no parameter 'm'\. It has: n, x, log, w, s"):
        program.with_values(m=1)


def test_loaded_program_has_parameters():
    module = Program.from_cell("n: int = 3\ndef f():\n    return n\nf()").load()
    module.n = 4
    assert module.process(FRAME, INFO, {}) == 4


# -- refusals

REFUSED = {
    "undefined": ("x = 1\ny = x + undefined", 2, "'undefined' is not defined"),
    "misspelt": ("framee.mean()", 1, "'framee' is not defined.* Did you mean 'frame'?"),
    "misspelt result": ("Scaler(1)", 1, "Did you mean 'Scalar'?"),
    "undefined in a function": ("def f():\n    return [q for _ in 'a']\nf()", 2, "'q' is not defined"),
    "remembers": ("count = count + 1\ncount", 1, "put it in state"),
    "remembers briefly": ("x = 1\ncount += x\ncount", 2, "put it in state"),
    "magic": ("x = 1\n%timeit x", 2, "is a notebook command"),
    "magic assigned": ("x = %pwd\nx", 1, "is a notebook command"),
    "magic for the cell": ("%%time\nframe.mean()", 1, "is a notebook command"),
    "magic in a block": ("if frame.any():\n    %time x = 1\nx", 2, "is a notebook command"),
    "shell assigned": ("files = !ls\nfiles", 1, "is a notebook command"),
    "shell in a block": ("if 1:\n    !ls", 2, "is a notebook command"),
    "help before": ("?np", 1, "is a notebook command"),
    "help for the source": ("np.fft??", 1, "is a notebook command"),
    "shell": ("!ls", 1, "is a notebook command"),
    "help": ("x = 1\nx?", 2, "is a notebook command"),
    "return": ("x = 1\nreturn x", 2, "'return' is not needed"),
    "yield": ("x = 1\nyield x", 2, "'yield'"),
    "yield from": ("yield from frame", 1, "'yield'"),
    "async for": ("async for i in x:\n    pass", 1, "'async'"),
    "await": ("x = [\nawait f()]", 2, "'await'"),
    "async with": ("async with f: pass", 1, "'async'"),
    "async comprehension": ("[i async for i in x]", 1, "'async'"),
    "global": ("def f():\n    global n\n    n = 1\nf()", 2, "'global n'"),
    "global frame": ("def f():\n    global frame\n    frame = 1\nf()", 2, "'global frame'"),
    "star import in a function": ("def f():\n    from math import *\nf()", 2, "instead of \\*"),
    "nonlocal": ("x = 1\nnonlocal x", 2, "'nonlocal'"),
    "star import": ("from math import *\npi", 1, "instead of \\*"),
    "info assigned": ("x = 1\nfor info in []:\n    pass", 2, "dmlink sets 'info'"),
    "state assigned": ("state = {}\n1", 1, "dmlink sets 'state'"),
    "process": ("x = 1\nprocess(frame, info, state)", 2, "program's own function"),
    "empty": ("# nothing\n", 1, "empty"),
    "IPython": ("x = 1\ndisplay(x)", 2, "belongs to the notebook"),
    "IPython's shell": ("get_ipython()", 1, "belongs to the notebook"),
    "IPython's results": ("Out[1]", 1, "belongs to the notebook"),
    "IPython's last result": ("_ + 1", 1, "belongs to the notebook"),
    "parameter set again": ("n: int = 3\nx = 1\nn = 4", 3, "'n' is also assigned on line 1"),
    "parameter set before": ("for n in []: pass\nn: int = 3", 2, "'n' is also assigned on line 1"),
    "parameter twice": ("n: int = 3\nn: int = 4", 2, "'n' is also assigned on line 1"),
    "parameter deleted": ("n: int = 3\ndel n", 2, "'n' is also assigned on line 1"),
    "parameter out of bounds": ("x = 1\nn: (0, 9) = 10", 2, "10 is outside 0 to 9"),
    "parameter of the wrong type": ("n: int = 2.5", 1, "takes a whole number"),
    "parameter not a number": ("n: (0, 9.5) = True", 1, "takes a number"),
    "parameter not chosen": ("n: ['a'] = 'b'", 1, 'one of "a"'),
    "parameter computed": ("n: int = frame.shape[0]", 1, "must be a plain number"),
    "parameter without value": ("n: int\nn", 1, "must be a plain number"),
    "bounds computed": ("n: (0, k) = 1", 1, "write the bounds"),
    "bounds reversed": ("n: (9, 0) = 1", 1, "minimum < maximum"),
    "bounds of four": ("n: (0, 1, 2, 3) = 1", 1, "minimum < maximum"),
    "no choices": ("n: [] = 1", 1, "The choices of 'n'"),
    "parameter named frame": ("frame: int = 1", 1, "its own meaning"),
    "parameter not alone": ("n: int = 1; n", 1, "a line of its own"),
    "file": ("x = 1\nfile.read()", 2, "'file' is an open file"),
    "generator": ("next(generator)", 1, "'generator' is a generator"),
    "object": ("thing", 1, r"'thing' is an object \(object\)"),
    "large array in a list": ("larges", 1, "an array of 1000 numbers: assign .* to a variable"),
    "huge array": (
        "huge.sum()",
        1,
        "brings the arrays to 8590 MB; a cell can use at most 268 MB: load it",
    ),
    "much data": ("much", 1, "too much data"),
    "endless list": ("endless", 1, "cannot be captured"),
    "object array": ("objects", 1, "cannot be captured"),
    "object in a list": ("[nested]", 1, "a list with more than"),
}


@pytest.mark.parametrize(("cell", "line", "message"), REFUSED.values(), ids=REFUSED)
def test_forbidden_statement_has_its_line(cell, line, message):
    endless = []
    endless.append(endless)
    with open(__file__) as file:  # noqa: PTH123
        namespace = {
            "k": 3,
            "file": file,
            "generator": (i for i in "ab"),
            "thing": object(),
            "larges": [np.zeros(1000)],
            "huge": np.broadcast_to(1.0, (1 << 15, 1 << 15)),
            "much": list(range(10000)),
            "endless": endless,
            "objects": np.array([object()]),
            "nested": [object()],
            "process": len,
            "Out": {},
        }
        with pytest.raises(ValueError, match=f"(?s)^line {line}: .*{message}"):
            Program.from_cell(cell, "test", namespace)


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("x = 1\ny = (1", 2),
        ("x = 1\n  y = 2", 2),
        ("if 1:\npass", 2),
        ("x = 1\nbreak", 2),
        ("def f(a, a): 1", 1),
    ],
)
def test_syntax_error_has_the_cells_line(cell, line):
    with pytest.raises(SyntaxError) as caught:
        Program.from_cell(cell, "broken")
    assert caught.value.lineno == line
    assert caught.value.filename == "<live cell broken>"
    shown = "".join(traceback.format_exception_only(caught.value))
    assert f'File "<live cell broken>", line {line}' in shown


def test_breaking_name_is_refused():
    for name in ("", 'a"b', "a\nb", "a\\", "../startup", "a/b", "C:a", ".hidden", "a*"):
        with pytest.raises(ValueError, match="cannot be the name of a cell"):
            Program.from_cell("1", name)


class Contrary:
    """An object that raises an exception for everything."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    __repr__ = __eq__ = __hash__ = __bool__ = None


def test_contrary_object_is_refused_by_name():
    names = {"thing": Contrary(), "things": [Contrary()], "fine": 2}
    for cell in ("thing", "len(things)", "things == thing"):
        with pytest.raises(ValueError, match=r"^line 1: 'things?' is .*cannot be captured"):
            Program.from_cell(cell, "test", names)
    assert process("fine * frame.max()", names) == 2 * FRAME.max()


def test_builtins_of_notebook_are_builtins(notebook, tmp_path):
    (tmp_path / "offset.txt").write_text("5")
    names = notebook(f"path = {str(tmp_path / 'offset.txt')!r}")
    assert names["open"] is not open  # IPython's
    program = Program.from_cell("with open(path) as file:\n    n = int(file.read())\nn", "test", names)
    assert program.load().process(FRAME, INFO, {}) == 5
    assert "IPython" not in program.source


@pytest.mark.parametrize("name", ["__vsc_ipynb_file__", "__session__", "_VSCODE_types", "__builtins__"])
def test_editors_own_names_are_refused(name):
    with pytest.raises(ValueError, match="belongs to the notebook"):
        Program.from_cell(f"str({name})", "test", {name: "lesson.ipynb"})


# -- what it keeps


KEEPING = {
    "state": "state['n'] = 1",
    "global": "count()",
    "append": "some.append(1)",
    "store": "some[0] = 1",
    "nested": "nested['a'].append(1)",
    "alias": "other = some\nother",
    "own function": "own(some)",
    "attribute": "own.n = 1",
    "default": "cached(1)",
}
FREE = {
    "frame": "frame.mean()",
    "index": "frame[few[0], few[1]]",
    "arithmetic": "frame.mean() * some[0] + few.sum() + len(some)",
    "loop": "[x + 1 for x in some]",
    "function of NumPy": "np.interp(frame[0], some, few)",
    "comparison": "1 in some",
    "looked up": "nested['a'][0] * 2.0",
}
OWN = [
    "n = 0\ndef count():\n    global n\n    n += 1",
    "def own(x):\n    return 1",
    "def cached(x, seen={}):\n    return x",
    "import numpy as np\nsome = [1, 2]\nfew = np.array([0, 1])\nnested = {'a': [1]}",
]


@pytest.mark.parametrize("cell", [*KEEPING, *FREE])
def test_kept_values_are_detected(notebook, cell):
    program = Program.from_cell({**KEEPING, **FREE}[cell], "test", notebook(*OWN))
    assert keeps(program.source) == (cell in KEEPING)


def test_counter_is_not_a_parameter(notebook):
    program = Program.from_cell("count()\nn", "test", notebook(*OWN))
    assert program.parameters == {}
    with pytest.raises(ValueError, match=r"'count' sets 'n'.* belongs to the cell"):
        Program.from_cell("n: int = 3\ncount()", "test", notebook(*OWN))


# -- automatic parameters


AUTOMATIC = "diameter: (3, 99, 2) = None\nif diameter is None:\n    diameter = int(frame.max())\ndiameter"


def test_automatic_parameter_resets():
    program = Program.from_cell(AUTOMATIC)
    module = program.load()
    assert [module.process(FRAME + i, INFO, {}) for i in range(3)] == [int(FRAME.max()) + i for i in range(3)]
    assert program.with_values(diameter=21).load().process(FRAME, INFO, {}) == 21
    assert program.with_values(diameter=21).with_values(diameter=None).source == program.source
    assert "\ndiameter = None  # 3 to 99 in steps of 2, or None: found from the frame\n" in program.source


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("n: int = None\nn", "line 1: .*only a slider can be automatic"),
        ("n: ['a'] = None\nn", "line 1: .*only a slider can be automatic"),
        ("n: (3, 9) = 4\nn = 5\nn", "'n' is also assigned"),
        ("n: (3, 9) = None\nn = 1\nf()", "'f' uses 'n', which the cell assigns on line 2"),
    ],
)
def test_wrong_automatic_parameter_is_refused(notebook, text, says):
    with pytest.raises(ValueError, match=says):
        Program.from_cell(text, "test", notebook("def f():\n    return n"))


# -- what the notebook defines


def test_functions_bring_dependencies(notebook):
    namespace = notebook(
        "import functools\nimport numpy as np\nfrom dataclasses import dataclass",
        "%precision 3\nfactor = 2\nhalf = lambda x: x / 2  # of it",
        """
        def logged(f):
            @functools.wraps(f)
            def inner(*args):
                return f(*args)
            return inner

        def bare(f):
            return lambda x: f(x) + 1
        """,
        """
        @functools.lru_cache(maxsize=None)
        def cached(n, step=factor):
            return n if n < 1 else other(n - step)
        def other(n):
            return cached(n)
        """,
        "@logged\ndef scaled(x): return half(x) * factor * Ring(3.0).area()",
        "@bare\ndef raised(x):\n    return x\nalias = other",
        """
        %matplotlib agg
        @dataclass
        class Ring:
            radius: float
            def area(self):
                return np.pi * self.radius ** 2
        @dataclass
        class Fields:
            a: int = factor
        """.replace("%matplotlib agg\n", "%precision 4\n"),
    )
    cell = "scaled(frame.mean()), cached(4), alias(6), raised(1), Fields().a"
    program = Program.from_cell(cell, "functions", namespace)
    assert repr(program.load().process(FRAME, INFO, {})) == repr(plain(cell, namespace))
    source = program.source
    assert "half = lambda x: x / 2\n" in source
    assert "@functools.lru_cache(maxsize=None)\ndef cached(n, step=factor):\n    return n if" in source
    assert source.index("def logged") < source.index("@logged") < source.index("def process")


def test_function_called_top_has_its_own_names(notebook):
    """In Python's symbol tables, the module is called "top", too."""
    functions = """
    def top(x):
        global n
        n += 1
        half = x / 2
        return half + n
    class Outer:
        class top:
            size = 3
            twice = 2 * size
    """
    namespace = notebook("n = 0", functions)
    program = Program.from_cell("top(frame.mean()) + Outer.top.twice", "cell", namespace)
    assert program.load().process(FRAME, INFO, {}) is not None
    assert "n = 0" in program.source


def test_redefined_function_is_captured(notebook):
    first, second = "def f():\n    return 1", "def f():\n    return 2"
    namespace = notebook(first, second)
    assert process("f()", namespace) == 2
    assert process("f()", notebook(first)) == 1
    namespace = notebook("from dataclasses import dataclass", "@dataclass\nclass A:\n    x: int = 1")
    assert process("A().x", namespace) == 1
    assert process("A().x", notebook("@dataclass\nclass A:\n    x: int = 2")) == 2


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["def make(n):\n    return lambda x: x + n", "f = make(2)"], r"whose variables it uses \(n\)"),
        (["def make():\n    return lambda x: x", "f = make()"], "no definition of its own"),
        (["import numpy as np", "def g(x):\n    return x", "f = np.vectorize(g)"], "'f' "),
        (["def f(x):\n    return frame + x"], "'f' uses 'frame', which only the cell has"),
        (
            ["def f(x):\n    return g(x)", "def g(x):\n    return local"],
            "'g' uses 'local', which the cell assigns",
        ),
        (["def f(x):\n    return nowhere"], "'f' uses 'nowhere', which is not defined"),
        (["def f(x):\n    return display(x)"], "'f' uses 'display', which belongs to the notebook"),
        (["thing = object()", "def f(x):\n    return thing"], "'f' uses 'thing', which is an object"),
        (["class A:\n    def m(self, x):\n        return x", "f = A().m"], "'f' "),
        (["class A:\n    pass", "f = A()"], r"'f' is an object \(A\)"),
        (["import functools", "f = functools.partial(max, 1)"], "'f' is an object"),
        (
            ["import re", "from PIL import Image", "def f(x):\n    return Image.new('L', (1, 1))"],
            "another name",
        ),
    ],
)
def test_uncapturable_name_is_refused(notebook, cells, message):
    namespace = notebook(*cells)
    with pytest.raises(ValueError, match=f"^line 2: .*{message}"):
        Program.from_cell("local = Image(frame)\nf(local)", "test", namespace)


def test_function_sees_parameters_and_imports(notebook):
    namespace = notebook("n = 1\ndef f():\n    return math.floor(n)")
    assert process("import math\nn: int = 5\nf()", namespace, n=6) == 6


def test_modules_are_imported_idiomatically(notebook):
    namespace = notebook(
        """
        import os, os.path, math
        import numpy as np, numpy
        import scipy, scipy.ndimage as ndi
        import skimage, skimage as ski
        from os import path
        from os.path import join
        from scipy import fft, ndimage
        from scipy.special import jv
        from scipy.ndimage import gaussian_filter as blur
        from skimage.filters import gaussian
        from random import random
        from collections import Counter
        from heapq import heappush
        from functools import reduce
        from numpy import hypot, pi, float32
        """
    )
    for used, line in {
        "os": "import os",
        "np.fft.fft": "import numpy as np",
        "numpy": "import numpy",
        "scipy.ndimage.label": "import scipy.ndimage",
        "scipy": "import scipy",
        "ndi": "import scipy.ndimage as ndi",
        "skimage.filters.gaussian": "import skimage.filters",
        "os.path.join": "import os",
        "path": "from os import path",
        "join": "from os.path import join",
        "fft, ndimage": "from scipy import fft, ndimage",
        "jv": "from scipy.special import jv",
        "blur": "from scipy.ndimage import gaussian_filter as blur",
        "gaussian": "from skimage.filters import gaussian",
        "random": "from random import random",
        "Counter": "from collections import Counter",
        "heappush": "from heapq import heappush",
        "reduce": "from functools import reduce",
        "hypot, float32": "from numpy import float32, hypot",
        "pi": "pi = 3.141592653589793",
        "Axis, Scalar": "from dmlink.indm.results import Scalar",
    }.items():
        program = Program.from_cell(used, "imports", namespace)
        assert line in program.source.split("\n"), program.source
        program.load().process(FRAME, INFO, {})
    used = Program.from_cell(
        "import json\nfrom os import path as p\nndi, hypot, skimage.filters", "all", namespace
    )
    assert used.modules == {"json", "os", "scipy.ndimage", "numpy", "skimage", "skimage.filters"}
    both = Program.from_cell(
        "ski.filters.gaussian(frame), scipy.ndimage.label, scipy.fft.fft", "two", namespace
    )
    head = both.source.split("\n\n")[1].split("\n")
    assert head == [
        "import scipy.fft",
        "import scipy.ndimage",
        "import skimage as ski",
        "import skimage.filters",
    ]


@pytest.mark.parametrize(
    "value",
    [
        *(True, None, ..., 3, -2.5, math.inf, 1j, "it's", 'say "x"', "a\nb", b"x", range(3), slice(1, None)),
        *((), (1,), [1, [2]], {}, {1: {2}}, set(), frozenset({1}), [np.ones(2)]),
        *(np.float64(2.5), np.float32(1.5), np.int16(3), np.bool_(1)),
        *(
            np.array(2.0),
            np.zeros((0, 3)),
            np.array([1, 2], dtype=">i2"),
            np.array([1 + 2j]),
            np.array([True]),
        ),
        *(np.arange(6, dtype=np.uint8).reshape(2, 3), np.array([1.5, np.inf, np.nan]), np.linspace(0, 1, 64)),
    ],
    ids=repr,
)
def test_plain_values_are_written_out(value):
    captured = process("value", {"value": value})
    assert type(captured) is type(value)
    assert repr(captured) == repr(value)
    assert getattr(captured, "dtype", None) == getattr(value, "dtype", None)


def test_notebook_numbers_are_parameters(notebook):
    namespace = notebook(
        "import math\npi = math.pi\nn, gain, log, word = 3, 2.5, True, 'a'\nends, inf = 'a\\nb', math.inf",
        "def f():\n    return gain",
    )
    program = Program.from_cell("own: int = 1\nown, n, f(), log, word, ends, inf, pi", "test", namespace)
    assert {name: p.kind for name, p in program.parameters.items()} == {
        "own": "integer",
        "n": "integer",
        "gain": "number",
        "log": "switch",
        "word": "text",
    }
    result = program.with_values(gain=4, n=5).load().process(FRAME, INFO, {})
    assert result == (1, 5, 4, True, "a", "a\nb", math.inf, math.pi)
    assert program.with_values(gain=4).source.count("gain = 4.0\n") == 1


def test_large_arrays_are_read_only_copies():
    mask = np.arange(10_000.0).reshape(100, 100)[:, ::-1]
    program = Program.from_cell("mask.sum(), mask", "mask", {"mask": mask})
    assert len(program.source) < 300
    assert "# mask is the notebook's array of shape (100, 100), float64; it goes with this" in program.source
    mask[:] = 0
    program = pickle.loads(pickle.dumps(program, protocol=5))  # noqa: S301
    total, seen = program.load().process(FRAME, INFO, {})
    assert total == sum(range(10_000))
    np.testing.assert_array_equal(seen, program.arrays["mask"])
    instance = Instance(Program.from_cell("mask[0] = 1\n0", "mask", {"mask": mask}))
    with pytest.raises(ValueError, match="read-only") as caught:
        instance.process(FRAME, INFO)
    assert "So are the notebook's arrays: mask." in instance.explain(caught.value)


def test_result_name_wins_over_notebooks(notebook):
    namespace = notebook("from PIL import Image")
    program = Program.from_cell("Image(frame)", "image", namespace)
    assert isinstance(program.load().process(FRAME, INFO, {}), Image)
    assert "Image is dmlink's here" in program.notes[0]
    namespace = {"Image": Image, "skimage": skimage}
    assert Program.from_cell("Image(frame)", "image", namespace).notes == ()


# -- errors


def test_error_shows_the_cells_lines(notebook):
    namespace = notebook("def divide(a, b):\n    return a / b")
    cell = "n: int = 3\n\nx = [\n    0,\n]\ndef f(y):\n    return divide(1, y)\n\nf(x[0])"
    program = Program.from_cell(cell, "errors", namespace)
    with pytest.raises(ZeroDivisionError) as caught:
        program.load().process(FRAME, INFO, {})
    assert program.explain(caught.value) == (
        "line 9: f(x[0])\nline 7: return divide(1, y)\nin divide: return a / b\n"
        "ZeroDivisionError: division by zero"
    )


def test_error_has_frame_and_parameters(notebook):
    instance = Instance(Program.from_cell("n: (0, 9) = 3\nk // (n - 4)", "values", notebook("k = 2")))
    instance.set({"n": 4})
    with pytest.raises(ZeroDivisionError) as caught:
        instance.process(FRAME, INFO)
    assert instance.explain(caught.value) == (
        "line 2: k // (n - 4)\nZeroDivisionError: integer division or modulo by zero\n"
        "frame (3, 4) float64; n = 4, k = 2"
    )


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        (
            "frame -= 1\nframe",
            "make a new array (frame = frame - 1), or copy it first (frame = frame.copy()).",
        ),
        ("state['n'] += 1\nstate['n']", "state is empty before the first frame: state.setdefault("),
        ("info.pixel_size", "info has again, index, "),
        ("frame.mena()", "Did you mean 'mean'?"),
        ("frame[info.roi.mask]", "info.roi is None: choose an ROI"),
    ],
)
def test_common_mistakes_come_with_advice(cell, advice):
    instance = Instance(Program.from_cell(cell, "advice"))
    with pytest.raises((ValueError, KeyError, AttributeError)) as caught:
        instance.process(FRAME, INFO)
    assert advice in instance.explain(caught.value)


def test_other_key_errors_have_no_advice():
    instance = Instance(Program.from_cell("state['key'] = 1\nstate['n'] = {}['key']", "other"))
    with pytest.raises(KeyError) as caught:
        instance.process(FRAME, INFO)
    assert "state is empty" not in instance.explain(caught.value)


def test_final_assignment_gives_advice():
    assert (
        Program.from_cell("mean = frame.mean()")
        .notes[0]
        .endswith("To see 'mean', add a last line with only this name.")
    )


def test_endless_recursion_is_brief():
    program = Program.from_cell("def f(n):\n    return f(n + 1)\nf(0)", "deep")
    with pytest.raises(RecursionError) as caught:
        program.load().process(FRAME, INFO, {})
    said = program.explain(caught.value).split("\n")
    assert len(said) < 12
    assert said[0] == "line 3: f(0)"


def test_missing_package_is_explained():
    program = Program.from_cell("import no_such_package\nno_such_package.x", "missing")
    with pytest.raises(ModuleNotFoundError) as caught:
        program.load()
    assert program.explain(caught.value).startswith("line 1: import no_such_package\nModuleNotFoundError")


def test_library_error_ends_at_the_cell():
    program = Program.from_cell("x = 1\nnp.linalg.inv(frame)", "library", {"np": np})
    with pytest.raises(np.linalg.LinAlgError) as caught:
        program.load().process(FRAME, INFO, {})
    lines = program.explain(caught.value).split("\n")
    assert lines[0] == "line 2: np.linalg.inv(frame)"
    assert len(lines) == 2


def test_comment_begins_with_a_parameter_s_unit():
    text = """
a: (1, 9) = 2  # px, of something
b: (1, 9) = 2  # % of the width
c: (1, 9) = 2  # kV; 0: unknown
d: (1, 9) = 2  # seconds thoughts
e: (1, 9) = 2
a + b + c + d + e
"""
    found = [(p.unit, p.help) for p in Program.from_cell(text).parameters.values()]
    assert found == [
        ("px", "of something"),
        ("%", "of the width"),
        ("kV", "0: unknown"),
        ("", "seconds thoughts"),
        ("", ""),
    ]
