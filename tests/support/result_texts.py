"""Cells that return every kind of result, and frames that distinguish them."""

from __future__ import annotations

import numpy as np

from dmlink.comparison.script_check import InMemoryRecording
from dmlink.frame import Axis, Frame

SHAPE = (24, 40)

RESULTS = {
    "several": "{'a': frame.mean(), 'b': frame[0], 'c': Image(frame[:3])}",
    "tuple": "frame.mean(), frame[0] * 2",
    "nothing now and then": "frame[0] if info.index % 2 else None",
    "overlay": "Overlay(Image(frame[::2]), Points([[1, 2]], labels=['a']), Boxes([[1, 2, 5, 6]]))",
    "events": "Event('bright', frame[0, 0] > 200), Event('\u00b5', info.index == 3), Event('no', False)",
    "marks and events": "Points([[1, info.index]]), Event(f'n {info.index}', info.index % 3 == 0)",
    "memory": "average = state.setdefault('average', RunningAverage(4))\nImage(average.add(frame))",
    "list": "[1.5, 2, frame[0, 0]]",
    "with nan": "row = frame[0] * 1.0\nrow[3] = float('nan')\nrow",
    "integers": "frame.astype('int64') - 300",
    "booleans": "frame > 200",
    "tabs": "if frame.any():\n\tvalue = 3\nvalue + frame[0, 0]",
    "Windows line ends": "value = 3\r\n\r\nvalue + frame[0, 0]\r\n",
    "ends in a comment": "frame.mean()  # it is\n# the mean",
    "unicode": "gr\u00f6\u00dfe = frame.mean()  # in \u00b5m\n{'\u00b5': gr\u00f6\u00dfe}",
    "names of the mechanics": "Live = ImageWindow = start = 2\nlive_view = Live + frame[0]\nlive_view",
    "function": "def double(x):\n    return 2 * x\n\ndouble(frame[0])",
    "words": "'frame ' + str(info.index)",
    "of one name": "Scalar(1, name='a'), Scalar(2, name='a'), Scalar(frame.mean(), name='a')",
    "a number more": "{'a': 1, 'b': frame.mean()} if info.index % 2 else {'a': frame.mean()}",
    "figure": (
        "from matplotlib.figure import Figure\nfigure = Figure((2, 1), dpi=20)\n"
        "figure.add_axes([0, 0, 1, 1]).plot(frame[0])\nfigure"
    ),
    "structured array": "import numpy as np\nnp.array([(1, 2.5)] * 3, dtype=[('a', int), ('b', float)])",
    "data frame": "import pandas\npandas.DataFrame({'a': frame[0, :3], 'b': 'x'})",
}


def recording(n=10, unit="nm", shape=SHAPE, dtype=np.uint16, name="Gold"):
    numbers = np.random.default_rng(5).integers(0, 400, (n, *shape)).astype(dtype)
    x, y = Axis(-8.0, 0.5, unit), Axis(-4.0, 0.5, unit)
    return InMemoryRecording([Frame(data, i, float(i), y, x, source=name) for i, data in enumerate(numbers)])
