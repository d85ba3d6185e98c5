"""Namespace: a network and shared memory of its own within this computer, as Linux has for containers."""

from __future__ import annotations

import ctypes
from pathlib import Path

NEW_NETWORK, NEW_MOUNTS = 0x40000000, 0x00020000  # CLONE_NEWNET, CLONE_NEWNS
PRIVATE = 0x44000  # MS_REC | MS_PRIVATE: what is mounted from now on is seen by this process alone


def enter(name: str) -> None:
    """Move this thread, and those that it starts later, to a namespace made by `ip netns`.

    They get their own /dev/shm, too: two computers share no memory, so frames cross the network.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/run/netns", name).open("rb") as file:
        steps = (
            lambda: libc.setns(file.fileno(), NEW_NETWORK),
            lambda: libc.unshare(NEW_MOUNTS),
            lambda: libc.mount(b"none", b"/", None, PRIVATE, None),
            lambda: libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, None),
        )
        if any(step() for step in steps):
            raise OSError(ctypes.get_errno(), f"This process cannot enter the network {name}.")
