"""A cell's last value has one obvious meaning, or is refused with advice on what to do instead."""

# ruff: noqa: PD011 - `values` are those of results, not of pandas

import pickle
import re

import numpy as np
import pandas as pd
import pytest

from dmlink.frame import Axis
from dmlink.indm.results import (
    MAX_ROWS,
    MAX_SEVERAL,
    Boxes,
    Image,
    Overlay,
    Points,
    Profile,
    Scalar,
    Several,
    Table,
    Text,
    as_result,
)

STRUCTURED = np.array([(1, 2.5, "a"), (2, 3.5, "b")], dtype=[("n", int), ("size", float), ("id", "U1")])


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (3, Scalar),
        (np.float32(2.5), Scalar),
        (np.array(4), Scalar),
        (True, Scalar),
        ({"a": 1, "b": np.int16(2)}, Scalar),
        ([1, 2, 3], Profile),
        (np.ones(3, bool), Profile),
        (np.zeros((2, 3)), Image),
        (np.zeros((2, 3, 3), np.uint8), Image),
        ("text", Text),
        (STRUCTURED, Table),
        (STRUCTURED[:0], Table),
        ([{"a": 1, "b": 2}, {"a": 3, "b": 4}], Table),
        (pd.DataFrame(STRUCTURED), Table),
        (Points([[1, 2]]), Points),
        (Boxes([[1, 2, 3, 4]]), Boxes),
        ({"a": 1, "b": None}, Scalar),
        (Overlay(np.zeros((2, 3)), Points([[1, 2]]), Boxes([[1, 2, 3, 4]])), Overlay),
        ((1, np.zeros((2, 3))), Several),
        ((1, 2), Several),
        ({"a": [1, 2]}, Several),
        ({"a": "text", "b": 3}, Several),
    ],
)
def test_bare_values_have_their_kind(value, kind):
    result = as_result(value, "cell")
    assert type(result) is kind
    assert result.name == "cell"
    assert result.kind == kind.__name__.lower()
    assert vars(pickle.loads(pickle.dumps(result))).keys() == vars(result).keys()  # noqa: S301


def test_none_is_no_result():
    assert as_result(None, "cell") is None
    profile = Profile([1, 2], name="own")
    assert as_result(profile, "cell") is profile
    assert profile.name == "own"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "object"),
        (np.zeros((2, 2, 2)), r"array of shape \(2, 2, 2\) and type float64"),
        (np.zeros(3, complex), r"array of shape \(3,\) and type complex128"),
        ([{"a": 1}, 3], "list"),
        (["a", "b"], "list"),
        ({}, "dict"),
        ((x for x in "ab"), "generator"),
    ],
)
def test_wrong_type_lists_valid_types(value, said):
    with pytest.raises(
        TypeError, match=rf"gives this: {said}, which cannot be shown\..* End the cell with a number"
    ):
        as_result(value)


@pytest.mark.parametrize(
    ("value", "do"),
    [
        (np.zeros(3, complex), r"the magnitude \(np\.abs\) or the phase"),
        (np.zeros((2, 2, 2)), r"one image of it \(stack\[0\]\), or the mean"),
        (np.array([1, None]), "Python objects"),
        ([[1, 2], [3]], "Python objects, perhaps of different lengths"),
    ],
    ids=str,
)
def test_wrong_array_comes_with_advice(value, do):
    with pytest.raises(TypeError, match=do):
        as_result(value)


@pytest.mark.parametrize("kind", [Profile, Image], ids=lambda kind: kind.kind)
def test_all_nan_or_huge_is_refused(kind):
    shape = (1 << 15,) * (1 if kind is Profile else 2)
    with pytest.raises(ValueError, match="contains only NaN"):
        kind(np.full(shape[:1] if kind is Profile else (4, 4), np.nan))
    huge = np.broadcast_to(1.0, (1 << 30,) if kind is Profile else shape)
    with pytest.raises(ValueError, match=rf"shape {re.escape(str(huge.shape))}.* has 8192 MiB; at most 512"):
        kind(huge)
    mixed = np.zeros((4, 4))
    mixed[0] = np.nan
    assert as_result(mixed).kind == "image"


def test_nan_number_is_a_gap():
    assert np.isnan(as_result(float("nan")).value)
    assert np.isnan(as_result({"a": 1, "b": None}).series["b"])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Points([[1, 2]], labels=["a", "b"]), "2 labels for 1 places"),
        (lambda: Points([[1, 2]], tails=[[[1, 2]], [[1, 2]]]), "2 tails for 1 points"),
        (lambda: Overlay(np.zeros((2, 2)), [[1, 2]]), "Points and Boxes over its image, not list"),
        (lambda: Overlay(np.zeros(2)), r"An image has shape \(h, w\)"),
        (lambda: Several({"a": (1, 2)}), "'a' is itself several"),
        (lambda: as_result(tuple(range(100))), f"100 results at once; at most {MAX_SEVERAL}"),
        (lambda: Profile(np.zeros((2, 2))), r"one dimension, not shape \(2, 2\)"),
        (lambda: Profile([]), "no values"),
        (lambda: Profile(["a"]), "must be real numbers"),
        (lambda: Image(np.zeros(3)), r"shape \(h, w\), or \(h, w, 3\) for colour, not \(3,\)"),
        (lambda: Image(np.zeros((2, 2, 3))), "colour image is uint8 from 0 to 255, not float64"),
        (lambda: Points([[1, 2, 3]]), r"shape \(n, 2\): y, x in pixels; these are int64 of shape \(1, 3\)"),
        (lambda: Boxes([1, 2, 3, 4]), r"shape \(n, 4\): top, left, bottom, right in pixels"),
        (lambda: Table({"a": [1], "b": [1, 2]}), r"different lengths: {'a': 1, 'b': 2}"),
        (lambda: Table([{"a": 1}, {"b": 1}]), r"the same keys; here \['b'\] follows \['a'\]"),
        (lambda: Table({"a": [[1, 2]]}), r"column 'a' of this table has shape \(1, 2\)"),
    ],
)
def test_mismatched_values_are_refused(make, said):
    with pytest.raises((ValueError, TypeError), match=said):
        make()


