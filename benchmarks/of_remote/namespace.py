"""Namespace: a separate network within this computer, as Linux provides for containers."""

from __future__ import annotations

import ctypes
from pathlib import Path

NEW_NETWORK = 0x40000000  # CLONE_NEWNET


def enter(name: str) -> None:
    """Move this thread, and those that it starts later, to a namespace made by `ip netns`."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/run/netns", name).open("rb") as file:
        if libc.setns(file.fileno(), NEW_NETWORK):
            raise OSError(ctypes.get_errno(), f"This process cannot enter the network {name}.")
