"""The gallery: every text in it is a cell that can be read, run and exported."""

import ast
import itertools

import pytest

from dmlink import LiveCell, gallery, recordings
from dmlink.program.program import Program
from dmlink.script.exporter import export


def test_unknown_name_lists_the_gallery():
    with pytest.raises(ValueError, match=r"no cell 'drfit' in the gallery; available: .*running_difference"):
        gallery.text("drfit")
    with pytest.raises(ValueError, match="no cell '__init__'"):
        gallery.text("__init__")


def head(lines):
    return list(itertools.takewhile(lambda line: line.startswith("#"), lines))


@pytest.mark.parametrize("name", gallery.names())
def test_cell_is_documented(name):
    lines = gallery.text(name).splitlines()
    seen, method = " ".join(line[1:].strip() or "\n" for line in head(lines)).split("\n")
    assert len(seen.split(". ")) <= 3, "what one sees, and when it misleads"
    assert method.strip().startswith("Method. ")
    assert all(len(line) <= 110 for line in lines)
    program = Program.from_cell(gallery.text(name), name)
    for parameter in program.parameters.values():
        assert "#" in lines[parameter.line - 1], f"{parameter.name} has no comment"


@pytest.mark.parametrize("name", gallery.names())
def test_cell_runs_in_every_gms(name, tmp_path):
    path = export(gallery.text(name), tmp_path / f"{name}.py", gms="3.4")
    ast.parse(path.read_text("utf-8"), feature_version=(3, 7))


@pytest.mark.parametrize("name", gallery.names())
def test_example_fits_its_cell(name):
    example, cell = gallery.example(name), LiveCell(gallery.text(name), name)
    cell.set(**example.values)
    with recordings.open(example.recording) as recording:
        assert example.frames <= len(recording)
        assert cell.run(recording[0]) is not None


def test_example_of_unknown_cell_is_refused():
    with pytest.raises(ValueError, match="no cell 'drfit'"):
        gallery.example("drfit")
