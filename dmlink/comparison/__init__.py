"""Comparison: checks an exported script in the simulator against its program."""

from dmlink.comparison.script_check import check

__all__ = ["check"]
