"""The fuzz target runs for a bounded time; for longer by hand, see tests/fuzz_protocol.py."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

TARGET = Path(__file__).with_name("fuzz_protocol.py")


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is made for Linux and CPython up to 3.13"
)
def test_no_bytes_bring_anything_but_messages_or_a_protocol_error():
    done = subprocess.run(
        [sys.executable, TARGET, "-max_total_time=8"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done" in done.stderr
