"""Tests that represent all combinations of their parameters leave out no value, or pair of values."""

import itertools

import pytest
from representatives import representatives

AXES = {"frame": ["dark", "bright", "narrow"], "cell": list("abcdefg"), "log": [True, False]}
ALL = [dict(zip(AXES, values, strict=True)) for values in itertools.product(*AXES.values())]


@pytest.mark.parametrize(("cover", "most"), [(1, 7), (2, 22)])
def test_representatives_cover_all_values(cover, most):
    chosen = [ALL[i] for i in representatives(ALL, cover)]
    for names in itertools.combinations(AXES, cover):
        wanted = set(itertools.product(*(AXES[name] for name in names)))
        assert {tuple(values[name] for name in names) for values in chosen} == wanted
    assert len(chosen) <= most
