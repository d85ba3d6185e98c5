"""The fuzz target runs over some inputs; for more, run tests/checks/fuzz_protocol.py by hand."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
from project import ROOT

TARGET = ROOT / "tests" / "checks" / "fuzz_protocol.py"
RUNS = 200_000


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is made for Linux and CPython up to 3.13"
)
def test_any_bytes_give_messages_or_an_error():
    command = [sys.executable, TARGET, f"-runs={RUNS}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"Done {RUNS} runs" in done.stderr
