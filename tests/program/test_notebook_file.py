"""A cell can be read from a notebook file without a kernel, with the definitions that it uses."""

import json
import textwrap
from pathlib import Path

import numpy as np
import pytest
from project import ROOT

from dmlink.cli import main
from dmlink.frame import Frame
from dmlink.program import notebook_file
from dmlink.program.instance import Instance

LESSON = ROOT / "notebooks" / "01-first-live-cell.ipynb"


@pytest.fixture
def notebook(tmp_path):
    """Return a function that writes a notebook with these code cells and returns its path."""

    def write(*cells, name="lesson.ipynb"):
        path = tmp_path / name
        path.write_text(
            json.dumps(
                {
                    "cells": [
                        {"cell_type": "markdown", "metadata": {}, "source": "%%live not_code\nframe.mean()"},
                        *(
                            {
                                "cell_type": "code",
                                "execution_count": None,
                                "metadata": {},
                                "outputs": [],
                                "source": textwrap.dedent(cell).strip("\n").splitlines(keepends=True),
                            }
                            for cell in cells
                        ),
                    ],
                    "metadata": {},
                    "nbformat": 4,
                    "nbformat_minor": 4,
                }
            )
        )
        return path

    return write


def run(program, frame=None):
    frame = Frame(np.arange(12.0).reshape(3, 4)) if frame is None else frame
    return Instance(program).process(frame.data, frame.info)


def test_definitions_are_known_without_kernel(notebook):
    path = notebook(
        """
        %load_ext dmlink
        import numpy as np
        !ls
        from math import sqrt as root
        """,
        """
        FACTOR = 3
        OFFSETS: list = [1, 2]

        class Scale:
            def __init__(self, by):
                self.by = by

        def scaled(values, by=2):  # a helper
            # as the notebook has it
            return values * by * FACTOR
        """,
        """
        %%live mean --roi roi
        gain: float = 1.0
        gain * scaled(np.mean(frame)) + root(4) + OFFSETS[1] + Scale(5).by
        """,
    )
    program = notebook_file.program(path)
    assert program.name == "mean"
    assert run(program).value == 5.5 * 2 * 3 + 2 + 2 + 5
    assert "    # as the notebook has it\n" in program.source
    assert "def scaled(values, by=2):  # a helper\n" in program.source


def test_function_keeps_its_decorator(notebook):
    path = notebook(
        "import functools\n\n@functools.lru_cache(maxsize=None)\ndef f(n):\n    return n + 1",
        "%%live a\nf(int(frame[0, 1]))",
    )
    program = notebook_file.program(path)
    assert "@functools.lru_cache(maxsize=None)\ndef f(n):" in program.source
    assert run(program).value == 2.0


def test_nothing_that_computes_is_run(notebook, tmp_path):
    path = notebook(
        f"open({str(tmp_path / 'touched')!r}, 'w')\nn = open({str(tmp_path / 'touched')!r}, 'w')",
        "for i in range(3):\n    k = i",
        "%%live a\nframe.mean()",
    )
    assert run(notebook_file.program(path)).value == 5.5
    assert not (tmp_path / "touched").exists()


def test_computed_names_are_refused(notebook):
    path = notebook("dark = sum([1, 2])", "%%live a\n\nframe - dark")
    with pytest.raises(
        ValueError, match=r"line 2: name 'dark' is not defined.* results of its computations are missing"
    ):
        notebook_file.program(path)


def test_failing_import_matters_if_used(notebook):
    path = notebook(
        "import no_such_package as nsp\nimport math",
        "%%live a\nframe.mean() * math.pi",
        "%%live b\nnsp.f(frame)",
    )
    assert run(notebook_file.program(path, "a")).value == pytest.approx(5.5 * np.pi)
    with pytest.raises(ValueError, match=r"'nsp' is not defined.*'import no_such_package as nsp': ModuleNot"):
        notebook_file.program(path, "b")


def test_last_cell_of_a_name_counts(notebook):
    path = notebook("%%live a\nframe.mean()", "%%live a\nframe.max()")
    assert run(notebook_file.program(path, "a")).value == 11.0


def test_options_may_stand_anywhere(notebook):
    path = notebook("%%live --roi 'roi 2' --timeout=3 a\n1", "%%live b --roi roi\n2")
    assert run(notebook_file.program(path, "a")).value == 1.0
    assert run(notebook_file.program(path, "b")).value == 2.0


def test_only_cell_needs_no_name(notebook):
    assert notebook_file.program(notebook("1", "%%live only\nframe.max()")).name == "only"
    path = notebook("%%live a\n1", "%%live b\n2")
    with pytest.raises(ValueError, match=r"name one of its live cells\. It has: a, b\."):
        notebook_file.program(path)
    with pytest.raises(ValueError, match=r"there is no live cell 'c'\. It has: a, b\."):
        notebook_file.program(path, "c")
    with pytest.raises(ValueError, match="It has: none"):
        notebook_file.program(notebook("x = 1"), "a")


def test_mistake_has_the_line_of_the_cell(notebook):
    with pytest.raises(SyntaxError) as caught:
        notebook_file.program(notebook("%%live a\n\nframe.mean("))
    assert caught.value.lineno == 2


def test_broken_cell_elsewhere_is_ignored(notebook):
    path = notebook("def f(:", "%%timeit\nimport math", "n = 4", "%%live a\nn * frame.max()")
    assert run(notebook_file.program(path)).value == 44.0


def test_modules_of_this_process_are_kept(notebook):
    import sys

    main = sys.modules["__main__"]
    notebook_file.program(notebook("def f():\n    return 1", "%%live a\nf()"))
    assert sys.modules["__main__"] is main


def test_command_exports_from_a_notebook(notebook, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = notebook("FACTOR = 3", "%%live mean\nFACTOR * frame.mean()")
    assert main(["export", str(path), "mean", "-o", "mean.py"]) == 0
    assert "FACTOR = 3\n" in Path("mean.py").read_text()
    assert main(["export", str(path), "-o", "again.py"]) == 0  # the only one
    capsys.readouterr()
    Path("text.ipynb").write_text("hello")
    Path("other.ipynb").write_text('{"a": 1}')
    for arguments, said in (
        ([str(path), "median"], "there is no live cell 'median'. It has: mean."),
        (["missing.ipynb"], "missing.ipynb"),
        (["text.ipynb"], "text.ipynb is not a Jupyter notebook"),
        (["other.ipynb"], "other.ipynb is not a Jupyter notebook"),
    ):
        assert main(["export", *arguments, "-o", "x.py"]) == 1
        error = capsys.readouterr().err
        assert said in error
        assert len(error.splitlines()) == 1
    assert not Path("x.py").exists()


def test_first_lesson_can_be_exported():
    for name in ("mean_counts", "radial_profile", "diffractogram"):
        program = notebook_file.program(LESSON, name)
        assert run(program, Frame(np.random.default_rng(3).random((64, 64)))) is not None
