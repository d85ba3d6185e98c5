"""Where things are: the project's root, and real recordings that some tests read where they are there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("DMLINK_TEST_DATA", ROOT.parent / "shared" / "data"))


def real(name: str) -> Path:
    """Return the path of a real recording; skip the test if there is none."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no reference data at {path}")
    return path


def case(name: str) -> Path:
    """Return the path of a small file that was once read wrong; skip the test if there is none."""
    path = DATA.parent / "cases" / "recordings" / name
    if not path.exists():
        pytest.skip(f"no case at {path}")
    return path
