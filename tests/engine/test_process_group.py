"""How a cell's process ended is described in words, also on Windows."""

import os

import pytest

from dmlink.engine.process_group import KILLED, ending


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (KILLED, "was killed"),
        (1, "was killed"),
        (0xC0000005, "an access violation (0xC0000005)"),
        (0xC0000005 - 2**32, "an access violation"),
        (0xC00000FD, "a stack overflow"),
        (0xC0001234, "a fault (0xC0001234)"),
        (3, "code 3"),
        (7, "code 7"),
    ],
)
def test_windows_endings_have_names(code, said):
    assert said in ending(code, "win32")


def test_signals_have_names():
    assert "SIGKILL" in ending(-9, "linux") or os.name == "nt"
    assert "signal 35" in ending(-35, "linux")
    assert "code 1." in ending(1, "linux")
