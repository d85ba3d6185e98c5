"""Limits of a link: small frames at 1000 per second, 64 links at once, a recording that is killed.

    .venv/bin/python tests/checks/limits_check.py [rate] [links] [recorder] [--seconds 60]

Each check prints PASSED or FAILED and why, and takes at most two minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from messages import leaving_nothing
from processes import gone, left

import dmlink
from benchmarks.of_link import microscope
from benchmarks.of_link.children import answer, child

RECORD = """
import sys, time, dmlink
with dmlink.connect(sys.argv[1]) as link, link.record(sys.argv[2]) as recorder:
    while True:
        link.next(60)
        print(recorder.frames, flush=True)
"""


def rate(endpoint: str, seconds: float, _folder: Path) -> str:
    """Take every small frame; missing ones are counted."""
    with dmlink.connect(endpoint, mode="lossless") as link:
        first = link.next(60)
        begun, taken, frame = time.monotonic(), 1, first
        while time.monotonic() - begun < seconds:
            frame = link.next(60)
            taken += 1
        per_second = taken / (time.monotonic() - begun)
        missing = frame.index - first.index + 1 - taken
        dropped = link.stats.dropped
    what = f"{taken} frames of 64² in {seconds:.0f} s, {per_second:.0f} a second; {missing} did not come"
    assert missing <= dropped <= taken / 1000, f"{what}, {dropped} were counted"
    return what


def links(endpoint: str, _seconds: float, _folder: Path) -> str:
    """64 links get their frames; the next one learns why it is refused."""
    with leaving_nothing(), contextlib.ExitStack() as stack:
        many = [stack.enter_context(dmlink.connect(endpoint)) for _ in range(64)]
        for link in many * 3:
            link.next(60)
        try:
            stack.enter_context(dmlink.connect(endpoint))
        except ConnectionError as error:
            why = str(error)
        else:
            raise AssertionError("a 65th link was let in")
        assert "64 links are connected already" in why, why
        many[0].next(60)
    return f"64 links had three frames each; the 65th was told: {why}"


def recorder(endpoint: str, _seconds: float, folder: Path) -> str:
    """After SIGKILL, everything promised is there, and nothing else."""
    path = folder / "killed.ome.zarr"
    command = [sys.executable, "-c", RECORD, endpoint, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        promised = 0
        while promised < 100:
            promised = int(process.stdout.readline())
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        blocks = {Path(line.split()[5]).name for line in maps.splitlines() if "/dev/shm/psm_" in line}  # noqa: S108
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGKILL)
        said = process.stdout.read().split()
    promised = int(said[-1]) if said else promised
    assert blocks, "it had no shared memory"
    assert not left(blocks), f"shared memory is left: {left(blocks, 0.0)}"
    alive = [pid for pid in children if not gone(int(pid))]
    assert not alive, f"processes are left: {alive}"
    with dmlink.open(path) as recording:
        readable = [recording[i].data.shape for i in range(len(recording))]
    assert len(readable) >= promised, f"{promised} frames were promised, {len(readable)} are readable"
    return f"{promised} frames were promised, {len(readable)} are readable; {len(blocks)} blocks are gone"


CHECKS = {"rate": (rate, 64, 1000.0), "links": (links, 64, 100.0), "recorder": (recorder, 256, 100.0)}


def main() -> int:
    """Run the named checks, or all of them; return 0 if all have passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CHECKS)}; by default all")
    parser.add_argument("--seconds", type=float, default=60.0, help="of small frames")
    options = parser.parse_args()
    failed = 0
    for name in options.names or CHECKS:
        check, size, fps = CHECKS[name]
        with tempfile.TemporaryDirectory() as folder:
            os.environ["DMLINK_HOME"] = folder
            with child(microscope.serve, size, fps, True) as dm:
                try:
                    print(f"PASSED {name}: {check(answer(dm), options.seconds, Path(folder))}", flush=True)
                except (AssertionError, OSError, ValueError) as error:
                    failed += 1
                    print(f"FAILED {name}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
