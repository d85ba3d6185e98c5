"""Unusual cells give the same result in every way: live, with `run`, as a script, over a recording."""

import csv
import linecache
import re

import distributed
import numpy as np
import pytest
import zarr

import dmlink
from dmlink import recordings
from dmlink.batch import processing
from dmlink.engine.pool import engine

N = 4


def notebook(text):
    """Return the variables of a notebook that has executed this code."""
    names = {"np": np, "__name__": "__main__"}
    filename = f"<odd {hash(text)}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), names)  # noqa: S102 - as the notebook does
    return names


COUNT = "n = 0\ndef count():\n    global n\n    n += 1\n    return n"
RUN_TWICE = "def more(a, seen=[]):\n    seen.append(a)\n    return len(seen)"

# The notebook's definitions, the cell, the recording's data type, and a value or text for its second frame.
ODD = {
    "masked pixel": ("", "np.ma.masked_greater(frame, 50)", "u2", None),
    "masked image of floats": ("", "np.ma.masked_greater(frame * 1.5, 50)", "u2", None),
    "masked profile": ("", "np.ma.masked_greater(frame, 50).sum(axis=0)", "u2", None),
    "wholly masked profile": ("", "np.ma.masked_all(5)", "u2", None),
    "wholly masked integers": ("", "np.ma.masked_all(5, np.uint16)", "u2", None),
    "rows, some masked": ("", "[np.ma.masked_greater(row, 50) for row in frame]", "u2", None),
    "mean of nothing": ("", "np.ma.masked_greater(frame, -1).mean()", "u2", np.nan),
    "mean with a mask": ("", "float(np.ma.masked_greater(frame, 50).mean())", "u2", None),
    "dict with a mask": ("", '{"a": np.ma.masked_greater(frame, -1).max(), "b": 1.0}', "u2", None),
    "masked profile with axes": ("", "Profile(np.ma.masked_less(frame[0], 9), scale=2.0)", "u2", None),
    "masked image with axes": ("", 'Image(np.ma.masked_less(frame, 9), unit="nm")', "u2", None),
    "masked column": ("", 'Table({"a": np.ma.masked_less(frame[0], 9)})', "u2", None),
    "masked points": ("", "Points(np.ma.masked_less([[1, 2], frame[1, :2]], 30))", "u2", None),
    "points beyond all": ("", "Points([[1, np.nan], [np.inf, 2], [3, 4]], labels='abc')", "u2", None),
    "masked boxes": ("", "Boxes(np.ma.masked_equal([[1, 2, 3, 4], [0, 0, 3, 9]], 9))", "u2", None),
    "counter": (COUNT, "count()", "u2", 2),
    "list": ("hist = []", "hist.append(frame[0, 0])\nlen(hist)", "u2", 2),
    "dict of lists": ("seen = {'a': []}", "seen['a'].append(1)\nlen(seen['a'])", "u2", 2),
    "set": ("seen = {9}", "seen.add(int(info.index))\nlen(seen)", "u2", None),
    "small array": ("kept = np.zeros(3)", "kept[0] += 1\nkept.sum()", "u2", 2),
    "list in a function": (
        "hist = []\ndef grow():\n    hist.append(1)\n    return len(hist)",
        "grow()",
        "u2",
        2,
    ),
    "default value": (RUN_TWICE, "more(1)", "u2", 2),
    "list by another name": ("hist = []", "other = hist\nother.append(1)\nlen(other)", "u2", 2),
    "bool": ("", "str(frame.dtype)", "?", "uint8"),
    "half": ("", "str(frame.dtype)", "f2", "float32"),
    "long": ("", "str(frame.dtype)", "i8", "float64"),
    "unsigned long": ("", "str(frame.dtype)", "u8", "float64"),
    "big-endian": ("", "str(frame.dtype)", ">u2", "uint16"),
    "large integer": ("", "frame.max() - 16777210", "i8", None),
    "long image": ("", "frame - 16777210", "i8", None),
    "unit": ("", "info.unit", "u2", "um"),
}


TABLES = ("table", "points", "boxes")


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
    engine.close()


@pytest.fixture(params=ODD)
def odd(request, tmp_path):
    """Return the cell, the recording, and the expected second result."""
    setup, text, dtype, known = ODD[request.param]
    stack = np.random.default_rng(5).integers(0, 100, (N, 6, 8))
    stack[:, 0, 0] = np.arange(N)  # every frame is different
    if dtype == "i8":
        stack += 16777217
    np.save(tmp_path / "gold.npy", stack.astype(dtype) if dtype != "?" else stack % 2 == 0)
    (tmp_path / "gold.json").write_text('{"scale": 0.05, "unit": "\u00b5m", "fps": 20}', "utf-8")
    cell = dmlink.LiveCell(text, "odd", notebook(setup))
    with recordings.open(tmp_path / "gold.npy") as recording:
        yield cell, recording, known


