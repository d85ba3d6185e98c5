"""The fuzz targets run over some inputs; for more, run tests/checks/fuzz_recordings.py by hand."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
from project import ROOT

TARGET = ROOT / "tests" / "checks" / "fuzz_recordings.py"


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is made for Linux and CPython up to 3.13"
)
@pytest.mark.parametrize("kind", ["ser", "mib", "dm", "insitu"])
def test_any_bytes_give_frames_or_a_sentence(kind, tmp_path):
    command = [sys.executable, TARGET, kind, "-runs=1000", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 1000 runs" in done.stderr
