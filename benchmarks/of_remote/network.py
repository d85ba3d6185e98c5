"""Network: two hosts on this computer, network namespaces of Linux, and a cable between them that is slow."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NEW_NETWORK = 0x40000000  # CLONE_NEWNET
MICROSCOPE, SERVER = "10.203.0.1", "10.203.0.2"  # nobody sees them outside


def why_not() -> str:
    """Return why there can be no such network here; nothing if there can."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    missing = [tool for tool in ("ip", "tc") if not shutil.which(tool)]
    if missing:
        return f"there is no {' and no '.join(missing)}; install iproute2"
    if os.geteuid():
        return "only root may make network namespaces"
    return ""


@contextlib.contextmanager
def cable(rate: str, delay: str) -> Iterator[tuple[str, str, bool]]:
    """Give the names of two hosts, and whether the delay could be had: a kernel may be without netem."""
    a, b = (f"dmlink-{os.getpid()}-{end}" for end in "ab")
    with contextlib.ExitStack() as stack:
        for name in (a, b):
            _run("ip", "netns", "add", name)
            stack.callback(_run, "ip", "netns", "del", name)
        _run("ip", "-n", a, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", b)
        delayed = True
        for name, address in ((a, MICROSCOPE), (b, SERVER)):
            _run("ip", "-n", name, "address", "add", f"{address}/30", "dev", "cable")
            for device in ("lo", "cable"):
                _run("ip", "-n", name, "link", "set", device, "up")
            discipline = ("tc", "-n", name, "qdisc", "add", "dev", "cable", "root")
            try:
                _run(*discipline, "netem", "delay", delay, "rate", rate, "limit", "10000")
            except subprocess.CalledProcessError:
                delayed = False
                _run(*discipline, "tbf", "rate", rate, "burst", "256kb", "latency", "50ms")
        yield a, b, delayed


def enter(name: str) -> None:
    """Move this process, before it has threads, to a host."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/run/netns", name).open("rb") as file:
        if libc.setns(file.fileno(), NEW_NETWORK):
            raise OSError(ctypes.get_errno(), f"This process cannot enter the network {name}.")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ours, above
