"""Logbook: the experiment as one HTML file."""

from dmlink.logbook.report_page import report

__all__ = ["report"]
