"""The lessons run from beginning to end, on what comes with dmlink and on real frames."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dmlink.cli import demo

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("DMLINK_TEST_DATA", ROOT.parent / "shared" / "data"))
LIQUID_CELL = DATA / "apache_SAM-EM" / "lptem_example"


def dmlink(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "dmlink", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


def test_first_lesson_runs_on_the_simulated_nanoparticles():
    done = dmlink("demo", "--headless")
    assert done.returncode == 0, done.stderr
    assert "01-first-live-cell.ipynb ran to the end." in done.stdout


@pytest.mark.skipif(not LIQUID_CELL.is_dir(), reason=f"the liquid-cell frames are not in {LIQUID_CELL}")
def test_first_lesson_runs_on_frames_of_a_liquid_cell():
    done = dmlink("demo", "--headless", "--recording", LIQUID_CELL, "--scale", 2, "--unit", "nm", "--fps", 20)
    assert done.returncode == 0, done.stderr
    assert "ran to the end" in done.stdout


def test_second_lesson_runs_on_the_simulated_nanoparticles(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DMLINK_ENDPOINT", "")  # `execute` sets it
    lesson = shutil.copy(ROOT / "notebooks" / "02-live-cells.ipynb", tmp_path)
    with demo.microscope([], tmp_path) as endpoint:
        assert demo.execute(Path(lesson), endpoint) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "Set in the notebook: threshold = 2.0." in said
    assert "Taken over from the notebook: bright." in said
    assert "difference is a scalar" in said
    assert "are as they were when 'brightest' failed" in said


def test_demo_with_a_recording_that_is_not_there_says_so_in_a_sentence(tmp_path):
    done = dmlink("demo", "--headless", "--recording", tmp_path / "nothing.npy")
    assert done.returncode == 1
    assert "nothing.npy" in done.stderr
    assert "Traceback" not in done.stderr
