"""Paths: the project's root, and real recordings that some tests read if they are available."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("DMLINK_TEST_DATA", ROOT.parent / "shared" / "data"))


def real(name: str) -> Path:
    """Return the path of a real recording; skip the test if it is missing."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no reference data at {path}")
    return path


def case(name: str) -> Path:
    """Return the path of a small file that was once misread; skip the test if it is missing."""
    path = DATA.parent / "cases" / "recordings" / name
    if not path.exists():
        pytest.skip(f"no case at {path}")
    return path
