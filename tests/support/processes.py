"""Processes in tests, and the shared memory that they leave behind."""

import time

import psutil

from dmlink.ring import POSIX_SHARED_MEMORY as SHARED_MEMORY


def gone(pid, timeout=120.0):
    """Wait for the end of a process that need not be our child."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def left(blocks, timeout=120.0):
    """Wait until Python's resource tracker has removed blocks of shared memory; return those that stay."""
    end = time.monotonic() + timeout
    while there := [block for block in blocks if (SHARED_MEMORY / block).exists()]:
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    return there
