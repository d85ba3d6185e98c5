"""The gallery: every text in it is a cell that can be read, run and exported."""

import ast

import pytest

from dmlink import gallery
from dmlink.export import export
from dmlink.program import Program


def test_a_cell_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(ValueError, match=r"no cell 'drfit' in the gallery; there are: .*running_difference"):
        gallery.text("drfit")
    with pytest.raises(ValueError, match="no cell '__init__'"):
        gallery.text("__init__")


@pytest.mark.parametrize("name", gallery.names())
def test_a_cell_is_short_says_what_it_is_for_and_explains_its_parameters(name):
    lines = gallery.text(name).splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 40
    assert all(line.startswith("# ") for line in lines[:2])
    program = Program.from_cell(gallery.text(name), name)
    for parameter in program.parameters.values():
        assert "#" in lines[parameter.line - 1], f"{parameter.name} has no comment"


@pytest.mark.parametrize("name", gallery.names())
def test_a_cell_runs_in_every_gms_that_has_python(name, tmp_path):
    path = export(gallery.text(name), tmp_path / f"{name}.py", gms="3.4")
    ast.parse(path.read_text("utf-8"), feature_version=(3, 7))
