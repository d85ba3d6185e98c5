"""Disks for tests: small ones, and such that can only be read."""

import contextlib
import subprocess

import pytest


@contextlib.contextmanager
def small_disk(folder, size):
    """Make a folder that is a disk of `size` ("100k") meanwhile."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)  # somebody may still write to it


def make_read_only(disk):
    """Allow no more writing on a disk."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
