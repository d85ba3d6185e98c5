"""A cell's last value has one obvious meaning, and what has none is refused with what to do instead."""

import pickle

import numpy as np
import pytest

from dmlink.frame import Axis
from dmlink.indm.results import (
    MAX_ROWS,
    Boxes,
    Image,
    Points,
    Profile,
    Scalar,
    Table,
    Text,
    as_result,
)

STRUCTURED = np.array([(1, 2.5, "a"), (2, 3.5, "b")], dtype=[("n", int), ("size", float), ("id", "U1")])


class DataFrame:
    """What pandas's has of it that is used here."""

    def to_records(self, index):
        assert not index
        return STRUCTURED.view(np.recarray)


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
        (DataFrame(), Table),
        (Points([[1, 2]]), Points),
        (Boxes([[1, 2, 3, 4]]), Boxes),
    ],
    ids=str,
)
def test_a_value_has_its_obvious_meaning(value, kind):
    result = as_result(value, "cell")
    assert type(result) is kind
    assert result.name == "cell"
    assert result.kind == kind.__name__.lower()
    assert vars(pickle.loads(pickle.dumps(result))).keys() == vars(result).keys()  # noqa: S301


def test_none_is_no_result_and_a_result_keeps_its_name():
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
        ({"a": [1, 2]}, "dict"),
        ((x for x in "ab"), "generator"),
    ],
    ids=str,
)
def test_what_has_no_meaning_is_refused_with_what_has(value, said):
    with pytest.raises(
        TypeError, match=rf"gives this: {said}, which cannot be shown\. End the cell with a number"
    ):
        as_result(value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Profile(np.zeros((2, 2))), r"one dimension, not shape \(2, 2\)"),
        (lambda: Profile([]), "no values"),
        (lambda: Profile(["a"]), "must be real numbers"),
        (lambda: Image(np.zeros(3)), r"shape \(h, w\), or \(h, w, 3\) for colour, not \(3,\)"),
        (lambda: Image(np.zeros((2, 2, 3))), "colour image is uint8 from 0 to 255, not float64"),
        (lambda: Points([[1, 2, 3]]), r"shape \(n, 2\): y, x in pixels; not int64 of shape \(1, 3\)"),
        (lambda: Boxes([1, 2, 3, 4]), r"shape \(n, 4\): top, left, bottom, right in pixels"),
        (lambda: Table({"a": [1], "b": [1, 2]}), r"different lengths: {'a': 1, 'b': 2}"),
        (lambda: Table([{"a": 1}, {"b": 1}]), r"the same keys; here \['b'\] follows \['a'\]"),
        (lambda: Table({"a": [[1, 2]]}), r"column 'a' of this table has shape \(1, 2\)"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_what_they_are(make, said):
    with pytest.raises((ValueError, TypeError), match=said):
        make()


def test_numbers_with_names_are_series():
    assert Scalar({"a": 1, 2: 2}).series == {"a": 1.0, "2": 2.0}
    assert Scalar(3, unit="nm").series == {"value": 3.0}


def test_axes_say_where_the_pixels_are():
    assert Profile([1, 2], scale=0.5, origin=-1, unit="nm").x == Axis(-1.0, 0.5, "nm")
    image = Image(np.zeros((2, 3)), scale=0.5, origin=(-1, -2), unit="nm")
    assert (image.y, image.x) == (Axis(-1.0, 0.5, "nm"), Axis(-2.0, 0.5, "nm"))


def test_places_are_floats_of_their_shape_also_when_there_are_none():
    assert Points([[1, 2], [3, 4]]).yx.dtype == float
    for nothing in ([], np.zeros((0, 2)), np.zeros(0)):
        assert Points(nothing).yx.shape == (0, 2)
        assert Boxes(nothing).tlbr.shape == (0, 4)


def test_a_table_is_the_same_however_it_was_given():
    rows = [{"n": 1, "size": 2.5, "id": "a"}, {"n": 2, "size": 3.5, "id": "b"}]
    columns = {"n": [1, 2], "size": [2.5, 3.5], "id": ["a", "b"]}
    for given in (rows, columns, STRUCTURED, DataFrame()):
        table = Table(given)
        assert {key: column.tolist() for key, column in table.columns.items()} == columns
        assert table.text == "n  size  id\n1   2.5   a\n2   3.5   b"
    assert Table([]).columns == {}
    assert Table([]).text == ""


def test_what_is_neither_number_nor_text_stands_in_a_table_as_text():
    assert Table({"a": [None, 2.5]}).columns["a"].tolist() == ["None", "2.5"]


def test_a_long_table_is_cut_in_its_text_only():
    table = Table({"n": np.arange(1000)})
    lines = table.text.splitlines()
    assert len(lines) == 1 + MAX_ROWS + 1
    assert lines[-1] == "... 1000 rows in all"
    assert len(table.columns["n"]) == 1000


def test_places_have_a_text():
    assert Points([[1.5, 2]]).text == "  y  x\n1.5  2"
    assert Boxes([[1, 2, 3, 4]]).text == "top  left  bottom  right\n  1     2       3      4"