def plain(result):
    """Return the content of a result for comparison; NaN equals NaN."""
    if result.kind in ("image", "profile"):
        return result.kind, result.values.dtype.str, result.values.shape, result.values.tobytes()
    if result.kind in TABLES:
        return {name: (column.dtype.str, column.tobytes()) for name, column in result.columns.items()}
    return repr(result.value) if result.kind == "scalar" else result.text


def live(program, recording):
    worker = engine.worker(60.0)
    assert worker.load(program) == ""
    outcomes = [worker.process(frame, {}) for frame in recording]
    engine.end(worker)
    assert not any(outcome.error for outcome in outcomes)
    return [outcome.result for outcome in outcomes]


def of_batch(out, kind):
    """Return the results of each frame as numbers or text."""
    if kind in ("image", "profile"):
        stack = zarr.open_array(out / "odd.ome.zarr" / "0", mode="r")[:]
        return [frame[0] if kind == "profile" else frame for frame in stack]
    with (out / "odd.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", ["counter", "list", "dict of lists", "small array", "default value"])
def test_reset_undoes_changes(name):
    setup, text, _, _ = ODD[name]
    cell = dmlink.LiveCell(text, "odd", notebook(setup))
    frame = dmlink.Frame(np.ones((4, 4), np.uint16))
    worker = engine.worker(60.0)
    worker.load(cell.program)
    here, there = [], []
    for reset in (False, False, True, False):
        if reset:
            cell.reset()
        here.append(cell.run(frame).value)
        there.append(worker.process(frame, {}, reset=reset).result.value)
    engine.end(worker)
    assert here == there == [1, 2, 1, 2]


def test_odd_cell_is_the_same_in_all_ways(odd, client, tmp_path, monkeypatch):
    cell, recording, known = odd
    monkeypatch.setattr(processing, "BLOCK_FRAMES", 1)
    here = [cell.run(frame) for frame in recording]
    if isinstance(known, str):
        assert here[1].text == known
    elif known is not None:
        assert np.array_equal(here[1].value, known, equal_nan=True)
    assert [plain(result) for result in live(cell.program, recording)] == [plain(result) for result in here]
    comparison = dmlink.check(cell.export(tmp_path / "odd.py"), list(recording), against=cell)
    assert comparison.equal, comparison
    out = dmlink.process(recording, cell, tmp_path / "out", client, progress=False)
    batch = of_batch(out, here[0].kind)
    if here[0].kind in ("image", "profile"):
        assert [(a.dtype, a.tobytes()) for a in batch] == [(r.values.dtype, r.values.tobytes()) for r in here]
    elif here[0].kind in TABLES:
        for name in here[0].columns:
            assert [row[name] for row in batch] == [str(v) for r in here for v in r.columns[name].tolist()]
    else:
        written = [
            {k: str(v) for k, v in r.series.items()} if r.kind == "scalar" else {"text": r.text} for r in here
        ]
        assert [{k: row[k] for k in one} for row, one in zip(batch, written, strict=True)] == written


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("frame[0] * np.nan", "This profile contains only NaN"),
        ("Profile(frame[0] * np.nan)", "This profile contains only NaN"),
        ("frame * np.nan", "This image contains only NaN"),
        ("frame[0] * 1j", "the magnitude"),
        ("frame.mean(), (1, 2)", "is itself several"),
        ("Points([[1, 2, 3]])", r"shape \(n, 2\)"),
    ],
)
def test_refused_result_is_the_same_in_all_ways(text, said, client, tmp_path):
    np.save(tmp_path / "gold.npy", np.ones((2, 6, 8), np.uint16))
    cell = dmlink.LiveCell(text, "odd", {"np": np})
    with recordings.open(tmp_path / "gold.npy") as recording:
        with pytest.raises((TypeError, ValueError), match=said):
            cell.run(recording[0])
        worker = engine.worker(60.0)
        worker.load(cell.program)
        outcome = worker.process(recording[0], {})
        engine.end(worker)
        assert re.search(said, outcome.error)
        with pytest.raises(RuntimeError, match=rf"{said}.*The script fails too: .*{said}"):
            dmlink.check(cell.export(tmp_path / "odd.py"), list(recording), against=cell)
        dmlink.process(recording, cell, tmp_path / "out", client, progress=False)
        assert re.search(said, (tmp_path / "out" / "errors.csv").read_text("utf-8"))


KINDS = """
kinds = [frame.mean(), frame[0], frame * 1.5, "text", {"a": 1.0}, (frame[0], 3), Points([[1, 2]]),
         Boxes([[1, 2, 3, 4]]), Overlay(frame, Points([[1, 2]])), None,
         np.stack([np.uint8(frame)] * 3, axis=-1)]
kinds[info.index]
"""


def test_kinds_may_change_in_a_script(tmp_path):
    stack = np.random.default_rng(6).integers(0, 100, (11, 6, 8)).astype(np.uint16)
    frames = [dmlink.Frame(data, i, float(i), source="gold") for i, data in enumerate(stack)]
    cell = dmlink.LiveCell(KINDS, "odd", {"np": np})
    comparison = dmlink.check(cell.export(tmp_path / "odd.py"), frames, against=cell)
    assert comparison.equal, comparison
    assert len(comparison) >= 9
