"""Faults that disturb an experiment. Each first says which streams may stand still, then happens."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

from .notebook import LOOK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from .laboratory import Laboratory
    from .notebook import Notebook

    Steps = Iterator[Any]  # first a Touched, then seconds to wait

PATIENCE_SECONDS = 60.0
GONE_SECONDS = 5.0  # within which a dead kernel's processes must end
SMALL_DISK = 40 << 20  # bytes
SMALL_FILE = 1 << 20  # bytes, where no disk can be made
CLOCK_JUMP = 3600.0  # s


class Touched(NamedTuple):
    """The target of a fault, and patterns of the streams that may stand still until it is over."""

    what: str
    streams: tuple[str, ...] = ()


def worker_killed(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Kill the process of a live cell."""
    name, cell, pid = _worker(lab, rng)
    yield Touched(cell, (f"{name}/{cell}",))
    os.kill(pid, signal.SIGKILL)


def spare_killed(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Kill the spare process that waits for the next cell."""
    name = rng.choice("abc")
    seen = lab.notebooks[name].seen
    yield Touched(f"of {name}")
    for pid in set(seen["workers"]) - {cell["worker"] for cell in seen["cells"].values()}:
        os.kill(pid, signal.SIGKILL)


def kernel_killed(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Kill a kernel, restart it and run all cells."""
    name = rng.choice("bc")
    notebook = lab.notebooks[name]
    yield Touched(name, (f"{name}/*",))
    yield from _gone(notebook.kill())
    yield from notebook.start()
    yield from _at_work(notebook)


def browsers_kernel_killed(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Kill the kernel of the notebook in the browser; the server restarts it, the user runs all cells."""
    page = lab.page
    yield Touched("a", ("a/*",))
    workers = page.kill()
    yield from _gone(workers)
    yield from page.attach(page.connection_file())
    yield from page.do("run_all")
    yield from _at_work(page)


def companion_stopped(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Stop the companion in DigitalMicrograph, and restart it a moment later."""
    yield Touched("Ctrl+Shift+Q", ("?/*",))
    lab.desk.ask("stop_companion")
    yield 3.0
    lab.run_companion()


def companion_run_again(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Run the companion a second time: the new one replaces the old one."""
    yield Touched("while it runs", ("?/*",))
    lab.run_companion()
    yield 0.0


def microscope_killed(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Kill DigitalMicrograph; the user restarts it, the view and the companion, and draws the ROIs."""
    yield Touched("DigitalMicrograph", ("*",))
    lab.desk.kill()
    yield 1.0
    yield from lab.desk.start()
    lab.tell_far_endpoint()
    yield 1.0
    lab.draw_rois()


def browser_killed(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Kill the browser; the user reopens it and shows the view."""
    yield Touched("Chromium", ("a/view",))
    lab.page.kill_browser()
    yield from lab.page.open_browser("run_last")


def view_restarted(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Stop and restart the view."""
    new = rng.random() < 0.5
    yield Touched("new image" if new else "same image", ("*",))
    lab.desk.ask("restart_view", None, new)
    yield 1.0
    lab.draw_rois()


def binning_changed(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Restart the view with binning 2, and a while later with 1."""
    yield Touched("1, 2, 1", ("*",))
    for binning in (2, 1):
        lab.desk.ask("restart_view", binning, True)
        yield 1.0
        lab.draw_rois()
        yield hold / 4


def captured(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Press Capture, which closes the view, and restart the view."""
    yield Touched("and the view started again", ("*",))
    lab.desk.ask("capture")
    yield 3.0
    lab.desk.ask("close_captured")
    lab.desk.ask("restart_view", None, True)
    yield 1.0
    lab.draw_rois()


def rois_deleted(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Delete the ROIs in DigitalMicrograph; they are drawn again a moment later."""
    on_rois = [f"{n}/{cell}" for n, nb in lab.notebooks.items() for cell in nb.cells if "whole" not in cell]
    yield Touched("in DigitalMicrograph", (*on_rois, "c/recording"))
    lab.desk.ask("delete_rois")
    yield 3.0
    lab.draw_rois()


def network_late(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Every piece of data arrives 50 ms late."""
    return _network(lab, "late", hold)


def network_slow(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """The network passes 4 MB/s."""
    return _network(lab, "slowly", hold)


def network_bytewise(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """The network passes single bytes."""
    return _network(lab, "bytewise", hold)


def network_silent(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """The network passes nothing, but connections stay open."""
    return _network(lab, "silently", hold)


def network_cut(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Connections are reset in the middle of a frame, three times."""
    yield Touched("three times", ("b/*",))
    for _ in range(3):
        lab.network("cut")
        yield 3.0


def network_half_open(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Close the companion's end without telling the notebook, which notices within 8 s."""
    yield Touched("noticed in 8 s", ("b/*",))
    lab.network("forget")
    yield 9.0


def disk_full(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Record onto a disk that is too small, or with a limit on file size."""
    notebook = lab.notebooks["c"]
    folder = notebook.folder / "small"
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(folder)]
    linux = sys.platform == "linux"
    mounted = linux and not subprocess.run(mount, capture_output=True, check=False).returncode  # noqa: S603
    yield Touched("40 MB" if mounted else "a limit of 1 MB for a file")
    limit = "import resource as _r; _limit = _r.getrlimit(_r.RLIMIT_FSIZE)"
    try:
        if not mounted:
            yield from notebook.run(f"{limit}; _r.setrlimit(_r.RLIMIT_FSIZE, ({SMALL_FILE}, _limit[1]))")
        path = folder / f"full-{time.monotonic_ns()}.ome.zarr"
        yield from notebook.run(f"full = link.part('c').record({str(path)!r})")
        facts, until = "(full.state, full.reason, full.frames)", time.monotonic() + PATIENCE_SECONDS
        while (told := (yield from notebook.run("", facts)))[0] == "recording" and time.monotonic() < until:
            yield LOOK_SECONDS  # a kernel that waits itself could not report on its cells
        state, reason, frames = told
        assert state == "failed", state
        assert "is full" in reason or "nearly full" in reason or "larger than is allowed" in reason, reason
        lab.recordings.read({"path": str(path), "frames": frames, "dropped": 0, "state": state})
        while not lab.recordings.all_read:  # before the disk is removed
            yield LOOK_SECONDS
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)  # noqa: S603, S607
        else:
            notebook.tell("_r.setrlimit(_r.RLIMIT_FSIZE, _limit)")


def microscopes_clock_jumps(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Set the clock of DigitalMicrograph's computer off by an hour, and back."""
    ahead = rng.choice([-CLOCK_JUMP, CLOCK_JUMP])
    yield Touched(f"{ahead:+.0f} s and back")
    for seconds in (ahead, 0.0):
        lab.desk.ask("set_clock_ahead", seconds)
        yield hold / 2
        _check_ages(lab)


def kernels_clock_jumps(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Set the clock of a notebook's computer off by an hour, and back."""
    ahead, name = rng.choice([-CLOCK_JUMP, CLOCK_JUMP]), rng.choice("abc")
    yield Touched(f"{ahead:+.0f} s and back, {name}")
    real = "_real = globals().get('_real', time.time)"
    for what in (f"time.time = lambda: _real() + {ahead}", "time.time = _real"):
        yield from lab.notebooks[name].run(f"{real}; {what}")
        yield hold / 2
        _check_ages(lab)


def worker_suspended(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Suspend the process of a live cell."""
    name, cell, pid = _worker(lab, rng)
    yield Touched(f"{cell}, {hold:g} s", (f"{name}/{cell}",))
    yield from _suspended([pid], hold)


def kernel_suspended(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Suspend a kernel."""
    name = rng.choice("abc")
    yield Touched(f"{name}, {hold:g} s", (f"{name}/*",))
    yield from _suspended([lab.notebooks[name].pid], hold)


def microscope_suspended(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Suspend DigitalMicrograph."""
    yield Touched(f"{hold:g} s", ("*",))
    yield from _suspended([lab.desk.pid], hold)


def browser_suspended(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Suspend the browser."""
    yield Touched(f"{hold:g} s", ("a/view",))
    yield from _suspended([process.pid for process in lab.page.browser_processes()], hold)


def cell_loops(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Run a cell that never finishes a frame."""
    return _bad_cell(lab, rng, "--timeout 2\nwhile True: pass", "It took longer than 2 s")


def cell_eats_memory(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Run a cell whose memory grows and grows."""
    keep = "kept = state.setdefault('kept', [])\nkept.append(np.ones(5_000_000))"
    text = f"--memory 200\nimport numpy as np\n{keep}"
    return _bad_cell(lab, rng, text, "MemoryError")


def cell_crashes(lab: Laboratory, rng: Random, hold: float) -> Steps:
    """Run a cell that crashes its process."""
    return _bad_cell(lab, rng, "\nimport ctypes\nctypes.string_at(0)", "SIGSEGV")


ALL: tuple[Callable[[Laboratory, Random, float], Steps], ...] = (
    worker_killed,
    spare_killed,
    kernel_killed,
    browsers_kernel_killed,
    companion_stopped,
    companion_run_again,
    microscope_killed,
    browser_killed,
    view_restarted,
    binning_changed,
    captured,
    rois_deleted,
    network_late,
    network_slow,
    network_bytewise,
    network_silent,
    network_cut,
    network_half_open,
    disk_full,
    microscopes_clock_jumps,
    kernels_clock_jumps,
    worker_suspended,
    kernel_suspended,
    microscope_suspended,
    browser_suspended,
    cell_loops,
    cell_eats_memory,
    cell_crashes,
)


def _worker(lab: Laboratory, rng: Random) -> tuple[str, str, int]:
    name = rng.choice("abc")
    cell = rng.choice(sorted(lab.notebooks[name].cells))
    return name, cell, lab.notebooks[name].seen["cells"][cell]["worker"]


def _gone(pids: list[int]) -> Steps:
    """Wait until these processes have ended."""
    until = time.monotonic() + GONE_SECONDS
    while left := [pid for pid in pids if psutil.pid_exists(pid)]:
        assert time.monotonic() < until, f"processes left by a dead kernel: {left}"
        yield LOOK_SECONDS


def _at_work(notebook: Notebook) -> Steps:
    """Wait until all cells of a restarted notebook work; running them is up to its user."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        cells = notebook.seen.get("cells", {})
        idle = [name for name in notebook.cells if not cells.get(name, {}).get("processed")]
        if not idle:
            return
        assert time.monotonic() < until, f"not working after the restart: {idle}"
        yield LOOK_SECONDS


def _network(lab: Laboratory, way: str, hold: float) -> Steps:
    yield Touched(f"{hold:g} s", ("b/*",))
    lab.network(way)
    yield hold
    lab.network("well")


def _suspended(pids: list[int], hold: float) -> Steps:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield hold
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # replaced meanwhile
            os.kill(pid, signal.SIGCONT)


def _bad_cell(lab: Laboratory, rng: Random, text: str, said: str) -> Steps:
    name = rng.choice("bc")
    notebook = lab.notebooks[name]
    yield Touched(f"in {name}")
    yield from notebook.run(f"%%live bad --roi {name} {text}")
    until = time.monotonic() + PATIENCE_SECONDS
    while said not in (error := notebook.seen.get("cells", {}).get("bad", {}).get("error", "")):
        assert time.monotonic() < until, f"its panel does not say {said!r} but {error!r}"
        yield LOOK_SECONDS
    yield from notebook.run("%live stop bad")


def _check_ages(lab: Laboratory) -> None:
    for name, notebook in lab.notebooks.items():
        age = notebook.seen.get("link", {}).get("age")
        assert age is None or age < CLOCK_JUMP / 10, f"{name} reports its newest frame as {age:.0f} s old"
        assert age != 0.0, f"{name} reports no age for its newest frame"
