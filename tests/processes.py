"""Processes that tests look after."""

import os
import time
from pathlib import Path


def gone(pid, timeout=30.0):
    """Wait for the end of a process that need not be our child."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False
