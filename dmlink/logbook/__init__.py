"""Logbook: the experiment as one HTML file, for afterwards."""

from dmlink.logbook.report_page import report

__all__ = ["report"]
