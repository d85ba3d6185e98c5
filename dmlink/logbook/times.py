"""Times: moments and durations as text."""

from __future__ import annotations

import time

from dmlink.link.log_file import SINCE_1970


def date(when: float) -> str:
    """Return a moment as local date and time, or as seconds if it is counted from a recording's start."""
    return _local(when, "%Y-%m-%d %H:%M:%S")


def clock(when: float) -> str:
    """Return a moment as local time, or as seconds if it is counted from a recording's start."""
    return _local(when, "%H:%M:%S")


def long_ago(seconds: float) -> str:
    """Return an elapsed time as text, such as "3 min"."""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def time_unit(seconds: float) -> tuple[float, str]:
    """Return the time unit for a timeline of that length: its seconds and its name."""
    return (1.0, "s") if seconds < 300 else (60.0, "min") if seconds < 3 * 3600 else (3600.0, "h")


def _local(when: float, form: str) -> str:
    return time.strftime(form, time.localtime(when)) if when >= SINCE_1970 else f"{when:.3f} s"
