"""Microscope: a simulated one in its own process, and what its user does with it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import traceback
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

import dmlink
from dmlink import bundle
from dmlink.data import nanoparticles
from dmlink.frame import Axis
from dmlink.link import endpoint as endpoints
from dmlink.simulator import Microscope

from ..of_link.children import Failure, answer, child
from ..of_link.microscope import held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path

FRAMES, SIZE, FPS = 8, 2048, 30.0
COUNTS = ("displayed", "escaped", "troubles")
COUNT_SECONDS = 0.1  # between notes of the counts
ANSWER_SECONDS = 30.0


class Source:
    """Gold nanoparticles, tiled: frames (size, size) uint16 that differ in every row."""

    def __init__(self, size: int = SIZE) -> None:
        with dmlink.open(nanoparticles()) as recording:
            tiles = [recording[15 * i].data for i in range(FRAMES)]
        times = -(-size // tiles[0].shape[0])
        self.stack = np.stack([np.tile(tile, (times, times))[:size, :size] for tile in tiles])
        self.name, self.shape, self.dtype = "experiment", self.stack.shape, self.stack.dtype
        self.x = self.y = Axis(0.0, 0.05, "nm")

    def __len__(self) -> int:
        return FRAMES

    def __getitem__(self, i: int) -> SimpleNamespace:
        return SimpleNamespace(data=self.stack[i])


class Desk:
    """The user at the microscope: the harness's handle on its process, which can be killed and restarted.

    Parameters
    ----------
    home : Path
        Where the companion leaves its endpoint.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._counts_file = home / "counts"
        self._counts = np.memmap(self._counts_file, np.int64, "w+", shape=len(COUNTS))
        self._stack = contextlib.ExitStack()
        self._port = 0
        self.pid = 0

    def start(self) -> Iterator[float]:
        """Start a process: the camera runs, the companion listens on the same port as before."""
        self._pipe = self._stack.enter_context(
            child(serve, str(self._home), str(self._counts_file), self._port)
        )
        while not self._pipe.poll():
            yield COUNT_SECONDS
        self.pid, self.endpoint = answer(self._pipe)
        self._port = endpoints.parse(self.endpoint).port

    @property
    def port(self) -> int:
        """Where the companion listens."""
        return self._port

    def ask(self, what: str, *arguments: Any) -> Any:
        """Call a method of `At` in the process, and return its result."""
        self._pipe.send((what, arguments))
        return answer(self._pipe, ANSWER_SECONDS)

    def run_companion(self) -> None:
        """Run the companion (again), on the same port."""
        self.endpoint = self.ask("run_companion", self._port)

    def counts(self) -> dict[str, int]:
        """Return the process's last noted counts, without asking it."""
        return dict(zip(COUNTS, self._counts.tolist(), strict=True))

    def kill(self) -> None:
        """End the process like a crash."""
        os.kill(self.pid, signal.SIGKILL)
        self._stack.close()

    def close(self) -> None:
        """End the process."""
        self._stack.close()


def serve(pipe: Connection, home: str, counts_file: str, port: int) -> None:
    """Run a microscope with a companion, and serve requests until the other end closes."""
    os.environ["DMLINK_HOME"] = home
    counts = np.memmap(counts_file, np.int64, "r+", shape=len(COUNTS))
    before = counts.copy()  # of the previous process
    with Microscope(Source(), fps=FPS) as dm, contextlib.suppress(EOFError):
        at = At(dm)
        pipe.send((os.getpid(), at.run_companion(port)))
        while True:
            while not pipe.poll(COUNT_SECONDS):
                troubles = sum("Traceback" in line for line in list(dm.results_window))
                now = dm.displayed, len(dm.escaped), troubles
                counts[:] = before + np.array(now)
            what, arguments = pipe.recv()
            try:
                pipe.send(getattr(at, what)(*arguments))
            except Exception:  # noqa: BLE001 - reported to the caller
                pipe.send(Failure(traceback.format_exc()))


class At:
    """The actions possible at the microscope, inside its process."""

    def __init__(self, dm: Microscope) -> None:
        self._dm = dm
        self._companion: Any = None
        self._real_time = time.time

    def run_companion(self, port: int) -> str:
        """Run it as a single file; return its endpoint."""
        self._companion = self._dm.run_script(bundle.companion(port), name="dm_companion")
        return str(self._companion.wait_for("dmlink://", timeout=10.0))

    def stop_companion(self) -> None:
        """Press Ctrl+Shift+Q."""
        self._companion.stop()

    def restart_view(self, binning: int | None, new_image: bool) -> None:
        """Stop and restart the view."""
        self._dm.restart_view(binning, new_image=new_image)

    def capture(self) -> None:
        """Press Capture: the view's window closes, and the captured image's opens."""
        self._dm.capture()

    def close_captured(self) -> None:
        """Close the captured image."""
        self._dm.close_window(self._dm.window("(captured)").name)

    def delete_rois(self) -> int:
        """Delete all rectangles on the view; return how many there were."""
        rois = list(self._dm.user_rois())
        for roi in rois:
            self._dm.delete_roi(roi)
        return len(rois)

    def set_clock_ahead(self, seconds: float) -> None:
        """Set the computer's clock (`time.time`) ahead by `seconds`."""
        real = self._real_time
        time.time = (lambda: real() + seconds) if seconds else real

    def held(self) -> dict[str, Any]:
        """Return what this process holds."""
        return held()

    def said(self, n: int) -> Sequence[str]:
        """Return the last lines of the Results window."""
        return list(self._dm.results_window)[-n:]
