"""Disks for tests: small ones, and read-only ones."""

import contextlib
import subprocess
import sys

import pytest


@contextlib.contextmanager
def small_disk(folder, size):
    """Make a folder a disk of `size` ("100k") while in this context."""
    if sys.platform == "win32":
        pytest.skip("small disks are mounted with POSIX")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)  # a process may still be writing to it


def make_read_only(disk):
    """Make a disk read-only."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
