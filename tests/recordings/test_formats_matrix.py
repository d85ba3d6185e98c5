"""The matrix of formats in the documentation is what the command prints, and shows no difference."""

import importlib.util

import pytest
from project import ROOT


def test_other_readers_find_the_same():
    pytest.importorskip("rsciio", reason="RosettaSciIO is not installed")
    path = ROOT / "tests" / "checks" / "formats_matrix.py"
    spec = importlib.util.spec_from_file_location("formats_matrix", path)
    matrix = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(matrix)
    rows = matrix.rows()
    assert [row for row in rows if "DIFFERS" in row] == []
    page = (ROOT / "docs" / "formats.md").read_text("utf-8")
    assert all("| " + " | ".join(row) + " |" in page for row in rows)
