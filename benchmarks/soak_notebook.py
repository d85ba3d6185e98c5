"""Notebook, long: ten minutes of a fast, large live view, and two of a hidden page."""

from __future__ import annotations

from typing import Any

from .notebook import hidden, lines, long_run, measured

__all__ = ["lines", "run"]


def run(quick: bool) -> dict[str, Any]:
    """Measure for 13 minutes, or two if `quick`."""
    return measured(
        {
            "long": lambda lab: long_run(lab, 45.0 if quick else 600.0),
            "hidden": lambda lab: hidden(lab, 15.0 if quick else 120.0),
        }
    )
