"""The commands: each has help, sensible exit codes, and one line for a mistake."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys

import numpy as np
import pytest

import dmlink
from dmlink.cli import COMMANDS, main


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"dmlink {command}" in capsys.readouterr().out


def test_version_is_printed(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"dmlink {dmlink.__version__}\n"


def test_python_m_dmlink_works():
    done = subprocess.run(
        [sys.executable, "-m", "dmlink", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"dmlink {dmlink.__version__}\n"


def test_companion_is_written_and_not_replaced(tmp_path, capsys):
    path = tmp_path / "dm_companion.py"
    assert main(["companion", "-o", str(path), "--port", "6000"]) == 0
    text = path.read_text()
    ast.parse(text, feature_version=(3, 7))
    assert "PORT = 6000" in text
    assert main(["companion", "-o", str(path)]) == 1
    assert "File exists. Choose another name, or use --overwrite." in capsys.readouterr().err
    assert path.read_text() == text


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate", "nothing.tif"],
        ["info", "nothing.tif"],
        ["export", "nothing.ipynb", "cell"],
        ["export", "nothing.py"],
    ],
)
def test_missing_file_is_one_line(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("dmlink: ")
    assert "nothing." in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--port", "99999"],
        ["simulate", "--port", "-1"],
        ["companion", "--port", "70000"],
        ["companion", "--camera", "0"],
        ["check", "a.py", "--data", "b.npy", "--frames", "0"],
        ["record", "-o", "a", "--frames", "0"],
        ["record", "-o", "a", "--seconds", "nan"],
    ],
)
def test_numbers_without_sense_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert f"{arguments[-1]} is not" in capsys.readouterr().err


def test_output_may_lack_letters(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 8, 8), np.uint16))
    (tmp_path / "a.json").write_text('{"scale": 0.1, "unit": "\u00b5m", "name": "\u03b1"}', "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "dmlink", "info", str(tmp_path / "a.npy")],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp932"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"\\xb5m" in done.stdout


@pytest.mark.parametrize("arguments", [["view", "-"], ["record", "-", "-o", "a"], ["doctor", "-"]])
def test_empty_standard_input_is_reported(arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "there is no endpoint on standard input" in capsys.readouterr().err


def test_measured_figures_are_kept(tmp_path, capsys):
    (tmp_path / "kept.json").write_text("mine")
    assert main(["bench", "cells", "--json", str(tmp_path / "kept.json")]) == 1
    assert "kept.json exists" in capsys.readouterr().err
    assert (tmp_path / "kept.json").read_text() == "mine"


def test_syntax_error_has_its_line(tmp_path, capsys):
    path = tmp_path / "cell.py"
    path.write_text("mean = frame.mean()\nmean +\n")
    assert main(["export", str(path)]) == 1
    assert "line 2" in capsys.readouterr().err