def test_named_numbers_are_series():
    assert Scalar({"a": 1, 2: 2}).series == {"a": 1.0, "2": 2.0}
    assert Scalar(3, unit="nm").series == {"value": 3.0}


def test_axes_locate_pixels():
    assert Profile([1, 2], scale=0.5, origin=-1, unit="nm").x == Axis(-1.0, 0.5, "nm")
    image = Image(np.zeros((2, 3)), scale=0.5, origin=(-1, -2), unit="nm")
    assert (image.y, image.x) == (Axis(-1.0, 0.5, "nm"), Axis(-2.0, 0.5, "nm"))


def test_marks_are_float_arrays():
    assert Points([[1, 2], [3, 4]]).yx.dtype == float
    for nothing in ([], np.zeros((0, 2)), np.zeros(0)):
        assert Points(nothing).yx.shape == (0, 2)
        assert Boxes(nothing).tlbr.shape == (0, 4)


def test_marks_without_position_are_left_out():
    yx = np.ma.masked_equal([[1, 2], [3, 99], [5, 6]], 99)
    points = Points(yx, labels="abc", tails=[[[0, 1], [np.nan, 1]], [[3, 3]], []])
    assert (points.yx.tolist(), points.labels) == ([[1, 2], [5, 6]], ("a", "c"))
    assert [tail.tolist() for tail in points.tails] == [[[0, 1]], []]
    assert len(Points([[np.nan, 1], [2, np.inf]], labels="ab").yx) == 0
    assert Points(np.ma.masked_all((3, 2))).yx.shape == (0, 2)
    boxes = Boxes([[1, 2, 3, np.nan], [4, 5, 6, 7]], labels="ab")
    assert (boxes.tlbr.tolist(), boxes.labels) == ([[4, 5, 6, 7]], ("b",))
    with pytest.raises(ValueError, match="2 labels for 3 places"):
        Points(yx, labels="ac")


def test_table_forms_are_equal():
    rows = [{"n": 1, "size": 2.5, "id": "a"}, {"n": 2, "size": 3.5, "id": "b"}]
    columns = {"n": [1, 2], "size": [2.5, 3.5], "id": ["a", "b"]}
    for given in (rows, columns, STRUCTURED, pd.DataFrame(STRUCTURED)):
        table = Table(given)
        assert {key: column.tolist() for key, column in table.columns.items()} == columns
        assert table.text == "n  size  id\n1   2.5   a\n2   3.5   b"
    assert Table([]).columns == {}
    assert Table([]).text == ""


def test_other_cells_of_a_table_are_text():
    assert Table({"a": [None, 2.5]}).columns["a"].tolist() == ["None", "2.5"]


def test_long_table_is_cut_in_text_only():
    table = Table({"n": np.arange(1000)})
    lines = table.text.splitlines()
    assert len(lines) == 1 + MAX_ROWS + 1
    assert lines[-1] == "... 1000 rows in all"
    assert len(table.columns["n"]) == 1000


def test_marks_have_a_text():
    assert Points([[1.5, 2]]).text == "  y  x\n1.5  2"
    assert Boxes([[1, 2, 3, 4]]).text == "top  left  bottom  right\n  1     2       3      4"


def test_several_results_keep_names_and_order():
    both = as_result((Text("words", name="own"), None, 3, Text("more", name="own")), "cell")
    assert (both.name, list(both.results)) == ("cell", ["own", "3", "own'"])
    assert both.results["3"].name == "3"
    assert both.text.startswith("own:\nwords\n3:\n3\n")
    named = as_result({"mean": 2.0, "words": Text("x", name="own"), "nothing": None})
    assert {key: result.name for key, result in named.results.items()} == {"mean": "mean", "words": "own"}
    assert as_result((None, None)) is None


def test_marks_carry_labels_and_tails():
    points = Points([[1, 2], [3, 4]], labels=[1, 2], tails=[[[0, 0], [0.5, 1]], []])
    assert points.labels == ("1", "2")
    assert [tail.shape for tail in points.tails] == [(2, 2), (0, 2)]
    assert points.text == "label  y  x\n    1  1  2\n    2  3  4"
    assert Points([]).labels == Points([]).tails == Boxes([]).labels == ()
    overlay = Overlay(np.zeros((2, 3)), points, Boxes([[0, 0, 1, 1]], labels=["a"]))
    assert overlay.image.values.shape == (2, 3)
    assert overlay.marks[0] is points
    assert overlay.text.endswith("label  top  left  bottom  right\n    a    0     0       1      1")


class TestFigure:
    """A matplotlib Figure becomes an image."""

    @pytest.fixture
    def pyplot(self):
        pytest.importorskip("matplotlib").use("agg")
        return pytest.importorskip("matplotlib.pyplot")

    def test_figure_becomes_an_image(self, pyplot):
        figure = pyplot.figure(figsize=(3, 2), dpi=50, facecolor="red")
        picture = as_result(figure, "cell")
        assert (picture.kind, picture.values.shape, picture.values.dtype) == (
            "image",
            (100, 150, 3),
            np.uint8,
        )
        assert (picture.values == (255, 0, 0)).all()

    def test_figures_do_not_pile_up(self, pyplot):
        figure, axes = pyplot.subplots()
        first = as_result(figure).values
        axes.plot([1, 2])
        assert (as_result(figure).values != first).any()
        assert pyplot.get_fignums() == []
