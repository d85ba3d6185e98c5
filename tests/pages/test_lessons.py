"""The lessons run from beginning to end, including solutions, with dmlink's own data and real frames."""

from __future__ import annotations

import re
import subprocess
import sys

import nbformat
import pytest
from project import DATA, ROOT

from dmlink.cli import demo

LIQUID_CELL = DATA / "apache_SAM-EM" / "lptem_example"
OFTEN = ("02", "06")  # and the first one; the others run only before a release
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def dmlink(*arguments, shell=()):
    command = [*shell, sys.executable, "-m", "dmlink", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def without_network():
    """Return a shell without any network but loopback, if possible."""
    shell = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    try:
        subprocess.run([*shell, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return shell


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    """Yield the endpoint of a microscope shared by all lessons, as in a class."""
    with demo.microscope([], tmp_path_factory.mktemp("microscope")) as endpoint:
        yield endpoint


def with_solutions(lesson, folder):
    """Write a lesson in which the folded solutions have become code cells."""
    notebook = nbformat.read(lesson, as_version=4)
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "markdown":
            for solution in re.findall(r"<details>(.*?)</details>", cell.source, re.DOTALL):
                codes = re.findall(r"^```ipython\n(.*?)^```", solution, re.DOTALL | re.MULTILINE)
                cells += [nbformat.v4.new_code_cell(code.strip("\n")) for code in codes]
    notebook.cells = cells
    nbformat.write(notebook, folder / lesson.name)
    return folder / lesson.name


def test_first_lesson_runs_offline():
    done = dmlink("demo", "--headless", shell=without_network())
    assert done.returncode == 0, done.stderr
    assert "01-first-live-cell.ipynb ran to the end." in done.stdout


@pytest.mark.exhaustive
@pytest.mark.skipif(not LIQUID_CELL.is_dir(), reason=f"the liquid-cell frames are not in {LIQUID_CELL}")
def test_first_lesson_runs_on_real_frames():
    done = dmlink("demo", "--headless", "--recording", LIQUID_CELL, "--scale", 2, "--unit", "nm", "--fps", 20)
    assert done.returncode == 0, done.stderr
    assert "ran to the end" in done.stdout


SAID = {  # what the lesson's outputs must contain
    "02-live-cells": [
        "Set in the notebook: threshold = 2.0.",
        "Updated from the notebook: bright.",
        "difference is a scalar",
        "are as they were when 'brightest' failed",
    ],
    "04-from-cell-to-script": ["lines are yours", "changed_dm.py"],
    "05-recordings": ["40 rows"],
    "08-catch-the-moment": ["1.00 s before the event", "The clip begins with frame", "it began in frame 32"],
    "06-at-the-microscope": ["dm_companion.py. In DigitalMicrograph: start", "The next one arrived"],
}


@pytest.mark.parametrize(
    "lesson",
    [
        pytest.param(path, marks=() if path.name.startswith(OFTEN) else pytest.mark.exhaustive)
        for path in LESSONS[1:]
    ],
    ids=lambda path: path.stem,
)
def test_lesson_and_solutions_run(lesson, endpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DMLINK_ENDPOINT", "")  # `execute` sets it
    assert demo.execute(with_solutions(lesson, tmp_path), endpoint) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    for words in SAID.get(lesson.stem, []):
        assert words in said


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_lesson_is_kept_without_outputs(lesson):
    notebook = nbformat.read(lesson, as_version=4)
    assert all(
        not cell.outputs and cell.execution_count is None for cell in notebook.cells if "outputs" in cell
    )
    assert notebook.cells[0].source.startswith("# ")
    assert [cell.id for cell in notebook.cells] == [
        f"lesson-{lesson.name[:2]}-{i:02d}" for i in range(len(notebook.cells))
    ]


def test_demo_without_its_recording_says_so(tmp_path):
    done = dmlink("demo", "--headless", "--recording", tmp_path / "nothing.npy")
    assert done.returncode == 1
    assert "nothing.npy" in done.stderr
    assert "Traceback" not in done.stderr
