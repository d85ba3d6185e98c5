"""Network: two hosts on this computer (Linux network namespaces), and a cable between them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from ..of_link.children import answer, child
from . import cable

if TYPE_CHECKING:
    from collections.abc import Iterator

MICROSCOPE, SERVER = "10.203.0.1", "10.203.0.2"  # not visible outside


def why_not() -> str:
    """Return why such a network is not possible here, or "" if it is."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if not shutil.which("ip"):
        return "there is no ip; install iproute2"
    if os.geteuid():
        return "only root may make network namespaces"
    if not cable.DEVICE.exists():
        return f"this kernel has no {cable.DEVICE}"
    return ""


@contextlib.contextmanager
def hosts(rate: float, delay: float) -> Iterator[tuple[str, str]]:
    """Yield the names of two hosts, joined by a cable of `rate` bytes/s and `delay` s each way."""
    a, b = (f"dmlink-{os.getpid()}-{end}" for end in "ab")
    with contextlib.ExitStack() as stack:
        for name in (a, b):
            _run("ip", "netns", "add", name)
            stack.callback(_run, "ip", "netns", "del", name)
        answer(stack.enter_context(child(cable.carry, (a, b), rate, delay)))
        for name, address in ((a, MICROSCOPE), (b, SERVER)):
            _run("ip", "-n", name, "address", "add", f"{address}/30", "dev", cable.NAME)
            _run("ip", "-n", name, "link", "set", cable.NAME, "mtu", str(cable.LONGEST))
            for device in ("lo", cable.NAME):
                _run("ip", "-n", name, "link", "set", device, "up")
        yield a, b


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ours, above
