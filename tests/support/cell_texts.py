"""Cells with every construct of Python that people use, and the notebook names they need."""

from __future__ import annotations

import math

import numpy as np
import scipy

from dmlink.frame import Axis, Info

FRAME = np.arange(12.0).reshape(3, 4)

INFO = Info(index=7, x=Axis(0.0, 0.5, "nm"))

NAMESPACE = {
    "np": np,
    "scipy": scipy,
    "sqrt": math.sqrt,
    "root": math.sqrt,
    "k": 3,
    "table": [1, {"a": (2,)}],
}

CONSTRUCTS = {
    "one expression": "frame.sum()",
    "no line end, comment": "frame.sum()  # the sum",
    "comments around": "# before\n\nframe.sum()\n\n# after\n",
    "windows line ends": "x = 2\r\nif x:\r\n    x = 3\r\nx\r\n",
    "byte order mark": "\ufeffx = 2\nx",
    "tabs": "x = 0\nfor i in range(3):\n\tif i:\n\t\tx += i\nx",
    "percent at the begin of a line": "x = 7\n(x\n% 4)",
    "semicolons": "x = 1; y = 2; x + y",
    "semicolon at the end": "x = 1; x;",
    "expression of many lines": "(\n    frame\n    .sum()\n    + 1\n)",
    "call of many lines": "max(\n  1,\n\n  2,  # more\n)",
    "backslash": "x = 1 + \\\n  2\nx \\\n + 1",
    "text of many lines": 's = """a\n  b\n\n   c"""\ns',
    "text of many lines as result": '"""a\n  b"""',
    "text with backslash": "'a\\\nb'",
    "text begun on the line before": 'x = """\nabc"""; x + "d"',
    "f-string of many lines": 's = f"""{k}\n  {k + 1:>{k}}\n"""\ns',
    "f-string with formats": "x = {'a': 3}\nf\"{x['a']:>{x['a']}}{{{k!r}}} {frame.mean()=:.2f}\"",
    "umlauts": "größe = 'ä'; größe + 'ö'",
    "line separator in text": "'a\u2028b\x0cc'",
    "function": "def f(x, y=2):\n    '''Add.'''\n\n    return x + y + k\nf(1)",
    "function uses a later variable": "def f():\n    return z\nz = 5\nf()",
    "recursion": "def f(n):\n    return 1 if n < 2 else n * f(n - 1)\nf(5)",
    "decorator": "def twice(f):\n    return lambda *a: 2 * f(*a)\n@twice\ndef g(x):\n    return x + k\ng(2)",
    "decorators of a class": (
        "import functools\n@functools.total_ordering\nclass A:\n    @property\n    def b(self): return k\n"
        "    @staticmethod\n    def c(): return 2\n    def __lt__(self, other): return self.b < other\n"
        "A().b + A.c(), A() < 9"
    ),
    "generator function": "def g(n):\n    yield n\n    yield from range(n)\nlist(g(k))",
    "nonlocal in a function": (
        "def f():\n    n = 0\n    def g():\n        nonlocal n\n        n += k\n        return n\n"
        "    return g()\nf()"
    ),
    "coroutine": "import asyncio\nasync def f():\n    return await asyncio.sleep(0, k)\nasyncio.run(f())",
    "class": "class A:\n    b = k\n    def c(self):\n        return self.b + k\nA().c()",
    "lambda": "f = lambda x, y=k: x * y\nf(2)",
    "lambda that keeps and gathers": "[(lambda *a, i=i, **b: (i, a, b))(1, c=2) for i in range(2)]",
    "comprehension": "[i * k for i in range(3) if i]",
    "comprehensions nested": "{i: [i + j + k for j in range(2)] for i in range(2)}",
    "comprehensions of all kinds": (
        "{int(x) % 3 for x in frame.flat}, {str(i): i for i in range(2)}, sum(x for r in frame for x in r)"
    ),
    "walrus in conditions": "if (m := frame.mean()) > 1:\n    m += 1\nm, [y for x in 'ab' if (y := x + x)]",
    "walrus": "[y := i for i in range(4)]\n(y, (z := 3), z)",
    "match": "match table:\n    case [a, {'a': (b,), **rest}]:\n        c = a + b\nc",
    "match with guard, stars and alternatives": (
        "match frame.shape:\n    case (h, w) if h > w:\n        r = 'tall'\n    case (3 | 4 as h, *rest):\n"
        "        r = h, rest\n    case _:\n        r = None\nr"
    ),
    "match of a class": "match info:\n    case object(index=i):\n        pass\ni",
    "exception group": (
        "try:\n    raise ExceptionGroup('x', [ValueError(1)])\nexcept* ValueError as e:\n"
        "    s = len(e.exceptions)\ns"
    ),
    "try": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    s = str(e)\ns",
    "with": "import contextlib\nwith contextlib.suppress(KeyError) as c:\n    {}[1]\nc is None",
    "star": "a, *b = range(4)\n*b, a",
    "delete": "x = 1\ndel x\nx = 2\nx",
    "loop else": "for i in range(2):\n    pass\nelse:\n    i = 9\ni",
    "frame replaced": "frame = frame[1:]\nframe -= frame.mean()\nframe.sum()",
    "frame in a comprehension": "[frame for frame in range(3)], frame.sum()",
    "frame as an argument": "def f(frame, dark=k):\n    return frame - dark\nf(frame).sum()",
    "frame as a loop variable": "for frame in np.split(frame, 3):\n    pass\nframe.sum()",
    "frame as a walrus": "(frame := frame + k).sum(), frame.sum()",
    "frame as an import": "import math as frame\nframe.pi",
    "information": "info.index * info.scale, info.unit",
    "given results": "Scalar(2.0, 'nm').value",
    "type hints": "x: np.ndarray = frame * 2\ndef f(a: np.ndarray) -> 'nothing':\n    return a\nf(x).sum()",
    "type hints of all kinds": (
        "def f(a: int, *b: 'Nobody', c: list[int] | None = None, **d: object) -> tuple[int, ...]:\n"
        "    return a, *b\nxs: list[float] = [1.0]\ny: tuple[int, int] = f(1, 2)\nxs, y"
    ),
    "nested annotation": "if k:\n    n: int = 3\nn",
    "module": "np.fft.fft2(frame).real.sum()",
    "submodule": "scipy.ndimage.gaussian_filter(frame, 1.0).sum()",
    "imported function": "sqrt(16.0) + root(4.0)",
    "constants": "(k, table)",
    "builtins": "sum(map(int, '12'))",
    "import": "import math\nfrom math import pi as p, e\nimport os.path\nmath.floor(p + e), os.sep",
    "import in a block": "if k:\n    import math\nmath.pi",
    "import beside": "import math; math.pi",
    "import of a name used otherwise": "from math import pi\npi = pi + 1\npi",
    "name of the cell hides the notebook's": "k = 1\nk += 1\nk",
    "parameters": "n: (0, 9) = 5\nlog: bool = True\nw: ['a', 'b'] = 'b'\n(n, log, w)",
    "parameter in a function": "n: int = 3\ndef f():\n    return [n for _ in range(2)]\nf()",
    "parameter on many lines": "w: [\n 'a',\n 'b',\n] = (\n  'b'\n)  # window\nw + 'c'",
    "parameter in the middle": "a = 1\n\nn: int = 3\n\na + n",
}
